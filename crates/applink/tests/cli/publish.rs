use std::io::Cursor;

use serde_json::{Value, json};

use crate::applink::{API_KEY, Applink, applink};
use crate::fake::{ADDON, APP, Fake, Seen, connection, error, not_found};

pub(crate) const SPEC: &str = "openapi: 3.0.3\ninfo: {title: Quotes, version: 1.0.0}\npaths:\n  /quotes:\n    get:\n      \
operationId: listQuotes\n      responses: {'200': {description: Quotes.}}\n";
const PUBLISH: &str = "salesforce:publish api.yml --client-name HerokuAPI --connection-name production_org";
const LINE: &str = "POST /connections/salesforce/production_org/apps";

fn publication() -> Value {
    json!({
        "app_uuid": APP, "connection_name": "production_org", "org_id": "00DSB00000VAyPF2A1", "esr_name": "HerokuAPI",
        "esr_id": "0yl000000000001AAA", "heroku_applink_id": ADDON,
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com",
        "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
        "components": [
            {"type": "ExternalServiceRegistration", "name": "HerokuAPI", "success": true, "created": true},
            {"type": "PermissionSet", "name": "HerokuAPI", "success": true, "created": false},
        ],
    })
}

fn publish() -> Applink {
    applink(PUBLISH).file("api.yml", SPEC)
}

