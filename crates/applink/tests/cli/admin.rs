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

fn listed() -> serde_json::Value {
    let app = json!({"id": APP, "name": "my-app", "url": null});
    let other = json!({"id": "11111111-1111-4111-8111-111111111111", "name": "other", "url": null});
    json!({"id": ADDON, "name": "applink-regular-78506", "attachments": [
        {"id": "22222222-2222-4222-8222-222222222222", "name": "HEROKU_APPLINK", "app": app},
        {"id": "33333333-3333-4333-8333-333333333333", "name": "STAGING", "app": other},
        {"id": "44444444-4444-4444-8444-444444444444", "name": "SECOND", "app": other},
    ]})
}

fn removal(finished: bool, left: serde_json::Value) -> serde_json::Value {
    json!({
        "addon": ADDON, "name": "applink-regular-78506", "stage": if finished { "done" } else { "unpublish" },
        "requested_by": "me@example.com", "requested_at": "2026-01-01T00:00:00.000000Z",
        "finished_at": finished.then_some("2026-01-01T00:00:05.000000Z"), "unpublished": [], "left": left,
    })
}

#[test]
fn addons() {
    let fake = Fake::start().on("GET /operator/addons", 200, json!([listed()]));
    let ran = applink("admin addons").with_control_plane(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let shown = ran.to_string();
    for text in ["applink-regular-78506", "my-app as HEROKU_APPLINK", "other as STAGING", "other as SECOND"] {
        assert!(shown.contains(text), "{text} is missing in {shown}");
    }
    let ran = applink("admin addons list --json").with_control_plane(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn detach_an_addon() {
    let path = format!("GET /operator/addons/{ADDON}");
    let gone = format!("DELETE /operator/addons/{ADDON}/attachments/22222222-2222-4222-8222-222222222222");
    let fake = Fake::start().on(&path, 200, listed()).on(&gone, 204, json!(null));
    let line = format!("admin addons detach {ADDON} --app my-app");
    insta::assert_snapshot!(applink(&line).with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Detaching applink-regular-78506 from my-app... done
    Its token is void: remove HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN.
    ");
}

#[test]
fn detach_an_addon_that_is_attached_twice() {
    let path = format!("GET /operator/addons/{ADDON}");
    let fake = Fake::start().on(&path, 200, listed());
    let line = format!("admin addons detach {ADDON} --app other");
    insta::assert_snapshot!(applink(&line).with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: applink-regular-78506 is attached to other more than once

    hint: say which: --as STAGING or --as SECOND
    ");
}

#[test]
fn destroy_an_addon_and_wait() {
    let (show, removals) =
        (format!("GET /operator/addons/{ADDON}"), format!("GET /operator/removals/{ADDON}"));
    let left = json!([{"kind": "publication", "name": "MyApp", "org_id": "00DSB00000VAyPF2A1", "reason": "the org was away"}]);
    let fake = Fake::start()
        .on(&show, 200, listed())
        .on(&format!("DELETE /operator/addons/{ADDON}"), 202, removal(false, json!([])))
        .on(&removals, 200, removal(true, left));
    let line = format!("admin addons destroy {ADDON} --wait --confirm applink-regular-78506");
    insta::assert_snapshot!(applink(&line).with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Destroying applink-regular-78506... gone
    warning: publication MyApp is left in 00DSB00000VAyPF2A1: the org was away
    ");
}

#[test]
fn destroy_an_addon_asks_first() {
    let fake = Fake::start().on(&format!("GET /operator/addons/{ADDON}"), 200, listed());
    let line = format!("admin addons destroy {ADDON} --confirm other");
    insta::assert_snapshot!(applink(&line).with_control_plane(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: confirmation `other` did not match `applink-regular-78506`; nothing was changed
    ");
}

#[test]
fn keys() {
    let key = json!({"id": APP, "owner": "me@example.com", "scope": "manage", "addon": ADDON,
        "shown_prefix": "alk_AbCdEf", "created_at": "2026-01-01T00:00:00.000000Z"});
    let fake = Fake::start().on("GET /operator/keys", 200, json!([key])).on(
        &format!("DELETE /operator/keys/{APP}"),
        204,
        json!(null),
    );
    let shown = applink("admin keys").with_control_plane(&fake).run();
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.to_string().contains("alk_AbCdEf"), "{shown}");
    insta::assert_snapshot!(applink(&format!("admin keys revoke {APP}")).with_control_plane(&fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    The key is void.
    ");
}

#[test]
fn removals() {
    let fake = Fake::start().on("GET /operator/removals", 200, json!([removal(true, json!([]))]));
    let shown = applink("admin removals").with_control_plane(&fake).run();
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.to_string().contains("done"), "{shown}");
}

#[test]
fn a_manifest_has_what_heroku_asks_for() {
    let line = "admin manifest --slug my-applink --url https://applink.example";
    let ran = applink(line).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let manifest: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(manifest["id"], json!("my-applink"));
    let api = &manifest["api"];
    assert_eq!(api["config_vars"], json!(["MY_APPLINK_API_URL", "MY_APPLINK_TOKEN"]));
    assert_eq!(api["config_vars_prefix"], json!("MY_APPLINK"));
    assert_eq!(api["production"]["base_url"], json!("https://applink.example/heroku/resources"));
    assert_eq!(api["production"]["sso_url"], json!("https://applink.example/sso/login"));
    assert_eq!((&api["regions"], &api["version"]), (&json!(["us", "eu"]), &json!("3")));
    assert_eq!(api["requires"], json!(["attachable", "many_per_app"]));
    let secrets = [api["password"].as_str().unwrap(), api["sso_salt"].as_str().unwrap()];
    assert!(secrets[0] != secrets[1] && secrets.iter().all(|secret| (8..=72).contains(&secret.len())));
    assert!(!secrets.iter().any(|secret| ran.stderr.contains(secret)), "{}", ran.stderr);
}

#[test]
fn a_manifest_keeps_the_secrets_the_environment_has_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, env) = (folder.path().join("addon-manifest.json"), folder.path().join("heroku.env"));
    let line = format!(
        "admin manifest --slug my-applink --url https://applink.example --output {} --env-file {}",
        manifest.display(),
        env.display()
    );
    let run = || {
        applink(&line)
            .env("APPLINK_HEROKU_PASSWORD", "kept-password")
            .env("APPLINK_SSO_SALT", "kept-salt")
            .run()
    };
    let ran = run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran}");
    let written = std::fs::read_to_string(&manifest).unwrap();
    assert!(written.contains("kept-password") && written.contains("kept-salt"), "{written}");
    let settings = std::fs::read_to_string(&env).unwrap();
    for line in [
        "APPLINK_HEROKU_SLUG=my-applink",
        "APPLINK_SSO_SALT=kept-salt",
        "APPLINK_HEROKU_CONFIG_VARS_PREFIX=MY_APPLINK",
    ] {
        assert!(settings.contains(line), "{line} is missing in {settings}");
    }
    for path in [&manifest, &env] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let again = run();
    assert_eq!(again.code, Some(2), "{again}");
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), written);
}

#[test]
fn a_manifest_for_an_address_heroku_would_not_call() {
    for (arguments, text) in [
        ("--slug My_AppLink --url https://applink.example", "can't be an add-on's id"),
        ("--slug my-applink --url http://applink.example", "over https only"),
        ("--slug my-applink --url https://applink.example/path", "over https only"),
    ] {
        let ran = applink(&format!("admin manifest {arguments}")).run();
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.stderr.contains(text), "{ran}");
    }
}
