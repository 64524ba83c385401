//! What is done to connections and authorizations that exist.

use serde_json::{Value, json};

use crate::applink::applink;
use crate::fake::{APP, AUTHORIZATION, CONNECTION, Fake, authorization, connection, not_found};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
const LOGIN: &str = "http://127.0.0.1:7700/oauth/start/one-time";

fn later(mut row: Value) -> Value {
    row["last_modified_at"] = json!("2025-05-30T19:00:00.000001Z");
    row
}

fn with_link(mut row: Value) -> Value {
    row["redirect_uri"] = json!(LOGIN);
    row
}

#[test]
fn reconnect_waits_until_the_new_log_in_has_replaced_the_old_one() {
    let live = connection("production_org", "connected", "SalesforceOrg");
    let by_id = format!("GET /connections/{CONNECTION}");
    let fake = Fake::start()
        .on("PATCH /connections/production_org", 202, with_link(live.clone()))
        .on("GET /audit", 200, json!([]))
        .on(&by_id, 200, live.clone())
        .on(&by_id, 200, later(live));
    insta::assert_snapshot!(applink("connections:reconnect production_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Open this page in a browser to reconnect my-app to production_org: http://127.0.0.1:7700/oauth/start/one-time
    Reconnecting production_org to my-app... Connected
    ");
    let looks = fake.seen().iter().filter(|seen| seen.line.contains(CONNECTION)).count();
    assert_eq!(looks, 2, "a row as it was does not end the wait");
    assert_eq!(fake.seen()[0].json(), json!({"reconnect": true}));
}

#[test]
fn reconnect_gives_up_when_nobody_logs_in() {
    let live = connection("production_org", "connected", "SalesforceOrg");
    let fake = Fake::start()
        .on("PATCH /connections/production_org", 202, with_link(live.clone()))
        .on("GET /audit", 200, json!([]))
        .on(&format!("GET /connections/{CONNECTION}"), 200, live);
    let ran = applink("connections reconnect production_org --timeout 1").with(&fake).run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    Open this page in a browser to reconnect my-app to production_org: http://127.0.0.1:7700/oauth/start/one-time
    Reconnecting production_org to my-app... !
    error: nobody logged in within 1 s; production_org is as it was
    ");
}

#[test]
fn reconnect_says_why_a_log_in_failed() {
    let live = connection("production_org", "connected", "SalesforceOrg");
    let failed = |id: &str, reason: &str| {
        json!({"id": id, "at": "2025-05-30T18:55:42.863808Z", "actor": "user@example.com",
        "actor_kind": "browser", "action": "connection.reconnect_failed", "subject": CONNECTION, "detail": format!("production_org: {reason}")})
    };
    let before = failed("s:1", "Of yesterday.");
    let now = failed("s:2", "The log-in was cancelled, or access was denied at the org.");
    let fake = Fake::start()
        .on("PATCH /connections/production_org", 202, with_link(live.clone()))
        .on("GET /audit", 200, json!([before]))
        .on("GET /audit", 200, json!([before]))
        .on("GET /audit", 200, json!([before, now]))
        .on(&format!("GET /connections/{CONNECTION}"), 200, live);
    insta::assert_snapshot!(applink("connections:reconnect production_org").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Open this page in a browser to reconnect my-app to production_org: http://127.0.0.1:7700/oauth/start/one-time
    Reconnecting production_org to my-app... !
    error: the log-in failed, and production_org is as it was: The log-in was cancelled, or access was denied at the org.

    hint: run the same command again to try once more
    ");
}

#[test]
fn a_bare_rename_finds_what_has_the_name() {
    let named = |connections: Value, authorizations: Value| {
        Fake::start()
            .on("GET /connections", 200, connections)
            .on("GET /authorizations", 200, authorizations)
            .on("PATCH /connections/old", 200, connection("new_name", "connected", "SalesforceOrg"))
            .on("PATCH /authorizations/old", 200, authorization("new_name", "authorized", "SalesforceOrg"))
    };
    let (of_org, of_user) = (
        connection("old", "connected", "SalesforceOrg"),
        authorization("old", "authorized", "SalesforceOrg"),
    );
    for (fake, patched) in [
        (named(json!([of_org]), json!([])), "/connections/old"),
        (named(json!([]), json!([of_user])), "/authorizations/old"),
    ] {
        let ran = applink("rename old new_name").with(&fake).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Renaming old to new_name... done\n"), "{ran}");
        assert!(fake.seen().last().unwrap().line.ends_with(patched));
    }
    let both = applink("rename old new_name").with(&named(json!([of_org]), json!([of_user]))).run();
    insta::assert_snapshot!(both, @"
    exit: 1
    --- stdout
    --- stderr
    error: a connection and an authorization are called old

    hint: say which: `applink connections:rename old new_name` or `applink authorizations:rename old new_name`
    ");
    insta::assert_snapshot!(applink("rename old new_name").with(&named(json!([]), json!([]))).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: nothing is called old on my-app

    hint: `applink connections` and `applink authorizations` list the names
    ");
}

#[test]
fn reconnect_by_key_needs_no_browser() {
    let fake = Fake::start().on(
        "PATCH /connections/org_jwt",
        200,
        connection("org_jwt", "connected", "SalesforceOrg"),
    );
    let ran = applink("connections:reconnect org_jwt").with(&fake).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "org_jwt logged in again: Connected\n"));
}

#[test]
fn wait_ends_when_the_connection_has_settled() {
    let by_name = "GET /connections/new_org";
    let fake = Fake::start().on(by_name, 200, connection("new_org", "connecting", "SalesforceOrg")).on(
        by_name,
        200,
        connection("new_org", "connected", "SalesforceOrg"),
    );
    insta::assert_snapshot!(applink("connections:wait new_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Waiting for new_org... Connected
    ");
    let failed = Fake::start().on(by_name, 200, connection("new_org", "failed", "SalesforceOrg"));
    assert_eq!(applink("connections:wait new_org").with(&failed).run().code, Some(1));
    let never = Fake::start().on(by_name, 200, connection("new_org", "connecting", "SalesforceOrg"));
    insta::assert_snapshot!(applink("connections:wait new_org --timeout 1").with(&never).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Waiting for new_org... !
    error: new_org has not settled in time

    hint: a person has to finish the log-in in a browser, or wait longer with --timeout
    ");
    let unknown = Fake::start().on(by_name, 404, not_found());
    assert_eq!(applink("connections:wait new_org").with(&unknown).run().code, Some(1));
}

#[test]
fn rename_and_rotate_key_of_a_connection() {
    let fake =
        Fake::start().on("PATCH /connections/old", 200, connection("new", "connected", "SalesforceOrg"));
    let ran = applink("connections:rename old new_name").with(&fake).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Renaming old to new_name... done\n"), "{ran}");
    assert_eq!(fake.only().json(), json!({"connection_name": "new_name"}));
    let ran = applink("connections:rename old 1bad").with(&fake).run();
    assert_eq!((ran.code, fake.seen().len()), (Some(1), 1), "{ran}");

    let line = "connections:rotate-key old --jwt-key-file - --client-id 3MVG9";
    let ran = applink(line).with(&fake).stdin(KEY).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Changing the key of old... done\n"), "{ran}");
    assert_eq!(fake.seen()[1].json(), json!({"client_id": "3MVG9", "jwt_private_key": KEY}));
}

#[test]
fn the_same_for_authorizations() {
    let row = authorization("worker", "authorized", "SalesforceOrg");
    let fake = Fake::start().on("PATCH /authorizations/old", 200, row.clone());
    let ran = applink("authorizations:rename old worker --alias ci:worker").with(&fake).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Renaming old to worker... done\n"), "{ran}");
    assert_eq!(fake.only().json(), json!({"developer_name": "worker", "alias": "ci:worker"}));
    let ran = applink("authorizations:rotate-key old --jwt-key-file jwt.key")
        .with(&fake)
        .file("jwt.key", KEY)
        .run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Changing the key of old... done\n"), "{ran}");
    let open = applink("authorizations:rotate-key old --jwt-key-file jwt.key").with(&fake);
    let open = open.file_with_mode("jwt.key", KEY, 0o644).run();
    assert_eq!((open.code, fake.seen().len()), (Some(1), 2), "a key others can read is refused: {open}");

    let by_id = format!("GET /authorizations/{AUTHORIZATION}");
    let fake = Fake::start()
        .on("PATCH /authorizations/worker", 202, with_link(row.clone()))
        .on("GET /audit", 200, json!([]))
        .on(&by_id, 200, row.clone())
        .on(&by_id, 200, later(row));
    insta::assert_snapshot!(applink("authorizations:reconnect worker").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Open this page in a browser to log worker in again: http://127.0.0.1:7700/oauth/start/one-time
    Logging worker in again on my-app... Authorized
    ");
}

#[test]
fn refresh_asks_as_the_app_does_and_shows_no_token() {
    let mut row = authorization("worker", "authorized", "SalesforceOrg");
    row["org"]["user_auth"] =
        json!({"username": "a@b.c", "user_id": "005", "access_token": "00D!token-canary"});
    let fake = Fake::start().on("POST /authorizations/worker/refresh", 200, row);
    let ran = applink("authorizations:refresh worker --json").with(&fake).run();
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "Renewing the access token of worker... Authorized\n")
    );
    assert!(!ran.stdout.contains("canary"), "{ran}");
    assert_eq!(fake.only().header("x-app-uuid"), APP);
}

/// A service that hands out a token of an org, both of them `fake`.
fn org() -> Fake {
    let fake = Fake::start();
    let mut row = authorization("worker", "authorized", "SalesforceOrg");
    row["org"]["instance_url"] = json!(fake.url(""));
    row["org"]["api_version"] = json!("66.0");
    row["org"]["user_auth"] = json!({"username": "w@acme.example", "user_id": "005SB00000AbCdEYAV", "access_token": "00D!token-canary"});
    fake.on("GET /authorizations/worker", 200, row)
}

#[test]
fn test_says_whose_the_token_is_and_what_is_left() {
    let fake = org()
        .on_root("GET /services/oauth2/userinfo", 200, json!({"user_id": "005SB00000AbCdEYAV", "organization_id": "00DSB00000VAyPF2A1", "preferred_username": "w@acme.example"}))
        .on_root("GET /services/data/v66.0/limits", 200, json!({"DailyApiRequests": {"Max": 15000, "Remaining": 14998}, "Unheard": {"Max": 1, "Remaining": 1}}));
    insta::assert_snapshot!(applink("authorizations:test worker").with(&fake).run(), @"
    exit: 0
    --- stdout
    === worker works

    Username:         w@acme.example
    User ID:          005SB00000AbCdEYAV
    Org ID:           00DSB00000VAyPF2A1
    Instance URL:     http://[HOST]
    API Version:      66.0
    DailyApiRequests: 14998 of 15000 left
    --- stderr
    Testing worker... done
    ");
    assert_eq!(fake.seen()[1].header("authorization"), "Bearer 00D!token-canary");
    let json = applink("authorizations:test worker --json").with(&fake).run();
    let read: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&read["works"], &read["limits"][0]["remaining"]), (&json!(true), &json!(14998)));
    assert!(!json.stdout.contains("canary"));
}

#[test]
fn test_of_a_token_the_org_refuses() {
    let refusal = json!([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]);
    let fake = org().on_root("GET /services/oauth2/userinfo", 401, refusal);
    let ran = applink("authorizations:test worker").with(&fake).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
    assert!(ran.stderr.contains("Session expired"), "{ran}");
}

#[test]
fn invoke_of_an_app_on_this_machine_brings_the_context_along() {
    use base64::Engine as _;
    let service = org();
    let app = Fake::start().on_root("POST /accounts", 201, json!({"ok": true}));
    let line = format!("invoke /accounts --authorization worker --app-url {}", app.url(""));
    let ran = applink(&line).arg("--body").arg(r#"{"a":1}"#).with(&service).hide(&app.host()).run();
    insta::assert_snapshot!(ran, @r#"
    exit: 0
    --- stdout
    {
      "ok": true
    }
    --- stderr
    Calling POST http://[HOST]/accounts as w@acme.example... 201
    "#);
    let call = app.only();
    let context = base64::engine::general_purpose::STANDARD.decode(call.header("x-client-context")).unwrap();
    let context: Value = serde_json::from_slice(&context).unwrap();
    assert_eq!(context["accessToken"], "00D!token-canary");
    assert_eq!(context["requestId"], call.header("x-request-id"));
    assert_eq!(context["userContext"], json!({"userId": "005SB00000AbCdEYAV", "username": "w@acme.example"}));
    assert_eq!(context["orgDomainUrl"], service.url(""));
    assert_eq!(call.json(), json!({"a": 1}));
}

#[test]
fn a_users_token_goes_to_no_app_elsewhere() {
    let service = org();
    for (path, url) in [
        ("/x", "http://app.example"),
        ("/x", "https://127.0.0.1:1"),
        ("//evil.example/x", "http://127.0.0.1:1"),
    ] {
        let ran =
            applink(&format!("invoke {path} --authorization worker --app-url {url}")).with(&service).run();
        assert_eq!((ran.code, service.seen().len()), (Some(1), 0), "{ran}");
    }
    insta::assert_snapshot!(applink("invoke Service.operation --authorization worker").with(&service).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: `Service.operation` is no path of an app

    hint: with --authorization an app on this machine is called: give a path such as /accounts
    ");
}