/// The parts of a multipart body: their headers and bytes.
fn parts(seen: &Seen) -> Vec<(String, Vec<u8>)> {
    let boundary = seen.header("content-type").split_once("boundary=").unwrap().1;
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = seen.body.as_slice();
    while let Some(start) = find(rest, delimiter.as_bytes()) {
        rest = &rest[start + delimiter.len()..];
        let Some(end) = find(rest, delimiter.as_bytes()) else { break };
        let part = &rest[2..end - 2];
        let split = find(part, b"\r\n\r\n").unwrap();
        let headers = String::from_utf8(part[..split].to_vec()).unwrap().replace("\r\n", "\n");
        found.push((headers, part[split + 4..].to_vec()));
    }
    found
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn entry_names(zip: Vec<u8>) -> Vec<String> {
    zip::ZipArchive::new(Cursor::new(zip))
        .unwrap()
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

#[test]
fn publish_sends_the_two_parts_every_service_knows() {
    let fake = Fake::start().on(LINE, 201, publication());
    insta::assert_snapshot!(publish().with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... done
      created ExternalServiceRegistration HerokuAPI
      updated PermissionSet HerokuAPI
    ");
    let seen = fake.only();
    assert_eq!(seen.header("authorization"), format!("Bearer {API_KEY}"));
    assert_eq!(seen.header("x-app-uuid"), APP);
    assert_ne!(seen.header("content-length"), "", "the length is known, not chunked");
    let [(first, zip), (second, request)] = <[_; 2]>::try_from(parts(&seen)).unwrap();
    insta::assert_snapshot!(format!("{first}\n\n{second}"), @r#"
    Content-Disposition: form-data; name="metadata"; filename="blob"
    Content-Type: application/zip

    Content-Disposition: form-data; name="app_request"; filename="blob"
    Content-Type: application/json
    "#);
    assert_eq!(entry_names(zip), ["api-spec.yaml"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&request).unwrap(),
        json!({"client_name": "HerokuAPI", "allow_breaking": false})
    );
}

#[test]
fn publish_with_everything() {
    let fake = Fake::start().on(LINE, 201, json!([]));
    let ran = publish()
        .arg("--authorizationConnectedAppName")
        .arg("MyApp")
        .arg("--authorization-external-client-app-name")
        .arg("MyEca")
        .arg("--metadata-dir")
        .arg("meta")
        .file("meta/permissionset-meta.xml", "<PermissionSet/>")
        .file("meta/Extra.permissionset-meta.xml", "<PermissionSet/>")
        .with(&fake)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    warning: --authorization-connected-app-name is deprecated; use --authorization-external-client-app-name
    warning: meta/Extra.permissionset-meta.xml is not sent: only connectedapp-meta.xml and permissionset-meta.xml are
    Publishing my-app to production_org as HerokuAPI... done
    ");
    let parts = parts(&fake.only());
    assert_eq!(entry_names(parts[0].1.clone()), ["api-spec.yaml", "permissionset-meta.xml"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&parts[1].1).unwrap(),
        json!({"client_name": "HerokuAPI", "authorization_connected_app_name": "MyApp",
            "authorization_external_client_app_name": "MyEca", "allow_breaking": false})
    );
}

#[test]
fn publish_json() {
    let fake = Fake::start().on(LINE, 201, publication());
    let ran =
        applink(&PUBLISH.replace("salesforce:", "")).file("api.yml", SPEC).arg("--json").with(&fake).run();
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &printed[0]["esr_name"]), (Some(0), &json!("HerokuAPI")));
}

#[test]
fn publish_refused_with_places() {
    let mut refusal = error("spec_invalid", "The API spec can't be published: 2 problems.");
    refusal["problems"] = json!([
        {"place": "api-spec.yaml", "message": "this operation has no operationId", "line": 12, "column": 5},
        {"place": "$.paths./quote.post", "message": "GraphQL is not OpenAPI"},
    ]);
    let fake = Fake::start().on(LINE, 422, refusal);
    insta::assert_snapshot!(publish().with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... !
    error: The API spec can't be published: 2 problems.
      api.yml:12:5: this operation has no operationId
      $.paths./quote.post: GraphQL is not OpenAPI
    ");
}

#[test]
fn publish_refused_for_one_place_says_it_once_and_under_the_files_own_name() {
    let mut refusal = error("spec_invalid", "api-spec.yaml:5:5: this operation has no `operationId`");
    refusal["problems"] =
        json!([{"place": "$.paths./a.get", "message": "this operation has no `operationId`", "line": 5}]);
    let fake = Fake::start().on(LINE, 422, refusal);
    insta::assert_snapshot!(publish().with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... !
    error: api.yml:5:5: this operation has no `operationId`
    ");
}

#[test]
fn publish_that_takes_longer_than_the_service_waits() {
    let fake = Fake::start().on(LINE, 202, json!([publication()]));
    insta::assert_snapshot!(publish().with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... still deploying
    error: [HOST] is still working on it

    hint: it goes on without you; `applink publications` lists what is published
    ");
}

#[test]
fn publish_to_an_unknown_connection() {
    let fake = Fake::start().on(LINE, 404, not_found());
    insta::assert_snapshot!(publish().with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... !
    error: Salesforce connection production_org doesn't exist on app my-app

    hint: `applink connections` lists the connections
    ");
}

#[test]
fn ctrl_c_during_a_publish() {
    let fake = Fake::start().silent_on(LINE);
    let running = publish().with(&fake).spawn();
    fake.wait_for("POST ");
    running.interrupt();
    insta::assert_snapshot!(running.finish(), @"
    exit: 130
    --- stdout
    --- stderr
    Publishing my-app to production_org as HerokuAPI... !
    error: stopped waiting; applink-regular-78506 may still publish the app

    hint: look with `applink publications`
    ");
}

/// Refused by the CLI itself: nothing may have been sent.
fn refused(applink: Applink) -> String {
    let fake = Fake::start();
    let ran = applink.with(&fake).run();
    assert!(fake.seen().is_empty());
    ran.to_string()
}

#[test]
fn publish_checks_its_files_first() {
    insta::assert_snapshot!(refused(applink(PUBLISH)), @"
    exit: 2
    --- stdout
    --- stderr
    error: the API spec api.yml doesn't exist

    hint: is the path right, seen from the current directory?
    ");
    insta::assert_snapshot!(refused(applink(&PUBLISH.replace("api.yml", "api.txt")).file("api.txt", SPEC)), @"
    exit: 1
    --- stdout
    --- stderr
    error: the API spec api.txt must be YAML (.yaml, .yml) or JSON (.json)

    hint: the extension tells the service how to read it
    ");
    insta::assert_snapshot!(refused(applink(&PUBLISH.replace("api.yml", "meta")).file("meta/x", "")), @"
    exit: 1
    --- stdout
    --- stderr
    error: the directory meta holds no API spec

    hint: put api-spec.yaml or api-spec.json into it, or name the file
    ");
    insta::assert_snapshot!(refused(publish().arg("--metadata-dir").arg("nowhere")), @"
    exit: 1
    --- stdout
    --- stderr
    error: the metadata directory nowhere doesn't exist
    ");
    insta::assert_snapshot!(refused(applink(&PUBLISH.replace("HerokuAPI", "Heroku-API")).file("api.yml", SPEC)), @"
    exit: 1
    --- stdout
    --- stderr
    error: `Heroku-API` is not a valid client name: it becomes an Apex class, so only letters, digits and `_` are allowed
    ");
}

#[test]
fn publish_explains_a_flag_that_a_file_contradicts() {
    let conflict = |flag: &str, file: &str| {
        refused(
            publish()
                .arg("--metadata-dir")
                .arg("meta")
                .file(&format!("meta/{file}"), "<x/>")
                .arg(flag)
                .arg("X"),
        )
    };
    insta::assert_snapshot!(conflict("--authorization-permission-set-name", "permissionset-meta.xml"), @"
    exit: 1
    --- stdout
    --- stderr
    error: permissionset-meta.xml in the metadata directory and --authorization-permission-set-name both name the permission set

    hint: use one of them
    ");
    insta::assert_snapshot!(conflict("--authorization-connected-app-name", "connectedapp-meta.xml"), @"
    exit: 1
    --- stdout
    --- stderr
    warning: --authorization-connected-app-name is deprecated; use --authorization-external-client-app-name
    error: connectedapp-meta.xml in the metadata directory and --authorization-connected-app-name both name the connected app

    hint: use one of them
    ");
}

#[test]
fn publish_needs_to_know_the_app() {
    let fake = Fake::start();
    insta::assert_snapshot!(publish().with(&fake).without("HEROKU_APP_ID").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: HEROKU_APP_ID isn't set in the environment, so the app is not known

    hint: set HEROKU_APP_ID to the app's uuid, or give it with --app
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn publications_of_every_connected_org() {
    let apps = format!("GET /connections/salesforce/production_org/apps/{APP}");
    let fake = Fake::start()
        .on(
            "GET /connections",
            200,
            json!([
                connection("production_org", "connected", "SalesforceOrg"),
                connection("my_datacloud", "connected", "DataCloudOrg"),
                connection("broken_org", "failed", "SalesforceOrg"),
            ]),
        )
        .on(&apps, 200, json!([publication()]));
    insta::assert_snapshot!(applink("salesforce:publications").with(&fake).run(), @"
    exit: 0
    --- stdout
    === Salesforce publications for app my-app

      Connection Name   Created By         Created Date                  Last Modified                 Last Modified By   Org ID               Client Name
     ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      production_org    user@example.com   2025-05-30T18:55:42.863808Z   2025-05-30T18:56:02.282284Z   user@example.com   00DSB00000VAyPF2A1   HerokuAPI
    --- stderr
    ");
    let json = applink("publications --json").with(&fake).run();
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()[0]["esr_name"], "HerokuAPI");
}

#[test]
fn publications_of_one_connection() {
    let apps = format!("GET /connections/salesforce/production_org/apps/{APP}");
    let fake = Fake::start()
        .on(
            "GET /connections/production_org",
            200,
            connection("production_org", "connected", "SalesforceOrg"),
        )
        .on(&apps, 200, json!([]))
        .on("GET /connections/broken_org", 200, connection("broken_org", "failed", "SalesforceOrg"))
        .on("GET /connections/no_such", 404, not_found());
    insta::assert_snapshot!(applink("publications --connection_name production_org").with(&fake).run(), @"
    exit: 0
    --- stdout
    You haven't published my-app to a Salesforce org yet.
    --- stderr
    ");
    insta::assert_snapshot!(applink("publications --connection-name broken_org").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there are no active AppLink connections for my-app

    hint: connect an org with `applink salesforce:connect`
    ");
    insta::assert_snapshot!(applink("publications --connection-name no_such").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Salesforce connection no_such doesn't exist on app my-app

    hint: `applink connections` lists the connections
    ");
}

#[test]
fn publications_without_connections() {
    let fake = Fake::start().on("GET /connections", 200, json!([]));
    insta::assert_snapshot!(applink("publications").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there are no AppLink connections for my-app

    hint: connect an org with `applink salesforce:connect`
    ");
}

/// One operation `quote` whose answer has the member `amount` of a type.
fn quotes(kind: &str) -> String {
    format!(
        "openapi: 3.0.3\ninfo: {{title: Quotes, version: '1'}}\npaths:\n  /quote:\n    get:\n      operationId: quote\n      \
         responses:\n        '200':\n          description: ok\n          content:\n            application/json:\n              \
         schema: {{type: object, properties: {{amount: {{type: {kind}}}}}}}\n"
    )
}

fn published(document: &str) -> Fake {
    let entry = json!({"number": 3, "kind": "publish", "status": "done", "hash": "h", "requested_at": "2025-05-30T18:55:42.863808Z", "requested_by": "me"});
    let mut shown = entry.clone();
    shown["file_name"] = json!("api-spec.yaml");
    shown["document"] = json!(document);
    let path = format!("/connections/salesforce/production_org/apps/{}/Quotes/history", crate::fake::APP);
    Fake::start().on(&format!("GET {path}"), 200, json!([entry])).on(&format!("GET {path}/3"), 200, shown)
}

const DIFF: &str = "publish api-spec.yaml -c Quotes --connection-name production_org --diff";

#[test]
fn diff_says_what_callers_lose_and_sends_nothing() {
    let fake = published(&quotes("string"));
    insta::assert_snapshot!(applink(DIFF).with(&fake).file("api-spec.yaml", &quotes("integer")).run(), @"
    exit: 1
    --- stdout
    breaks  Quotes_quote_OUT_200.amount: the type was String and is Integer now
    --- stderr
    ");
    assert!(fake.seen().iter().all(|seen| seen.line.starts_with("GET ")));
    let same = applink(DIFF).with(&fake).file("api-spec.yaml", &quotes("string")).run();
    insta::assert_snapshot!(same, @"
    exit: 0
    --- stdout
    --- stderr
    callers see no difference
    ");
    let json = applink(&format!("{DIFF} --json")).with(&fake).file("api-spec.yaml", &quotes("integer")).run();
    let read: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json.code, &read["against"], &read["breaking"]),
        (Some(1), &json!(3), &json!(true)),
        "{json}"
    );
}

#[test]
fn diff_of_what_is_not_published_yet() {
    let path = format!("GET /connections/salesforce/production_org/apps/{}/Quotes/history", crate::fake::APP);
    let fake = Fake::start().on(&path, 404, crate::fake::not_found());
    let ran = applink(DIFF).with(&fake).file("api-spec.yaml", &quotes("string")).run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    Quotes isn't published to production_org yet, so nobody can break
    ");
}
