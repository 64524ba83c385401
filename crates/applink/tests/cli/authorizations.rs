use serde_json::json;

use crate::applink::applink;
use crate::fake::{AUTHORIZATION, Fake, authorization, error, not_found};

const LOGIN: &str = "http://127.0.0.1:7700/oauth/start/one-time";

#[test]
fn list() {
    let fake = Fake::start().on(
        "GET /authorizations",
        200,
        json!([
            authorization("auth_user", "authorized", "SalesforceOrg"),
            authorization("dc_user", "authorized", "DataCloudOrg")
        ]),
    );
    let first = applink("applink:authorizations").with(&fake).run();
    insta::assert_snapshot!(first, @"
    exit: 0
    --- stdout
    === Heroku AppLink authorizations for app my-app

      Add-On                  Developer Name   status       type
     ──────────────────────────────────────────────────────────────────────
      applink-regular-78506   auth_user        Authorized   Salesforce Org
      applink-regular-78506   dc_user          Authorized   Data Cloud Org
    --- stderr
    ");
    assert_eq!(applink("authorizations").with(&fake).run().stdout, first.stdout);
}

#[test]
fn none() {
    let fake = Fake::start().on("GET /authorizations", 200, json!([]));
    insta::assert_snapshot!(applink("authorizations").with(&fake).run(), @"
    exit: 0
    --- stdout
    There are no Heroku AppLink authorizations for add-on applink-regular-78506 on app my-app.
    --- stderr
    ");
}

#[test]
fn info_never_shows_the_token_that_the_answer_carries() {
    let mut handed_out = authorization("auth_user", "authorized", "SalesforceOrg");
    handed_out["org"]["username"] = json!(null);
    handed_out["org"]["user_auth"] = json!({"username": "admin@applink.org", "user_id": "005DS00000yYLD1YAO", "access_token": "00D!token-canary"});
    let fake = Fake::start().on("GET /authorizations/auth_user", 200, handed_out);
    insta::assert_snapshot!(applink("authorizations:info auth_user").with(&fake).run(), @"
    exit: 0
    --- stdout
    === auth_user on app my-app

    Add-on:           applink-regular-78506
    App:              my-app
    Created By:       user@example.com
    Created Date:     2025-05-30T18:55:42.863808Z
    ID:               4ac952e1-ad3d-4dbb-8093-8c6612bec27c
    Instance URL:     https://acme-corp.my.salesforce.com
    Last Modified:    2025-05-30T18:56:02.282284Z
    Last Modified By: user@example.com
    Org ID:           00DSB00000VAyPF2A1
    Status:           Authorized
    Type:             Salesforce Org
    Username:         admin@applink.org
    --- stderr
    ");
    let json = applink("authorizations:info auth_user --json").with(&fake).run();
    assert!(json.stdout.contains("admin@applink.org") && !json.stdout.contains("canary"), "{json}");
}

#[test]
fn info_of_an_unknown_name() {
    let fake = Fake::start().on("GET /authorizations/no_such", 404, not_found());
    insta::assert_snapshot!(applink("authorizations:info no_such").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: developer name no_such doesn't exist on app my-app

    hint: `applink authorizations` lists the stored users
    ");
}

#[test]
fn add_waits_until_the_person_has_logged_in() {
    let mut started = authorization("auth_user", "authorizing", "SalesforceOrg");
    started["redirect_uri"] = json!(LOGIN);
    let by_id = format!("GET /authorizations/{AUTHORIZATION}");
    let fake = Fake::start()
        .on("POST /authorizations/salesforce", 202, started.clone())
        .on(&by_id, 200, started)
        .on(&by_id, 200, authorization("auth_user", "authorized", "SalesforceOrg"));
    let ran = applink("salesforce:authorizations:add auth_user --login https://test.salesforce.com")
        .with(&fake)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    Open this page in a browser to add credentials to my-app as auth_user: http://127.0.0.1:7700/oauth/start/one-time
    Adding credentials to my-app as auth_user... Authorized
    ");
    let body = fake.seen()[0].json();
    assert_eq!(body, json!({"developer_name": "auth_user", "login_url": "https://test.salesforce.com"}));
}

#[test]
fn add_url_prints_the_address_and_stops() {
    let mut started = authorization("auth_user", "authorizing", "SalesforceOrg");
    started["redirect_uri"] = json!(LOGIN);
    let fake = Fake::start().on("POST /authorizations/salesforce", 202, started);
    insta::assert_snapshot!(applink("salesforce:authorizations:add auth_user --url").with(&fake).run(), @r#"
    exit: 0
    --- stdout
    "http://127.0.0.1:7700/oauth/start/one-time"
    --- stderr
    "#);
}

#[test]
fn add_of_a_name_that_is_taken() {
    let fake = Fake::start().on(
        "POST /authorizations/salesforce",
        409,
        error("conflict", "Authorization auth_user already exists."),
    );
    insta::assert_snapshot!(applink("salesforce authorizations add auth_user").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Authorization auth_user already exists.
    ");
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
const JWT: &str = "--client-id 3MVG9 --jwt-key-file server.key --username api@example.com";

#[test]
fn both_spellings_of_add_jwt_send_the_same() {
    for spelling in [
        "salesforce:authorizations:add:jwt",
        "salesforce:authorizations:jwt:add",
        "salesforce authorizations add jwt",
    ] {
        let fake = Fake::start().on(
            "POST /authorizations/salesforce/jwt",
            202,
            authorization("ci", "authorized", "SalesforceOrg"),
        );
        let ran = applink(&format!("{spelling} cicd {JWT}")).with(&fake).file("server.key", KEY).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran}");
        assert_eq!(ran.stderr, "Adding credentials for api@example.com to my-app as cicd... Authorized\n");
        assert_eq!(
            fake.only().json(),
            json!({"alias": "applink:cicd", "client_id": "3MVG9", "developer_name": "cicd", "jwt_private_key": KEY,
                "username": "api@example.com"})
        );
    }
}

#[test]
fn add_jwt_with_an_alias_and_the_key_on_standard_input() {
    let fake = Fake::start().on(
        "POST /authorizations/salesforce/jwt",
        202,
        authorization("cicd", "authorized", "SalesforceOrg"),
    );
    let line = "salesforce:authorizations:add:jwt cicd --client-id 3MVG9 --jwt-key-file - --username api@example.com --alias ci:1";
    let ran = applink(line).with(&fake).stdin(KEY).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fake.only().json()["alias"], "ci:1");
    assert_eq!(fake.only().json()["jwt_private_key"], KEY);
}

#[test]
fn add_jwt_refused_by_the_org() {
    let fake = Fake::start().on(
        "POST /authorizations/salesforce/jwt",
        422,
        error("authentication_failed", "the org says: user hasn't approved this consumer"),
    );
    let ran = applink(&format!("salesforce:authorizations:add:jwt cicd {JWT}"))
        .with(&fake)
        .file("server.key", KEY)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    Adding credentials for api@example.com to my-app as cicd... Failed
    error: the org says: user hasn't approved this consumer
    ");
}

#[test]
fn remove() {
    let fake = Fake::start().on("DELETE /authorizations/auth_user", 200, json!({}));
    insta::assert_snapshot!(applink("salesforce:authorizations:remove auth_user --confirm auth_user").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Removing credentials auth_user from my-app... done
    ");
}

#[test]
fn remove_as_json() {
    let fake = Fake::start().on("DELETE /authorizations/auth_user", 200, json!({}));
    let line = "salesforce:authorizations:remove auth_user --confirm auth_user --json";
    let read: serde_json::Value = serde_json::from_str(&applink(line).with(&fake).run().stdout).unwrap();
    assert_eq!(read, json!({"developer_name": "auth_user", "removed": true}));
}

#[test]
fn remove_of_an_unknown_name() {
    let fake = Fake::start().on("DELETE /authorizations/no_such", 404, not_found());
    insta::assert_snapshot!(applink("salesforce:authorizations:remove no_such -c no_such").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Removing credentials no_such from my-app... !
    error: developer name no_such doesn't exist on app my-app

    hint: `applink authorizations` lists the stored users
    ");
}
