use serde_json::{Value, json};

use crate::applink::{API_KEY, Applink, applink};
use crate::fake::{CONNECTION, Fake, connection, error};

const LOGIN: &str = "http://127.0.0.1:7700/oauth/start/one-time";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
const JWT: &str =
    "salesforce:connect:jwt org_jwt --client-id 3MVG9 --jwt-key-file server.key --username api@example.com";

fn started() -> Value {
    let mut started = connection("new_org", "connecting", "SalesforceOrg");
    started["redirect_uri"] = json!(LOGIN);
    started
}

/// A service where the org is `connecting` twice and then `last`.
fn connecting_then(last: Value) -> Fake {
    let by_id = format!("GET /connections/{CONNECTION}");
    Fake::start()
        .on("POST /connections/salesforce", 202, started())
        .on(&by_id, 200, started())
        .on(&by_id, 200, last)
}

#[test]
fn connect_waits_until_the_person_has_logged_in() {
    let fake = connecting_then(connection("new_org", "connected", "SalesforceOrg"));
    insta::assert_snapshot!(applink("salesforce:connect new_org -l https://test.salesforce.com").with(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Open this page in a browser to connect my-app to new_org: http://127.0.0.1:7700/oauth/start/one-time
    Connecting Salesforce org to my-app as new_org... Connected
    ");
    let first = &fake.seen()[0];
    assert_eq!(
        first.json(),
        json!({"connection_name": "new_org", "login_url": "https://test.salesforce.com"})
    );
    assert_eq!(first.header("authorization"), format!("Bearer {API_KEY}"));
}

#[test]
fn connect_leaves_the_login_url_out_when_none_is_given() {
    let fake = connecting_then(connection("new_org", "connected", "SalesforceOrg"));
    applink("salesforce connect new_org").with(&fake).run();
    assert_eq!(fake.seen()[0].json(), json!({"connection_name": "new_org"}));
}

#[test]
fn connect_json_keeps_standard_output_for_the_result() {
    let fake = connecting_then(connection("new_org", "connected", "SalesforceOrg"));
    let ran = applink("salesforce:connect new_org --json").with(&fake).run();
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &printed["status"]), (Some(0), &json!("connected")));
}

