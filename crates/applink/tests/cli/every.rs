//! Every command: its help, and what those say that have no test file of their own. A command that nothing shows is found.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::applink::{Applink, applink};
use crate::fake::{ADDON, APP, CONNECTION, Fake, authorization, connection};

/// They serve until they are stopped, or write what a shell reads: their tests look for more than text.
const SHOWN_OTHERWISE: [&str; 3] = ["org:serve", "serve", "completions"];
const HOOK: &str = "5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b";
const TARGETS: &str = "/connections/datacloud/lake/data_action_targets";
const LOGIN: &str = "http://127.0.0.1:7700/oauth/start/one-time";

/// From the reference, which is generated from the commands.
pub(crate) fn names() -> Vec<String> {
    let reference = applink("man --markdown").run().stdout;
    let headings = reference.lines().filter_map(|line| line.strip_prefix("## `applink ")?.strip_suffix('`'));
    headings.map(str::to_owned).collect()
}

#[test]
fn help_of_every_command() {
    let mut text = String::new();
    for name in names() {
        let ran = applink(&format!("{name} --help")).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}: {ran}");
        writeln!(text, "$ applink {name} --help\n{}", ran.stdout).unwrap();
    }
    insta::assert_snapshot!(text);
}

/// A test shows a command when it runs it and takes a snapshot.
#[test]
fn every_command_is_shown() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut shown = Vec::new();
    for folder in ["cli", "dev", "publish"] {
        for file in std::fs::read_dir(tests.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                let cases = source.split("test]\n").skip(1);
                shown.extend(cases.filter(|case| case.contains("assert_snapshot!")).map(str::to_owned));
            }
        }
    }
    let is_shown = |name: &String| {
        let short = ["applink:", "salesforce:"].into_iter().filter_map(|topic| name.strip_prefix(topic));
        let spelled = short.chain([name.as_str()]).flat_map(|name| [name.to_owned(), name.replace(':', " ")]);
        let mut starts = spelled.flat_map(|name| [format!("\"{name} "), format!("\"{name}\"")]);
        starts.any(|start| shown.iter().any(|test| test.contains(&start)))
    };
    let missing: Vec<String> = names().into_iter().filter(|name| !is_shown(name)).collect();
    assert_eq!(missing, SHOWN_OTHERWISE, "a new command needs a test that shows what it says");
}

/// The commands, one after the other, with what they say.
fn shown(fake: &Fake, prepare: impl Fn(Applink) -> Applink, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let ran = prepare(applink(line)).hide(&fake.host()).run();
        writeln!(text, "$ applink {line}\n{ran}").unwrap();
    }
    text
}

