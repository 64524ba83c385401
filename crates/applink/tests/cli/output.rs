//! JSON for programs: every command has it, and what no API describes is as the reference says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::applink::{Applink, applink};
use crate::every::names;
use crate::fake::{ADDON, APP, Fake, authorization, not_found};
use crate::publish::SPEC;

/// They write something else anyway, or another program speaks for them.
const WITHOUT_JSON: [&str; 5] = ["run", "mesh", "admin:manifest", "completions", "man"];
const KEY: &str = "5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b";

#[test]
fn every_command_writes_json() {
    let without = names()
        .into_iter()
        .filter(|name| !applink(&format!("{name} --help")).run().stdout.contains(" --json"));
    assert_eq!(without.collect::<Vec<_>>(), WITHOUT_JSON);
}

/// The fields by command, of the table in the reference.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let reference = applink("man --markdown").run().stdout;
    let (_, below) = reference.split_once("## JSON of the program itself").unwrap();
    let rows = below.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut all = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let (commands, fields) = row.trim_matches('|').split_once(" | ").unwrap();
        let fields: BTreeSet<String> = ticked(&outside_brackets(fields)).collect();
        all.extend(ticked(commands).map(|command| (command, fields.clone())));
    }
    all
}

fn ticked(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// What is in brackets is about the inside of a field.
fn outside_brackets(text: &str) -> String {
    let mut depth = 0;
    let kept = text.chars().filter(|character| {
        depth += i32::from(*character == '(') - i32::from(*character == ')');
        depth == 0
    });
    kept.collect()
}

/// What is being taken out of an org.
fn published() -> Value {
    let at = "2025-05-30T18:55:42.863808Z";
    json!({"app_uuid": APP, "connection_name": "org1", "org_id": "00DSB00000VAyPF2A1", "esr_name": "Quotes", "esr_id": "",
        "heroku_applink_id": ADDON, "created_at": at, "created_by": "user@example.com", "last_modified_at": at,
        "last_modified_by": "user@example.com",
        "removal": {"status": "removing", "requested_at": at, "requested_by": "user@example.com"}})
}

/// A service that knows one stored user, whose org it is too.
fn service() -> Fake {
    let fake = Fake::start();
    let mut row = authorization("worker", "authorized", "SalesforceOrg");
    row["org"]["instance_url"] = json!(fake.url(""));
    row["org"]["api_version"] = json!("66.0");
    row["org"]["user_auth"] =
        json!({"username": "w@acme.example", "user_id": "005SB00000AbCdEYAV", "access_token": "00D!token"});
    let publication = format!("/connections/salesforce/org1/apps/{APP}/Quotes");
    let user = json!({"user_id": "005SB00000AbCdEYAV", "organization_id": "00DSB00000VAyPF2A1", "preferred_username": "w@acme.example"});
    fake.on("GET /authorizations/worker", 200, row)
        .on_root("GET /services/oauth2/userinfo", 200, user)
        .on_root("GET /services/data/v66.0/limits", 200, json!({}))
        .on_root("POST /accounts", 201, json!({"ok": true}))
        .on("DELETE /authorizations/worker", 200, json!({}))
        .on(&format!("GET {publication}/history"), 404, not_found())
        .on(&format!("DELETE {publication}"), 202, published())
        .on(&format!("GET /connections/salesforce/org1/apps/{APP}"), 200, json!([]))
        .on(&format!("DELETE /keys/{KEY}"), 204, Value::Null)
        .on(&format!("DELETE /operator/keys/{KEY}"), 204, Value::Null)
        .on("POST /sign-in-links", 201, json!({"url": "https://applink.example/sso/open/one-time", "expires_at": "2026-01-01T00:00:00Z", "may_change": true}))
        .on("GET /connections", 200, json!([]))
        .on("GET /authorizations", 200, json!([]))
}

#[test]
fn what_no_api_describes_is_as_the_reference_says() {
    let fake = service();
    let documented = documented();
    let login = format!("login {} --json", fake.url(&format!("/addons/{ADDON}")));
    let invoke = format!("invoke /accounts --authorization worker --app-url {} --json", fake.url(""));
    let revoke = [format!("tokens:revoke {KEY} --json"), format!("admin:keys:revoke {KEY} --json")];
    let mut seen = BTreeSet::new();
    for (command, line) in [
        ("spec:check", "spec:check api.yaml --json"),
        ("publish --dry-run", "publish api.yaml --client-name Quotes --dry-run --json"),
        ("publish --diff", "publish api.yaml --client-name Quotes --connection-name org1 --diff --json"),
        ("authorizations:test", "authorizations:test worker --json"),
        ("authorizations:remove", "salesforce:authorizations:remove worker --confirm worker --json"),
        ("unpublish", "unpublish Quotes --connection-name org1 --confirm Quotes --json"),
        ("tokens:revoke", &revoke[0]),
        ("admin:keys:revoke", &revoke[1]),
        ("doctor", "doctor --json"),
        ("init", "init my-app --json"),
        ("open", "open --show-url --json"),
        ("login", &login),
        ("logout", "logout --json"),
        ("invoke --authorization", &invoke),
    ] {
        let ran: Applink = applink(line).file("api.yaml", SPEC).with(&fake).with_control_plane(&fake);
        let ran = if command == "login" { ran.stdin("alk_another") } else { ran };
        let ran = ran.run();
        let answer: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {ran}"));
        let fields: BTreeSet<String> = answer.as_object().unwrap().keys().cloned().collect();
        assert_eq!(Some(&fields), documented.get(command), "{line}: {ran}");
        seen.insert(command.to_owned());
    }
    let elsewhere: Vec<&String> = documented.keys().filter(|command| !seen.contains(*command)).collect();
    // A list; and what a database or a server is needed for.
    assert_eq!(elsewhere, ["apex-stubs", "audit:verify", "serve"]);
}