#[test]
fn connect_starts_the_named_browser_even_without_a_terminal() {
    let fake = connecting_then(connection("new_org", "connected", "SalesforceOrg"));
    let applink = applink("salesforce:connect new_org").with(&fake).file_with_mode(
        "browser",
        "#!/bin/sh\nprintf '%s' \"$1\" > opened\n",
        0o700,
    );
    let (browser, opened) = (applink.directory().join("browser"), applink.directory().join("opened"));
    nix::unistd::mkfifo(&opened, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let running = applink.env("BROWSER", browser.to_str().unwrap()).spawn();
    // Reading waits until the browser, a process nobody waits for, has written.
    assert_eq!(std::fs::read_to_string(opened).unwrap(), LOGIN);
    let ran = running.finish();
    assert_eq!(
        (ran.code, ran.stderr.lines().next()),
        (Some(0), Some(format!("Opening browser to {LOGIN}").as_str())),
        "{ran}"
    );
}

#[test]
fn connect_that_fails_says_why_and_is_no_success() {
    let mut failed = connection("new_org", "failed", "SalesforceOrg");
    failed["error"] = json!({"id": "org_connection_failed", "message": "intern@acme.example lacks the permission Manage Heroku AppLink"});
    let fake = connecting_then(failed);
    insta::assert_snapshot!(applink("salesforce:connect new_org").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Open this page in a browser to connect my-app to new_org: http://127.0.0.1:7700/oauth/start/one-time
    Connecting Salesforce org to my-app as new_org... Failed
    error: intern@acme.example lacks the permission Manage Heroku AppLink
    ");
}

#[test]
fn connect_outlives_a_hiccup_of_the_service() {
    let by_id = format!("GET /connections/{CONNECTION}");
    let fake = Fake::start()
        .on("POST /connections/salesforce", 202, started())
        .on(&by_id, 503, error("unavailable", "try again"))
        .on(&by_id, 200, connection("new_org", "connected", "SalesforceOrg"));
    assert_eq!(applink("salesforce:connect new_org").with(&fake).run().code, Some(0));
}

#[test]
fn connect_of_a_name_that_breaks_the_rules_sends_nothing() {
    let fake = Fake::start();
    insta::assert_snapshot!(applink("salesforce:connect 1bad").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: `1bad` is not a valid connection name: it must start with a letter
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn connect_of_a_name_that_is_taken() {
    let fake = Fake::start().on(
        "POST /connections/salesforce",
        409,
        error("conflict", "Connection new_org already exists."),
    );
    insta::assert_snapshot!(applink("salesforce:connect new_org").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Connection new_org already exists.
    ");
}

#[test]
fn connect_to_a_login_host_that_is_away() {
    let fake = Fake::start().on(
        "POST /connections/salesforce",
        502,
        error("org_unreachable", "login.example.com can't be reached."),
    );
    insta::assert_snapshot!(applink("salesforce:connect new_org").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: login.example.com can't be reached.
    ");
}

#[test]
fn connect_with_only_a_token_says_that_a_key_is_needed() {
    let fake = Fake::start().on(
        "POST /connections/salesforce",
        401,
        error("unauthorized", "This change needs more than the add-on token."),
    );
    insta::assert_snapshot!(applink("salesforce:connect new_org").with(&fake).without("APPLINK_API_KEY").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: This change needs more than the add-on token.

    hint: an add-on token can't change things: set APPLINK_API_KEY (`applink admin keys create` makes one)
    ");
}

#[test]
fn connect_never_opens_what_is_not_a_web_page() {
    let mut started = started();
    started["redirect_uri"] = json!("file:///etc/passwd");
    let fake = Fake::start().on("POST /connections/salesforce", 202, started);
    insta::assert_snapshot!(applink("salesforce:connect new_org").with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: the service sent an address to open that is not a web page

    hint: does the API URL really lead to an AppLink service?
    ");
}

#[test]
fn ctrl_c_says_what_state_things_are_in() {
    let by_id = format!("GET /connections/{CONNECTION}");
    let fake = Fake::start().on("POST /connections/salesforce", 202, started()).on(&by_id, 200, started());
    let running = applink("salesforce:connect new_org").with(&fake).spawn();
    fake.wait_for("GET ");
    running.interrupt();
    insta::assert_snapshot!(running.finish(), @"
    exit: 130
    --- stdout
    --- stderr
    Open this page in a browser to connect my-app to new_org: http://127.0.0.1:7700/oauth/start/one-time
    Connecting Salesforce org to my-app as new_org... !
    error: stopped waiting; new_org is still connecting

    hint: run the same command again to go on, or look with `applink connections:info new_org`
    ");
}

#[test]
fn ctrl_c_while_the_org_is_asked() {
    let fake = Fake::start().silent_on("POST /connections/salesforce/jwt");
    let running = applink(JWT).with(&fake).file("server.key", KEY).spawn();
    fake.wait_for("POST ");
    running.interrupt();
    insta::assert_snapshot!(running.finish(), @"
    exit: 130
    --- stdout
    --- stderr
    Adding credentials for api@example.com to my-app as org_jwt... !
    error: stopped waiting; applink-regular-78506 may still connect the org

    hint: look with `applink connections:info org_jwt`
    ");
}

#[test]
fn connect_jwt() {
    let fake = Fake::start().on(
        "POST /connections/salesforce/jwt",
        202,
        connection("org_jwt", "connected", "SalesforceOrg"),
    );
    let ran = applink(JWT)
        .arg("--login")
        .arg("https://test.salesforce.com")
        .with(&fake)
        .file("server.key", KEY)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    Adding credentials for api@example.com to my-app as org_jwt... Connected
    ");
    let mut body = fake.only().json();
    let alias = body.as_object_mut().unwrap().remove("alias").unwrap();
    assert_eq!(alias.as_str().unwrap().len(), 36, "a random uuid");
    assert_eq!(
        body,
        json!({"client_id": "3MVG9", "connection_name": "org_jwt", "jwt_private_key": KEY,
            "login_url": "https://test.salesforce.com", "username": "api@example.com"})
    );
}

#[test]
fn connect_jwt_refused_by_the_org() {
    let fake = Fake::start().on(
        "POST /connections/salesforce/jwt",
        422,
        error("authentication_failed", "the org says: invalid client"),
    );
    insta::assert_snapshot!(applink(JWT).with(&fake).file("server.key", KEY).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Adding credentials for api@example.com to my-app as org_jwt... !
    error: the org says: invalid client
    ");
}

fn with_key(key: &str, mode: u32) -> (Fake, Applink) {
    let fake = Fake::start().on(
        "POST /connections/salesforce/jwt",
        202,
        connection("org_jwt", "connected", "SalesforceOrg"),
    );
    let applink = applink(JWT).with(&fake).file_with_mode("server.key", key, mode);
    (fake, applink)
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let (fake, applink) = with_key(KEY, 0o644);
    insta::assert_snapshot!(applink.run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: others can read the key file server.key (mode 644)

    hint: run `chmod 600 server.key`, or give --allow-open-key-file if that is meant
    ");
    assert!(fake.seen().is_empty());
    let (_fake, applink) = with_key(KEY, 0o644);
    assert_eq!(applink.arg("--allow-open-key-file").run().code, Some(0));
}

#[test]
fn a_key_that_is_no_rsa_key_in_pem_is_refused_before_anything_is_sent() {
    let (fake, applink) = with_key("not a key", 0o600);
    insta::assert_snapshot!(applink.run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: server.key is not a private key in PEM format

    hint: it starts with a line like `-----BEGIN PRIVATE KEY-----`
    ");
    assert!(fake.seen().is_empty());
    let (fake, applink) = with_key(&KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"), 0o600);
    insta::assert_snapshot!(applink.run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: the private key in server.key is encrypted

    hint: decrypt it first: `openssl pkey -in encrypted.key -out server.key`
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn a_key_file_that_is_missing() {
    let fake = Fake::start();
    insta::assert_snapshot!(applink(JWT).with(&fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't read the key file server.key
      caused by: No such file or directory (os error 2)

    hint: name the file with the RSA private key in PEM format, or `-` for standard input
    ");
}
