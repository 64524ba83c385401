//! What the official plugin (2.0.3) prints, in our own words and data: titles, columns and their order, fields, final
//! status words. Spaces and the length of rules are free; everything else is equal byte by byte.
//!
//! What differs on purpose, and so is not held against it here: its refusals and warnings have another form, and a
//! connection that failed is exit status 1 of ours and 0 of its. The list of publications has one more column, the last.

use serde_json::{Value, json};

use crate::applink::{Ran, applink};
use crate::fake::{AUTHORIZATION, CONNECTION, Fake, authorization, connection};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nkey\n-----END PRIVATE KEY-----\n";
const JWT: &str = "--client-id 3MVG9 --jwt-key-file jwt.key --username api.user@example.com";

/// Without empty lines, runs of spaces as one, rules as `─`.
fn normalised(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = |line: &str| if line.contains('─') { "─".to_owned() } else { words(line) };
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

fn same_data(ran: &Ran, expected: &str) {
    assert_eq!(normalised(&ran.stdout), normalised(expected), "{ran}");
}

/// The last line, as it stands in the end.
fn same_end(ran: &Ran, expected: &str) {
    let last = ran.stderr.lines().rfind(|line| line.contains("..."));
    assert_eq!(last.map(normalised), Some(normalised(expected)), "{ran}");
}

fn three_connections() -> Value {
    json!([
        connection("production_org", "connected", "SalesforceOrg"),
        connection("my_datacloud", "connected", "DataCloudOrg"),
        connection("broken_org", "failed", "SalesforceOrg"),
    ])
}

#[test]
fn connections() {
    let fake = Fake::start().on("GET /connections", 200, three_connections());
    for spelling in
        ["applink:connections", "applink connections", "applink applink:connections", "connections"]
    {
        same_data(
            &applink(&format!("{spelling} -a my-app")).with(&fake).run(),
            "=== Heroku AppLink connections for add-on applink-regular-78506 on app my-app
             Add-On                Connection Name status    type
             ─
             applink-regular-78506 production_org  Connected Salesforce Org
             applink-regular-78506 my_datacloud    Connected Data Cloud Org
             applink-regular-78506 broken_org      Failed    Salesforce Org",
        );
    }
    let none = Fake::start().on("GET /connections", 200, json!([]));
    same_data(
        &applink("applink:connections -a my-app").with(&none).run(),
        "There are no Heroku AppLink connections for app my-app.",
    );
}

#[test]
fn connections_info() {
    let fake = Fake::start()
        .on(
            "GET /connections/production_org",
            200,
            connection("production_org", "connected", "SalesforceOrg"),
        )
        .on("GET /connections/broken_org", 200, connection("broken_org", "failed", "SalesforceOrg"));
    same_data(
        &applink("applink:connections:info production_org -a my-app").with(&fake).run(),
        &format!(
            "=== production_org on app my-app
             Connection Type:  Salesforce Org
             Created By:       user@example.com
             Created Date:     2025-05-30T18:55:42.863808Z
             ID:               {CONNECTION}
             Instance URL:     https://acme-corp.my.salesforce.com
             Last Modified:    2025-05-30T18:56:02.282284Z
             Last Modified By: user@example.com
             Org ID:           00DSB00000VAyPF2A1
             Status:           Connected"
        ),
    );
    // What there is not is not shown.
    same_data(
        &applink("applink:connections:info broken_org -a my-app").with(&fake).run(),
        &format!(
            "=== broken_org on app my-app
             Connection Type:  Salesforce Org
             Created By:       user@example.com
             Created Date:     2025-05-30T18:55:42.863808Z
             ID:               {CONNECTION}
             Last Modified:    2025-05-30T18:56:02.282284Z
             Last Modified By: user@example.com
             Status:           Failed"
        ),
    );
}

#[test]
fn authorizations() {
    let both = json!([
        authorization("auth_user", "authorized", "SalesforceOrg"),
        authorization("dc_user", "authorized", "DataCloudOrg")
    ]);
    let fake = Fake::start().on("GET /authorizations", 200, both).on(
        "GET /authorizations/auth_user",
        200,
        authorization("auth_user", "authorized", "SalesforceOrg"),
    );
    same_data(
        &applink("applink:authorizations -a my-app").with(&fake).run(),
        "=== Heroku AppLink authorizations for app my-app
         Add-On                Developer Name status     type
         ─
         applink-regular-78506 auth_user      Authorized Salesforce Org
         applink-regular-78506 dc_user        Authorized Data Cloud Org",
    );
    same_data(
        &applink("applink:authorizations:info auth_user -a my-app").with(&fake).run(),
        &format!(
            "=== auth_user on app my-app
             Add-on:           applink-regular-78506
             App:              my-app
             Created By:       user@example.com
             Created Date:     2025-05-30T18:55:42.863808Z
             ID:               {AUTHORIZATION}
             Instance URL:     https://acme-corp.my.salesforce.com
             Last Modified:    2025-05-30T18:56:02.282284Z
             Last Modified By: user@example.com
             Org ID:           00DSB00000VAyPF2A1
             Status:           Authorized
             Type:             Salesforce Org
             Username:         admin@applink.org"
        ),
    );
    let none = Fake::start().on("GET /authorizations", 200, json!([]));
    same_data(
        &applink("applink:authorizations -a my-app").with(&none).run(),
        "There are no Heroku AppLink authorizations for add-on applink-regular-78506 on app my-app.",
    );
}

#[test]
fn publications() {
    let publication = json!({
        "app_uuid": crate::fake::APP, "connection_name": "production_org", "org_id": "00DSB00000VAyPF2A1",
        "esr_name": "HerokuAPI", "esr_id": "0jXSB0000000001AAA", "heroku_applink_id": crate::fake::ADDON,
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com",
        "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
    });
    let list = format!("GET /connections/salesforce/production_org/apps/{}", crate::fake::APP);
    let fake = Fake::start()
        .on("GET /connections", 200, three_connections())
        .on(
            "GET /connections/production_org",
            200,
            connection("production_org", "connected", "SalesforceOrg"),
        )
        .on(&list, 200, json!([publication]));
    for line in [
        "salesforce:publications -a my-app",
        "salesforce:publications -a my-app --connection_name production_org",
    ] {
        same_data(
            &applink(line).with(&fake).run(),
            "=== Salesforce publications for app my-app
             Connection Name Created By Created Date Last Modified Last Modified By Org ID Client Name
             ─
             production_org user@example.com 2025-05-30T18:55:42.863808Z 2025-05-30T18:56:02.282284Z user@example.com 00DSB00000VAyPF2A1 HerokuAPI",
        );
    }
}

/// With where to log in.
fn started(mut row: Value) -> Value {
    row["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    row
}

/// The command succeeds, and its last line is `end`.
fn ends(line: &str, fake: &Fake, end: &str) {
    let ran = applink(line).with(fake).file("jwt.key", KEY).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{line}: {ran}");
    same_end(&ran, end);
}

#[test]
fn how_changes_end() {
    let fake = Fake::start()
        .on(
            "POST /connections/salesforce",
            202,
            started(connection("new_org", "connecting", "SalesforceOrg")),
        )
        .on(
            &format!("GET /connections/{CONNECTION}"),
            200,
            connection("new_org", "connected", "SalesforceOrg"),
        )
        .on("POST /connections/salesforce/jwt", 202, connection("org_jwt", "connected", "SalesforceOrg"))
        .on("DELETE /connections/production_org", 200, json!({}))
        .on(
            "POST /authorizations/salesforce",
            202,
            started(authorization("new_user", "authorizing", "SalesforceOrg")),
        )
        .on(
            &format!("GET /authorizations/{AUTHORIZATION}"),
            200,
            authorization("new_user", "authorized", "SalesforceOrg"),
        )
        .on(
            "POST /authorizations/salesforce/jwt",
            202,
            authorization("new_jwt", "authorized", "SalesforceOrg"),
        )
        .on("DELETE /authorizations/auth_user", 200, json!({}));
    let add = "Adding credentials for api.user@example.com to my-app as";
    for (line, end) in [
        (
            "salesforce:connect new_org -a my-app".to_owned(),
            "Connecting Salesforce org to my-app as new_org... Connected".to_owned(),
        ),
        (format!("salesforce:connect:jwt org_jwt -a my-app {JWT}"), format!("{add} org_jwt... Connected")),
        (
            "salesforce:disconnect production_org -a my-app --confirm production_org".to_owned(),
            "Disconnecting Salesforce connection production_org from my-app... Disconnected".to_owned(),
        ),
        (
            "salesforce:authorizations:add new_user -a my-app".to_owned(),
            "Adding credentials to my-app as new_user... Authorized".to_owned(),
        ),
        (
            format!("salesforce:authorizations:jwt:add new_jwt -a my-app {JWT}"),
            format!("{add} new_jwt... Authorized"),
        ),
        (
            format!("salesforce:authorizations:add:jwt new_jwt -a my-app {JWT}"),
            format!("{add} new_jwt... Authorized"),
        ),
        (
            "salesforce:authorizations:remove auth_user -a my-app --confirm auth_user".to_owned(),
            "Removing credentials auth_user from my-app... done".to_owned(),
        ),
    ] {
        ends(&line, &fake, &end);
    }
}

#[test]
fn how_changes_of_data_cloud_end() {
    let fake = Fake::start()
        .on("POST /connections/datacloud", 202, started(connection("new_org", "connecting", "DataCloudOrg")))
        .on("GET /connections/datacloud/my_datacloud/data_action_targets", 200, json!([]))
        .on("DELETE /connections/my_datacloud", 200, json!({}))
        .on(
            "POST /authorizations/datacloud",
            202,
            started(authorization("new_user", "authorizing", "DataCloudOrg")),
        )
        .on("POST /authorizations/datacloud/jwt", 202, authorization("new_jwt", "authorized", "DataCloudOrg"))
        .on("DELETE /authorizations/dc_user", 200, json!({}))
        .on(
            &format!("GET /connections/{CONNECTION}"),
            200,
            connection("new_org", "connected", "DataCloudOrg"),
        )
        .on(
            &format!("GET /authorizations/{AUTHORIZATION}"),
            200,
            authorization("new_user", "authorized", "DataCloudOrg"),
        );
    let add = "Adding credentials for api.user@example.com to my-app as";
    for (line, end) in [
        (
            "datacloud:connect new_org -a my-app".to_owned(),
            "Connecting Data Cloud org to my-app as new_org... Connected".to_owned(),
        ),
        (
            "datacloud:disconnect my_datacloud -a my-app --confirm my_datacloud".to_owned(),
            "Disconnecting Data Cloud connection my_datacloud from my-app... Disconnected".to_owned(),
        ),
        (
            "datacloud:authorizations:add new_user -a my-app".to_owned(),
            "Adding credentials to my-app as new_user... Authorized".to_owned(),
        ),
        (
            format!("datacloud:authorizations:jwt:add new_jwt -a my-app {JWT}"),
            format!("{add} new_jwt... Authorized"),
        ),
        (
            "datacloud:authorizations:remove dc_user -a my-app --confirm dc_user".to_owned(),
            "Removing credentials dc_user from my-app... done".to_owned(),
        ),
    ] {
        ends(&line, &fake, &end);
    }
}

#[test]
fn publish() {
    let fake = Fake::start().on("POST /connections/salesforce/production_org/apps", 201, json!([]));
    let spec = "openapi: 3.0.3\ninfo: {title: Quotes, version: '1'}\npaths:\n  /quote:\n    get:\n      operationId: quote\n      \
                responses: {'200': {description: ok, content: {application/json: {schema: {type: object, properties: {a: {type: string}}}}}}}\n";
    for flags in [
        "--client-name HerokuAPI --connection-name production_org",
        "-c HerokuAPI --connection-name production_org --authorization-external-client-app-name MyEca",
        "-c HerokuAPI --connection-name production_org --authorization-permission-set-name MyPermSet",
        "-c HerokuAPI --connection-name production_org --authorizationPermissionSetName MyPermSet",
    ] {
        for command in ["salesforce:publish", "publish", "salesforce publish"] {
            let ran = applink(&format!("{command} api-spec.yaml -a my-app {flags}"))
                .with(&fake)
                .file("api-spec.yaml", spec)
                .run();
            assert_eq!(ran.code, Some(0), "{ran}");
            same_end(&ran, "Publishing my-app to production_org as HerokuAPI... done");
        }
    }
}

/// Status words of what went wrong are the official ones too; only the exit status differs.
#[test]
fn how_failures_end() {
    let row = |mut row: Value, status: &str| {
        row["status"] = json!(status);
        row["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
        row
    };
    for (kind, product) in [("SalesforceOrg", "Salesforce"), ("DataCloudOrg", "Data Cloud")] {
        let topic = product.replace(' ', "").to_lowercase();
        for (status, word) in [("failed", "Failed"), ("disconnected", "Disconnected")] {
            let connection = |status: &str| row(connection("new_org", status, kind), status);
            let fake = Fake::start()
                .on(&format!("POST /connections/{topic}"), 202, connection("connecting"))
                .on(&format!("GET /connections/{CONNECTION}"), 200, connection(status));
            let ran = applink(&format!("{topic}:connect new_org -a my-app")).with(&fake).run();
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
            same_end(&ran, &format!("Connecting {product} org to my-app as new_org... {word}"));
        }
        let user = |status: &str| row(authorization("new_user", status, kind), status);
        let fake = Fake::start()
            .on(&format!("POST /authorizations/{topic}"), 202, user("authorizing"))
            .on(&format!("GET /authorizations/{AUTHORIZATION}"), 200, user("failed"))
            .on(
                &format!("POST /authorizations/{topic}/jwt"),
                422,
                crate::fake::error("invalid_params", "invalid_grant: user hasn't approved this consumer"),
            );
        let ran = applink(&format!("{topic}:authorizations:add new_user -a my-app")).with(&fake).run();
        same_end(&ran, "Adding credentials to my-app as new_user... Failed");
        let line = format!("{topic}:authorizations:jwt:add new_jwt -a my-app {JWT}");
        let ran = applink(&line).with(&fake).file("jwt.key", KEY).run();
        assert_eq!(ran.code, Some(1), "{ran}");
        same_end(&ran, "Adding credentials for api.user@example.com to my-app as new_jwt... Failed");
        assert!(ran.stderr.contains("error: invalid_grant: user hasn't approved this consumer"), "{ran}");
    }
}

#[test]
fn data_action_targets() {
    const TARGETS: &str = "/connections/datacloud/my_datacloud/data_action_targets";
    let target = |api_name: &str, label: &str, status: &str| {
        json!({"id": CONNECTION, "api_name": api_name, "label": label, "type": "webhook", "target_endpoint": "/x",
            "status": status, "connection_id": CONNECTION, "app_id": crate::fake::APP,
            "heroku_app": {"id": crate::fake::APP, "name": "my-app", "url": null},
            "org": connection("my_datacloud", "connected", "DataCloudOrg")["org"],
            "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com",
            "last_modified_at": "2025-05-30T18:56:02.282284Z"})
    };
    for (arguments, api_name, label, status, word) in [
        (
            "MyTarget --connection-name my_datacloud --target-api-path /x",
            "MyTarget",
            "MyTarget",
            "created",
            "Created",
        ),
        ("MyTarget -o my_datacloud -p /x -n Custom -t webhook", "Custom", "MyTarget", "created", "Created"),
        ("MyTarget -o my_datacloud -p /x", "MyTarget", "MyTarget", "creation_failed", "Creation Failed"),
    ] {
        let fake = Fake::start().on(&format!("POST {TARGETS}"), 202, target(api_name, label, "pending")).on(
            &format!("GET {TARGETS}/{api_name}"),
            200,
            target(api_name, label, status),
        );
        let line = format!("datacloud:data-action-target:create -a my-app {arguments}");
        let ran = applink(&line).with(&fake).run();
        let told =
            format!("Creating my-app as '{label}' data action target webhook to my_datacloud... {word}");
        same_end(&ran, &told);
        assert_eq!(fake.seen()[0].json()["api_name"], api_name);
    }
}
