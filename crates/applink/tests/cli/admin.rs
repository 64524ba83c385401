use serde_json::json;

use crate::applink::{OPERATOR_KEY, applink};
use crate::fake::{ADDON, APP, Fake, error};

fn provisioned() -> serde_json::Value {
    json!({
        "id": ADDON, "name": "applink-regular-78506", "attachment": "HEROKU_APPLINK",
        "app": {"id": APP, "name": "my-app", "url": "https://my-app.example"},
        "api_url": format!("https://applink.example/addons/{ADDON}"), "token": "fresh-token",
    })
}

#[test]
fn apps() {
    let fake = Fake::start()
        .on("GET /operator/apps", 200, json!([{"id": APP, "name": "my-app", "url": "https://my-app.example"}, {"id": APP, "name": "other", "url": null}]));
    insta::assert_snapshot!(applink("admin apps").with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
      App      ID                                     URL
     ────────────────────────────────────────────────────────────────────────
      my-app   89abcdef-0123-4567-89ab-cdef01234567   https://my-app.example
      other    89abcdef-0123-4567-89ab-cdef01234567
    --- stderr
    ");
    assert_eq!(fake.only().header("authorization"), format!("Bearer {OPERATOR_KEY}"));
}

#[test]
fn create_an_app() {
    let fake = Fake::start().on(
        "POST /operator/apps",
        201,
        json!({"id": APP, "name": "my-app", "url": "https://my-app.example"}),
    );
    insta::assert_snapshot!(applink("admin apps create my-app --url https://my-app.example").with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
    App: my-app
    ID:  89abcdef-0123-4567-89ab-cdef01234567
    URL: https://my-app.example
    --- stderr
    ");
    assert_eq!(fake.only().json(), json!({"name": "my-app", "url": "https://my-app.example"}));
}

#[test]
fn create_an_app_whose_name_is_taken() {
    let fake =
        Fake::start().on("POST /operator/apps", 409, error("conflict", "There is an app my-app already."));
    insta::assert_snapshot!(applink("admin:apps:create my-app").with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: There is an app my-app already.
    ");
}

#[test]
fn create_an_addon_prints_the_config_vars() {
    let fake = Fake::start().on("POST /operator/addons", 201, provisioned());
    insta::assert_snapshot!(applink("admin addons create --app my-app").with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
    HEROKU_APPLINK_API_URL=https://applink.example/addons/01234567-89ab-cdef-0123-456789abcdef
    HEROKU_APPLINK_TOKEN=fresh-token
    HEROKU_APP_ID=89abcdef-0123-4567-89ab-cdef01234567
    --- stderr
    Creating an AppLink add-on on my-app... applink-regular-78506 created
    The token is shown only now.
    ");
    assert_eq!(fake.only().json(), json!({"app": "my-app"}));
}

#[test]
fn attach_an_addon() {
    let fake =
        Fake::start().on("POST /operator/addons/applink-regular-78506/attachments", 201, provisioned());
    let ran = applink("admin addons attach applink-regular-78506 --app other --as STAGING --json")
        .with_control_plane(&fake)
        .run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fake.only().json(), json!({"app": "other", "name": "STAGING"}));
}

#[test]
fn create_a_key() {
    let fake = Fake::start().on("POST /operator/keys", 201, json!({"id": APP, "key": "alk_fresh"}));
    let line = format!("admin keys create --owner me@example.com --addon {ADDON}");
    insta::assert_snapshot!(applink(&line).with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
    alk_fresh
    --- stderr
    The key is shown only now; set it as APPLINK_API_KEY.
    ");
    assert_eq!(fake.only().json(), json!({"owner": "me@example.com", "scope": "manage", "addon": ADDON}));
    let ran =
        applink("admin keys create --owner me@example.com --scope operate").with_control_plane(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_manage_key_needs_its_addon() {
    let fake = Fake::start();
    insta::assert_snapshot!(applink("admin keys create --owner me@example.com").with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: a key with scope `manage` reaches one add-on, and none was named

    hint: give the add-on's uuid with --addon
    ");
}

#[test]
fn without_an_operator_key() {
    insta::assert_snapshot!(applink("admin apps --server http://127.0.0.1:1").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: APPLINK_OPERATOR_KEY isn't set

    hint: it is the key the control plane was started with, or one with scope `operate`
    ");
}

#[test]
fn with_a_wrong_operator_key() {
    let fake =
        Fake::start().on("GET /operator/apps", 401, error("unauthorized", "Invalid credentials provided."));
    insta::assert_snapshot!(applink("admin apps").with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Invalid credentials provided.

    hint: check APPLINK_OPERATOR_KEY in the environment
    ");
}
