use serde_json::{Value, json};

use crate::applink::applink;
use crate::fake::{CONNECTION, Fake, connection, error};

const TARGETS: &str = "/connections/datacloud/lake/data_action_targets";

fn target(status: &str) -> Value {
    json!({"id": "1b671a64-40d5-491e-99b0-da01ff1f3341", "api_name": "My_Target", "label": "My Target", "type": "webhook",
        "target_endpoint": "/clicks", "endpoint_url": "https://my-app.example/clicks?apiName=My_Target&orgId=00DSB00000VAyPF2A1",
        "status": status, "connection_id": CONNECTION, "app_id": "89abcdef-0123-4567-89ab-cdef01234567",
        "heroku_app": {"id": "89abcdef-0123-4567-89ab-cdef01234567", "name": "my-app", "url": "https://my-app.example"},
        "org": connection("lake", "connected", "DataCloudOrg")["org"],
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com", "last_modified_at": "2025-05-30T18:56:02.282284Z"})
}

#[test]
fn connect_posts_to_the_data_cloud_path() {
    let mut started = connection("lake", "connecting", "DataCloudOrg");
    started["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    let fake = Fake::start().on("POST /connections/datacloud", 202, started).on(
        &format!("GET /connections/{CONNECTION}"),
        200,
        connection("lake", "connected", "DataCloudOrg"),
    );
    let ran = applink("datacloud connect lake").with(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("Connecting Data Cloud org to my-app as lake... Connected"), "{ran}");
}

#[test]
fn a_target_is_looked_at_until_it_is_created() {
    let one = format!("GET {TARGETS}/My_Target");
    let fake = Fake::start()
        .on(&format!("POST {TARGETS}"), 202, target("pending"))
        .on(&one, 200, target("generating_signing_key"))
        .on(&one, 200, target("created"));
    let ran = applink("datacloud:data-action-target:create My_Target -o lake -p /clicks").with(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stderr.contains("Creating my-app as 'My_Target' data action target webhook to lake... Created"),
        "{ran}"
    );
    assert_eq!(
        fake.seen()[0].json(),
        json!({"api_name": "My_Target", "label": "My_Target", "target_endpoint": "/clicks", "type": "webhook"})
    );
}

#[test]
fn a_target_that_fails_says_why() {
    let mut failed = target("creation_failed");
    failed["error"] = json!({"id": "org_connection_failed", "message": "the org said no"});
    let fake = Fake::start().on(&format!("POST {TARGETS}"), 202, target("pending")).on(
        &format!("GET {TARGETS}/My_Target"),
        200,
        failed,
    );
    let ran = applink("datacloud:data-action-target:create My_Target -o lake -p /clicks").with(&fake).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("Creation Failed") && ran.stderr.contains("the org said no"), "{ran}");
}

#[test]
fn a_target_is_removed_when_the_org_has_let_it_go_and_else_the_reason_is_told() {
    let one = format!("{TARGETS}/My_Target");
    let asked = |fake: Fake| fake.on(&format!("DELETE {one}"), 202, target("deleting"));
    let line = "datacloud:data-action-target:remove My_Target -o lake --confirm My_Target";
    let gone = asked(Fake::start()).on(&format!("GET {one}"), 200, target("deleting")).on(
        &format!("GET {one}"),
        404,
        error("record_not_found", "record not found"),
    );
    let ran = applink(line).with(&gone).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("Removing My_Target from lake... done"), "{ran}");
    let mut kept = target("created");
    kept["error"] = json!({"id": "org_connection_failed", "message": "The org keeps it (OnClick uses it)."});
    let ran = applink(line).with(&asked(Fake::start()).on(&format!("GET {one}"), 200, kept)).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("Failed") && ran.stderr.contains("OnClick uses it"), "{ran}");
}

#[test]
fn a_rotation_that_made_no_key_says_what_counts_now() {
    let one = format!("{TARGETS}/My_Target");
    let rotate = |settled: Value| {
        let fake = Fake::start().on(
            &format!("POST {one}/rotate_signing_key"),
            202,
            target("generating_signing_key"),
        );
        let fake = fake.on(&format!("GET {one}"), 200, settled);
        applink("datacloud:data-action-target:rotate My_Target -o lake").with(&fake).run()
    };
    let ran = rotate(target("created"));
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("the present one still counts"), "{ran}");
    let mut in_doubt = target("created");
    let message = "The org may sign with another key now: its answer got lost.";
    in_doubt["error"] = json!({"id": "org_connection_failed", "message": message});
    let ran = rotate(in_doubt);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr.contains("may sign with another key now") && !ran.stderr.contains("still counts"),
        "{ran}"
    );
}

#[test]
fn disconnecting_names_the_targets_that_go_too() {
    let fake = Fake::start().on(&format!("GET {TARGETS}"), 200, json!([target("created")]));
    let ran = applink("datacloud:disconnect lake").with(&fake).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("removes its data action targets: My Target"), "{ran}");
    assert_eq!(fake.seen().len(), 1, "nothing was changed");
}

#[test]
fn an_unknown_target_and_an_unknown_connection_are_named() {
    let fake = Fake::start()
        .on(&format!("GET {TARGETS}/Nobody"), 404, error("record_not_found", "record not found"))
        .on(&format!("POST {TARGETS}"), 404, error("record_not_found", "record not found"));
    let ran = applink("datacloud:data-action-target:info Nobody -o lake").with(&fake).run();
    assert!(ran.stderr.contains("there is no data action target Nobody in lake"), "{ran}");
    let fake = fake.on(&format!("GET {TARGETS}"), 200, json!([])).on(
        "GET /connections/lake",
        404,
        error("record_not_found", "record not found"),
    );
    let ran = applink("datacloud:data-action-target:list -o lake").with(&fake).run();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("Data Cloud connection lake doesn't exist on app my-app"), "{ran}");
    let ran = applink("datacloud:data-action-target:create Some -o lake -p /x").with(&fake).run();
    assert!(ran.stderr.contains("Data Cloud connection lake doesn't exist on app my-app"), "{ran}");
}

#[test]
fn a_target_is_listed_and_shown() {
    let fake = Fake::start().on(&format!("GET {TARGETS}"), 200, json!([target("created")])).on(
        &format!("GET {TARGETS}/My_Target"),
        200,
        target("created"),
    );
    let listed = applink("datacloud:data-action-target:list -o lake").with(&fake).run();
    assert!(listed.stdout.contains("My_Target") && listed.stdout.contains("/clicks"), "{listed}");
    let shown = applink("datacloud:data-action-target:info My_Target -o lake").with(&fake).run();
    assert!(shown.stdout.contains("https://my-app.example/clicks?apiName=My_Target"), "{shown}");
}