fn target(status: &str) -> Value {
    let key_made = (status == "created").then_some("2025-05-30T18:56:02.282284Z");
    json!({"id": "1b671a64-40d5-491e-99b0-da01ff1f3341", "api_name": "Clicks", "label": "Clicks", "type": "webhook",
        "target_endpoint": "/clicks", "endpoint_url": "https://my-app.example/clicks?apiName=Clicks&orgId=00DSB00000VAyPF2A1",
        "status": status, "signing_key_created_at": key_made, "connection_id": CONNECTION, "app_id": APP,
        "heroku_app": {"id": APP, "name": "my-app", "url": "https://my-app.example"},
        "org": connection("lake", "connected", "DataCloudOrg")["org"],
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com", "last_modified_at": "2025-05-30T18:56:02.282284Z"})
}

fn with_link(mut row: Value) -> Value {
    row["redirect_uri"] = json!(LOGIN);
    row
}

#[test]
fn data_cloud() {
    let lake = |status: &str| connection("lake", status, "DataCloudOrg");
    let user = |status: &str| authorization("clicker", status, "DataCloudOrg");
    let one = format!("{TARGETS}/Clicks");
    let fake = Fake::start()
        .on("POST /connections/datacloud", 202, with_link(lake("connecting")))
        .on(&format!("GET /connections/{CONNECTION}"), 200, lake("connected"))
        .on(&format!("GET /connections/{CONNECTION}"), 200, lake("disconnected"))
        .on("DELETE /connections/lake", 202, lake("disconnecting"))
        .on("POST /authorizations/datacloud", 202, with_link(user("authorizing")))
        .on(&format!("GET /authorizations/{}", crate::fake::AUTHORIZATION), 200, user("authorized"))
        .on("POST /authorizations/datacloud/jwt", 202, user("authorized"))
        .on("GET /authorizations/clicker", 200, user("authorized"))
        .on("DELETE /authorizations/clicker", 200, user("disconnected"))
        .on(&format!("GET {TARGETS}"), 200, json!([target("created")]))
        .on(&format!("POST {TARGETS}"), 202, target("pending"))
        .on(&format!("GET {one}"), 200, target("created"))
        .on(&format!("GET {one}"), 200, target("created"))
        .on(&format!("GET {one}"), 200, target("created"))
        .on(&format!("GET {one}"), 404, crate::fake::error("record_not_found", "record not found"))
        .on(&format!("POST {one}/rotate_signing_key"), 202, target("generating_signing_key"))
        .on(&format!("DELETE {one}"), 202, target("deleting"));
    let lines = [
        "datacloud:connect lake",
        "datacloud:authorizations:add clicker",
        "datacloud:authorizations:add:jwt clicker --client-id 3MVG9 --jwt-key-file jwt.key --username a@acme.example",
        "datacloud:authorizations:remove clicker --confirm clicker",
        "datacloud:data-action-target:create Clicks -o lake -p /clicks",
        "datacloud:data-action-target:list -o lake",
        "datacloud:data-action-target:info Clicks -o lake",
        "datacloud:data-action-target:rotate Clicks -o lake",
        "datacloud:data-action-target:remove Clicks -o lake --confirm Clicks",
        "datacloud:disconnect lake --confirm lake",
    ];
    let key = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
    insta::assert_snapshot!(shown(&fake, |ran| ran.with(&fake).file("jwt.key", key), &lines));
}

#[test]
fn webhooks() {
    let hook = json!({"id": HOOK, "url": "https://hooks.example/applink", "event_types": ["connection.*"],
        "description": "pager", "enabled": true, "disabled_reason": null, "failing_since": null,
        "former_secret_until": null, "created_at": "2026-01-01T00:00:00.000000Z", "created_by": "user@example.com",
        "last_modified_at": "2026-01-01T00:00:00.000000Z", "last_modified_by": "user@example.com"});
    let mut made = hook.clone();
    made["secret"] = json!("whsec_fresh");
    let delivery = json!({"id": HOOK, "event_id": "msg_1", "event_type": "webhook.test", "status": "delivered",
        "created_at": "2026-01-01T00:00:00.000000Z", "next_attempt_at": null,
        "attempts": [{"at": "2026-01-01T00:00:00.000000Z", "status": 204, "outcome": "delivered", "milliseconds": 12}]});
    let at = format!("/webhooks/{HOOK}");
    let fake = Fake::start()
        .on("GET /webhooks", 200, json!([hook]))
        .on("POST /webhooks", 201, made.clone())
        .on(&format!("GET {at}"), 200, hook.clone())
        .on(&format!("PATCH {at}"), 200, hook.clone())
        .on(&format!("DELETE {at}"), 200, hook)
        .on(&format!("POST {at}/rotate-secret"), 200, made)
        .on(&format!("POST {at}/test"), 202, delivery.clone())
        .on(&format!("GET {at}/deliveries"), 200, json!([delivery]));
    let lines = [
        "webhooks",
        "webhooks:create https://hooks.example/applink --events connection.*",
        "webhooks:show 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
        "webhooks:update 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b --enable",
        "webhooks:rotate-secret 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
        "webhooks:test 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
        "webhooks:deliveries 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
        "webhooks:remove 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
    ];
    insta::assert_snapshot!(shown(&fake, |ran| ran.with(&fake), &lines));
}

#[test]
fn tokens() {
    let key = json!({"id": HOOK, "owner": "user@example.com", "scope": "manage", "addon": ADDON, "shown_prefix": "alk_abcdef",
        "created_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2026-04-01T00:00:00.000000Z"});
    let fake = Fake::start()
        .on("GET /keys", 200, json!([key]))
        .on("POST /keys", 201, json!({"id": HOOK, "key": "alk_fresh"}))
        .on(&format!("DELETE /keys/{HOOK}"), 204, Value::Null);
    let lines = [
        "tokens",
        "tokens:create --expires-in-days 7",
        "tokens:revoke 5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b",
        "tokens:create --expires-in-days 366",
    ];
    insta::assert_snapshot!(shown(&fake, |ran| ran.with(&fake), &lines));
    let made: Vec<_> = fake.seen().into_iter().filter(|seen| seen.line.starts_with("POST")).collect();
    assert_eq!((made.len(), made[0].json()), (1, json!({"expires_in_days": 7})));
}

#[test]
fn what_is_done_to_rows() {
    let fake = Fake::start()
        .on("PATCH /connections/old", 200, connection("new_name", "connected", "SalesforceOrg"))
        .on("GET /connections", 200, json!([]))
        .on("GET /authorizations", 200, json!([]))
        .on("POST /authorizations/worker/refresh", 200, authorization("worker", "authorized", "SalesforceOrg"))
        .on(
            &format!("GET /connections/salesforce/old/apps/{APP}/Quotes/history"),
            200,
            json!([{"number": 1, "kind": "publish", "status": "done", "requested_at": "2026-01-01T00:00:00.000000Z",
                "requested_by": "user@example.com", "hash": "h"}]),
        );
    let lines = [
        "connections:rename old new_name",
        "connections:rotate-key old --jwt-key-file jwt.key",
        "authorizations:refresh worker",
        "publications:history Quotes --connection-name old",
        "login --json",
        "doctor",
    ];
    let key = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
    insta::assert_snapshot!(shown(&fake, |ran| ran.with(&fake).file("jwt.key", key), &lines));
}

#[test]
fn what_operators_do() {
    let addon = json!({"id": ADDON, "name": "applink-regular-78506", "attachment": "STAGING",
        "app": {"id": APP, "name": "other", "url": null}, "api_url": "https://applink.example/addons/x", "token": "fresh-token"});
    let vault = json!({"master_key_id": "new", "master_keys": [{"id": "new", "seals": 3}, {"id": "old", "seals": 0}],
        "data_keys": 3, "former_data_keys": 1, "processes": [{"name": "web.1", "master_key_ids": ["new", "old"]}], "rotations": []});
    let fake = Fake::start()
        .on("POST /operator/addons/applink-regular-78506/attachments", 201, addon)
        .on("POST /operator/audit/erase-name", 200, json!({"erased": 2}))
        .on("GET /operator/vault", 200, vault.clone())
        .on("POST /operator/vault/rotations", 202, vault)
        .on("GET /operator/removals", 200, json!([]))
        .on_root("POST /_sim/permission-sets/unassign", 200, json!({}));
    let lines = [
        "admin:addons:attach applink-regular-78506 --app other --as STAGING",
        "admin:audit:erase-name user@example.com",
        "admin:vault:status",
        "admin:vault:rotate-master",
        "admin:vault:rotate-data",
        "keys:rotate data",
        "admin:removals",
        // Its passwords are made anew each time, so only what it lacks is shown here.
        "admin:manifest --slug my-applink",
        "audit:verify",
        "org:permsets:unassign Quotes --on-behalf-of sales@acme.example",
    ];
    insta::assert_snapshot!(shown(&fake, |ran| ran.with_control_plane(&fake).with_org(&fake), &lines));
}
