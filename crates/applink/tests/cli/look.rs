//! What a local org has.

use serde_json::json;

use crate::applink::applink;
use crate::fake::Fake;

fn users() -> serde_json::Value {
    json!([
        {"user_id": "005A", "username": "sales@acme.example", "name": "Sam Sales", "profile": "Standard User", "active": true, "permission_sets": ["A", "B"]},
        {"user_id": "005B", "username": "admin@acme.example", "name": "Ada Admin", "profile": "System Administrator", "active": true, "permission_sets": []},
    ])
}

#[test]
fn users_and_permission_sets() {
    let sets = json!([{"id": "0PS1", "name": "Quote", "label": "Quote it", "session_based": true, "assigned_to": ["sales@acme.example"]}]);
    let fake = Fake::start().on("GET /_sim/users", 200, users()).on("GET /_sim/permission-sets", 200, sets);
    insta::assert_snapshot!(applink("org users").with_org(&fake).run(), @"
    exit: 0
    --- stdout
    === Users

      Username             Name        Profile                Permission Sets
     ─────────────────────────────────────────────────────────────────────────
      sales@acme.example   Sam Sales   Standard User          A, B
      admin@acme.example   Ada Admin   System Administrator
    --- stderr
    ");
    insta::assert_snapshot!(applink("org:permsets").with_org(&fake).run(), @"
    exit: 0
    --- stdout
    === Permission sets

      Name    Label      Session-based   Assigned To
     ───────────────────────────────────────────────────────
      Quote   Quote it   yes             sales@acme.example
    --- stderr
    ");
    let json: serde_json::Value =
        serde_json::from_str(&applink("org:users --json").with_org(&fake).run().stdout).unwrap();
    assert_eq!(json, users());
}

#[test]
fn records_are_those_a_user_sees() {
    let page = json!({"status": 200, "body": {"totalSize": 1, "done": true,
        "records": [{"attributes": {"type": "Account"}, "Id": "001A", "Name": "Acme"}]}});
    let fake = Fake::start().on("GET /_sim/users", 200, users()).on("POST /_sim/sessions/probe", 200, page);
    insta::assert_snapshot!(applink("org records Account").with_org(&fake).run(), @"
    exit: 0
    --- stdout
      Id     Name
     ─────────────
      001A   Acme
    --- stderr
    ");
    assert_eq!(
        fake.seen()[1].json(),
        json!({"username": "admin@acme.example", "soql": "SELECT Id,Name FROM Account LIMIT 20"})
    );
    applink("org records --as sales@acme.example --json").arg("SELECT Id FROM Contact").with_org(&fake).run();
    assert_eq!(
        fake.seen()[2].json(),
        json!({"username": "sales@acme.example", "soql": "SELECT Id FROM Contact"})
    );
    let refused = json!({"status": 400, "body": [{"errorCode": "INVALID_TYPE", "message": "sObject type 'X' is not supported."}]});
    let fake = Fake::start().on("POST /_sim/sessions/probe", 200, refused);
    let ran = applink("org records X --as a@b.c").with_org(&fake).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: sObject type 'X' is not supported.\n"));
}

#[test]
fn callbacks_once_or_as_they_arrive() {
    let one = json!({"invocation_id": "inv-1", "callback": "done", "username": "sales@acme.example", "received_at": "2026-01-01T00:00:00Z", "session_ok": true, "body": {}});
    let fake = Fake::start().on("GET /_sim/callbacks", 200, json!([one]));
    insta::assert_snapshot!(applink("org callbacks").with_org(&fake).run(), @"
    exit: 0
    --- stdout
    === Callbacks

      Received               Callback   User                 Invocation
     ───────────────────────────────────────────────────────────────────
      2026-01-01T00:00:00Z   done       sales@acme.example   inv-1
    --- stderr
    ");
    let mut running = applink("org callbacks --follow").with_org(&fake).spawn();
    let line: serde_json::Value = serde_json::from_str(&running.first_line()).unwrap();
    assert_eq!(line, one);
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn permission_sets_are_taken_too() {
    let fake = Fake::start().on("POST /_sim/permission-sets/unassign", 200, json!({"changed": true}));
    let ran = applink("org permsets unassign Quote -b sales@acme.example").with_org(&fake).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "Taking Quote from sales@acme.example... done\n"));
    assert_eq!(fake.only().json(), json!({"permission_set": "Quote", "username": "sales@acme.example"}));
}
