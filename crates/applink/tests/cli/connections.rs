use serde_json::json;

use crate::applink::{TOKEN, applink};
use crate::fake::{ADDON, APP, Fake, Seen, connection, error, not_found};

fn three() -> Fake {
    Fake::start().on(
        "GET /connections",
        200,
        json!([
            connection("production_org", "connected", "SalesforceOrg"),
            connection("my_datacloud", "connected", "DataCloudOrg"),
            connection("broken_org", "failed", "SalesforceOrg"),
        ]),
    )
}

#[test]
fn every_spelling_lists_the_same_table() {
    let fake = three();
    let first = applink("applink:connections").with(&fake).run();
    insta::assert_snapshot!(first, @"
    exit: 0
    --- stdout
    === Heroku AppLink connections for add-on applink-regular-78506 on app my-app

      Add-On                  Connection Name   status      type
     ──────────────────────────────────────────────────────────────────────
      applink-regular-78506   production_org    Connected   Salesforce Org
      applink-regular-78506   my_datacloud      Connected   Data Cloud Org
      applink-regular-78506   broken_org        Failed      Salesforce Org
    --- stderr
    warning: you have one or more failed connections; `applink connections:info NAME` says why
    ");
    for spelling in [
        "connections",
        "applink connections",
        "applink:connections -a my-app",
        "connections --addon applink-regular-78506",
    ] {
        assert_eq!(applink(spelling).with(&fake).run().stdout, first.stdout, "{spelling}");
    }
}

#[test]
fn a_read_carries_the_token_the_app_and_a_request_id() {
    let fake = three();
    applink("connections").with(&fake).run();
    let seen = fake.only();
    assert_eq!(seen.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(seen.header("x-app-uuid"), APP);
    assert_eq!(seen.header("accept"), "application/json");
    assert_eq!(seen.header("x-request-id").len(), 36);
    assert!(seen.header("user-agent").starts_with("applink/"));
}

#[test]
fn no_connections() {
    let fake = Fake::start().on("GET /connections", 200, json!([]));
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 0
    --- stdout
    There are no Heroku AppLink connections for app my-app.
    --- stderr
    ");
}

#[test]
fn json_is_the_answer_of_the_service() {
    let fake =
        Fake::start().on("GET /connections", 200, json!([connection("org1", "connected", "SalesforceOrg")]));
    insta::assert_snapshot!(applink("connections --json").with(&fake).run(), @r#"
    exit: 0
    --- stdout
    [
      {
        "id": "792fb84d-9c0a-4e28-bee9-754bbfe1c100",
        "addon_id": "01234567-89ab-cdef-0123-456789abcdef",
        "status": "connected",
        "redirect_uri": null,
        "org": {
          "id": "00DSB00000VAyPF2A1",
          "instance_url": "https://acme-corp.my.salesforce.com",
          "type": "SalesforceOrg",
          "connection_name": "org1"
        },
        "created_at": "2025-05-30T18:55:42.863808Z",
        "created_by": "user@example.com",
        "created_via_app": "my-app",
        "last_modified_at": "2025-05-30T18:56:02.282284Z",
        "last_modified_by": "user@example.com"
      }
    ]
    --- stderr
    "#);
}

#[test]
fn info_of_a_connected_org() {
    let fake = Fake::start().on(
        "GET /connections/production_org",
        200,
        connection("production_org", "connected", "SalesforceOrg"),
    );
    insta::assert_snapshot!(applink("connections:info production_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    === production_org on app my-app

    Connection Type:  Salesforce Org
    Created By:       user@example.com
    Created Date:     2025-05-30T18:55:42.863808Z
    ID:               792fb84d-9c0a-4e28-bee9-754bbfe1c100
    Instance URL:     https://acme-corp.my.salesforce.com
    Last Modified:    2025-05-30T18:56:02.282284Z
    Last Modified By: user@example.com
    Org ID:           00DSB00000VAyPF2A1
    Status:           Connected
    --- stderr
    ");
}

#[test]
fn info_of_a_failed_org_says_why() {
    let mut broken = connection("broken_org", "failed", "SalesforceOrg");
    broken["error"] =
        json!({"id": "org_connection_failed", "message": "the user lacks Manage Heroku AppLink"});
    let fake = Fake::start().on("GET /connections/broken_org", 200, broken);
    insta::assert_snapshot!(applink("connections info broken_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    === broken_org on app my-app

    Connection Type:  Salesforce Org
    Created By:       user@example.com
    Created Date:     2025-05-30T18:55:42.863808Z
    ID:               792fb84d-9c0a-4e28-bee9-754bbfe1c100
    Last Modified:    2025-05-30T18:56:02.282284Z
    Last Modified By: user@example.com
    Status:           Failed
    --- stderr
    warning: the user lacks Manage Heroku AppLink
    ");
}

#[test]
fn info_of_an_unknown_name() {
    let fake = Fake::start().on("GET /connections/no_such", 404, not_found());
    insta::assert_snapshot!(applink("connections:info no_such").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Salesforce connection no_such doesn't exist on app my-app

    hint: `applink connections` lists the connections
    ");
}

#[test]
fn a_name_that_would_change_the_path_is_refused() {
    let fake = Fake::start();
    insta::assert_snapshot!(applink("connections:info ..").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: `..` can't be the name of a connection
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn a_refusal_of_the_service_is_shown_as_it_is() {
    let fake =
        Fake::start().on("GET /connections", 401, error("unauthorized", "Invalid credentials provided."));
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Invalid credentials provided.

    hint: APPLINK_API_KEY of the environment, or the add-on's token, counts no more or is of another add-on: `applink doctor` says which
    ");
}

#[test]
fn a_broken_service() {
    let fake = Fake::start().on("GET /connections", 500, error("server_error", "Something went wrong."));
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: Something went wrong.

    hint: the log of the service says more, under the same request id
    ");
    let fake = Fake::start().on_text("GET /connections", 500, "oops");
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: [HOST] answered 500, but not as the AppLink API does
      the address comes from HEROKU_APPLINK_API_URL in the environment

    hint: does the address really lead to an AppLink service, of a version this client knows?
    ");
    let fake = Fake::start().on("GET /connections", 200, json!([{"id": "x"}]));
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: the answer of [HOST] can't be read at `[0].id`
      caused by: UUID parsing failed: invalid character: found `x` at 0 at line 1 column 10

    hint: does the address really lead to an AppLink service, of a version this client knows?
    ");
}

#[test]
fn a_redirect_is_not_followed() {
    let fake = Fake::start().on("GET /connections", 302, json!({}));
    insta::assert_snapshot!(applink("connections").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: [HOST] answered 302, but not as the AppLink API does
      the address comes from HEROKU_APPLINK_API_URL in the environment

    hint: does the address really lead to an AppLink service, of a version this client knows?
    ");
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    let fake = Fake::start().on(
        "GET /connections",
        200,
        json!([connection("org\u{1b}[2J", "connected", "SalesforceOrg")]),
    );
    assert!(!applink("connections").with(&fake).run().stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let fake = three();
    let (mut command, _directory) = applink("connections").with(&fake).into_command();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn disconnect_with_confirmation() {
    let fake = Fake::start().on(
        "DELETE /connections/production_org",
        202,
        connection("production_org", "disconnecting", "SalesforceOrg"),
    );
    let ran = applink("salesforce:disconnect production_org --confirm production-org").with(&fake).run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    Disconnecting Salesforce connection production_org from my-app... Disconnected
    ");
    let asked = fake.seen();
    let deletes: Vec<&Seen> = asked.iter().filter(|seen| seen.line.starts_with("DELETE ")).collect();
    assert_eq!(deletes.len(), 1, "{:?}", asked.iter().map(|seen| &seen.line).collect::<Vec<_>>());
    assert_eq!(deletes[0].header("authorization"), format!("Bearer {}", crate::applink::API_KEY));
}

#[test]
fn disconnect_lists_what_stays_in_the_org() {
    let publication = |name: &str| {
        json!({
            "app_uuid": APP, "connection_name": "production_org", "org_id": "00DSB00000VAyPF2A1", "esr_name": name,
            "esr_id": "0yl000000000001AAA", "heroku_applink_id": ADDON,
            "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com",
            "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
            "components": [
                {"type": "ExternalServiceRegistration", "name": name, "success": true, "created": true},
                {"type": "PermissionSet", "name": name, "success": true, "created": true},
            ],
        })
    };
    let mut gone = publication("Gone");
    gone["removed_at"] = json!("2025-06-01T00:00:00.000000Z");
    let fake = Fake::start()
        .on(
            &format!("GET /connections/salesforce/production_org/apps/{APP}"),
            200,
            json!([publication("Quotes"), gone]),
        )
        .on(
            "DELETE /connections/production_org",
            202,
            connection("production_org", "disconnecting", "SalesforceOrg"),
        );
    insta::assert_snapshot!(applink("salesforce:disconnect production_org -c production_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Disconnecting Salesforce connection production_org from my-app... Disconnected
    warning: Quotes stays in org 00DSB00000VAyPF2A1, and nothing can be published there any more:
      ExternalServiceRegistration Quotes
      PermissionSet Quotes
    connect the org again to publish or `applink unpublish` them, or delete them in its Setup
    ");
}

#[test]
fn disconnect_accepts_an_empty_answer() {
    let fake = Fake::start().on_text("DELETE /connections/production_org", 200, "");
    assert_eq!(
        applink("salesforce disconnect production_org -c production_org").with(&fake).run().code,
        Some(0)
    );
}

#[test]
fn disconnect_without_a_terminal_needs_the_flag() {
    let fake = Fake::start();
    insta::assert_snapshot!(applink("salesforce:disconnect production_org").with(&fake).stdin("production_org\n").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: this disconnects production_org from add-on applink-regular-78506 on app my-app; there is no terminal to confirm that

    hint: run it again with `--confirm production_org`
    ");
    insta::assert_snapshot!(applink("salesforce:disconnect production_org -c other").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: confirmation `other` did not match `production_org`; nothing was changed
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn disconnect_of_an_unknown_name() {
    let fake = Fake::start().on("DELETE /connections/no_such", 404, not_found());
    insta::assert_snapshot!(applink("salesforce:disconnect no_such -c no_such").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Disconnecting Salesforce connection no_such from my-app... !
    error: Salesforce connection no_such doesn't exist on app my-app

    hint: `applink connections` lists the connections
    ");
}
