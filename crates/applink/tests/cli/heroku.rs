//! An add-on that only Heroku knows: found through the Platform API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::applink::{API_KEY, Applink, TOKEN, applink};
use crate::fake::{ADDON, APP, Fake, connection, error, not_found};

const HEROKU_KEY: &str = "HRKU-canary-key";
const OTHER: &str = "6789abcd-ef01-2345-6789-abcdef012345";

fn addon(id: &str, name: &str, service: &str) -> Value {
    json!({"id": id, "name": name, "addon_service": {"id": "1", "name": service}, "state": "provisioned"})
}

fn attachment(name: &str, addon: &str) -> Value {
    json!({"name": name, "addon": {"id": addon, "name": "x"}, "app": {"id": APP, "name": "my-app"},
        "web_url": "https://addons.example/sso/one-time"})
}

fn sso(addon: &str) -> Value {
    json!({"action": "https://applink.example/sso/login", "method": "post", "params": {"resource_id": addon}})
}

/// An app whose add-ons are `addons`.
fn platform(addons: Value) -> Fake {
    let fake = Fake::start();
    let (one, two) = (fake.url(&format!("/addons/{ADDON}")), fake.url(&format!("/addons/{OTHER}")));
    fake.on("GET /apps/my-app", 200, json!({"id": APP, "name": "my-app"}))
        .on("GET /apps/my-app/addons", 200, addons)
        .on(
            "GET /apps/my-app/addon-attachments",
            200,
            json!([attachment("HEROKU_APPLINK", ADDON), attachment("HEROKU_APPLINK_COBALT", OTHER)]),
        )
        .on(
            "GET /apps/my-app/config-vars",
            200,
            json!({"HEROKU_APPLINK_API_URL": one, "HEROKU_APPLINK_TOKEN": TOKEN,
                "HEROKU_APPLINK_COBALT_API_URL": two, "HEROKU_APPLINK_COBALT_TOKEN": TOKEN}),
        )
        .on(&format!("GET /apps/my-app/addons/{ADDON}/sso"), 200, sso(ADDON))
        .on("GET /connections", 200, json!([connection("production_org", "connected", "SalesforceOrg")]))
}

pub(crate) fn one_addon() -> Fake {
    platform(json!([
        addon("1", "postgres-1", "heroku-postgresql"),
        addon(ADDON, "applink-regular-78506", "heroku-applink")
    ]))
}

fn two_addons() -> Fake {
    platform(json!([
        addon(ADDON, "applink-regular-78506", "heroku-applink"),
        addon(OTHER, "applink-horizontal-01234", "heroku-applink")
    ]))
}

fn at(line: &str, fake: &Fake) -> Applink {
    applink(line).env("HEROKU_HOST", &fake.url("")).env("HEROKU_API_KEY", HEROKU_KEY).hide(&fake.host())
}

#[test]
fn an_app_is_enough() {
    let fake = one_addon();
    insta::assert_snapshot!(at("connections -a my-app", &fake).run(), @"
    exit: 0
    --- stdout
    === Heroku AppLink connections for add-on applink-regular-78506 on app my-app

      Add-On                  Connection Name   status      type
     ──────────────────────────────────────────────────────────────────────
      applink-regular-78506   production_org    Connected   Salesforce Org
    --- stderr
    ");
    let seen = fake.seen();
    for request in seen.iter().filter(|request| request.line.contains(" /apps/")) {
        assert_eq!(request.header("authorization"), format!("Bearer {HEROKU_KEY}"), "{}", request.line);
        assert!(request.header("accept").starts_with("application/vnd.heroku+json; version=3"));
    }
    let call = seen.last().unwrap();
    assert_eq!(call.line, format!("GET /addons/{ADDON}/connections"));
    assert_eq!(
        call.header("authorization"),
        format!("Bearer {TOKEN}"),
        "the service never sees Heroku's key"
    );
    assert_eq!(call.header("x-app-uuid"), APP);
    let vouched: Value =
        serde_json::from_slice(&STANDARD.decode(call.header("x-addon-sso")).unwrap()).unwrap();
    assert_eq!(vouched, sso(ADDON));
}

#[test]
fn the_app_comes_from_the_variable_or_the_only_remote() {
    let fake = one_addon();
    assert_eq!(at("connections", &fake).env("HEROKU_APP", "my-app").run().code, Some(0));
    let config = "[remote \"heroku\"]\n\turl = https://git.heroku.com/my-app.git\n";
    assert_eq!(at("connections", &fake).file(".git/config", config).run().code, Some(0));
    assert_eq!(at("connections -r heroku", &fake).file(".git/config", config).run().code, Some(0));
    let two = format!("{config}[remote \"staging\"]\n\turl = https://git.heroku.com/other.git\n");
    insta::assert_snapshot!(at("connections", &fake).file(".git/config", &two).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: the git remotes lead to several apps: my-app, other

    hint: say which with --app or --remote
    ");
}

#[test]
fn the_token_of_heroku_login_is_found() {
    let fake = one_addon();
    let netrc = format!("machine {}\n  login me@example.com\n  password {HEROKU_KEY}\n", fake.host());
    let ran = at("connections -a my-app", &fake).without("HEROKU_API_KEY").file(".netrc", &netrc).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    insta::assert_snapshot!(at("connections -a my-app", &fake).without("HEROKU_API_KEY").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: no AppLink add-on is known here
      whether my-app has one at Heroku can't be asked: HEROKU_API_KEY isn't set, and ~/.netrc has no token for [HOST]

    hint: after `heroku login`: `export HEROKU_API_KEY=$(heroku auth:token)` (newer versions of the Heroku CLI keep the token in the keyring of the operating system, which only they read); without Heroku: `applink login` to an add-on, or set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN
    ");
}

/// What newer versions of Heroku's CLI keep in the keyring is not read: how it gets here is said wherever it is missed.
#[test]
fn without_a_token_for_heroku_the_way_to_one_is_named() {
    insta::assert_snapshot!(applink("connections -a my-app").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: no AppLink add-on is known here
      whether my-app has one at Heroku can't be asked: HEROKU_API_KEY isn't set, and ~/.netrc has no token for api.heroku.com

    hint: after `heroku login`: `export HEROKU_API_KEY=$(heroku auth:token)` (newer versions of the Heroku CLI keep the token in the keyring of the operating system, which only they read); without Heroku: `applink login` to an add-on, or set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN
    ");
    insta::assert_snapshot!(applink("open -a my-app").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: there is no token for the Heroku API
      HEROKU_API_KEY isn't set, and ~/.netrc has no token for api.heroku.com
      a control plane of your own is found by HEROKU_APPLINK_API_URL and APPLINK_API_KEY in the environment

    hint: after `heroku login`: `export HEROKU_API_KEY=$(heroku auth:token)` (newer versions of the Heroku CLI keep the token in the keyring of the operating system, which only they read)
    ");
    insta::assert_snapshot!(applink("connections").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: no AppLink add-on is known here

    hint: name the app with --app (and `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`), `applink login` to one, set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN, or run this below a directory with a running `applink dev`
    ");
    let other = Fake::start();
    insta::assert_snapshot!(applink("connections -a other").with(&other).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: the add-on in the environment belongs to app my-app, not to other
      whether other has one at Heroku can't be asked: HEROKU_API_KEY isn't set, and ~/.netrc has no token for api.heroku.com

    hint: leave --app out, set the variables of other, or have Heroku asked: `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`
    ");
    for line in ["connections -a my-app", "open -a my-app", "connections", "doctor", "publications -a my-app"]
    {
        let ran = applink(line).run();
        let told = format!("{ran}");
        assert!(told.contains("`export HEROKU_API_KEY=$(heroku auth:token)`"), "{line}: {told}");
    }
}

/// A token that Heroku's CLI left in `.netrc` long ago, before it took to the keyring.
#[test]
fn a_token_of_netrc_that_is_void_leads_there_too() {
    let mut fake = Fake::start();
    for path in ["", "/addons", "/addon-attachments", "/config-vars"] {
        fake = fake.on(&format!("GET /apps/my-app{path}"), 401, error("unauthorized", "Invalid credentials"));
    }
    let netrc = format!("machine {}\n  login me@example.com\n  password {HEROKU_KEY}\n", fake.host());
    let ran = at("connections -a my-app", &fake).without("HEROKU_API_KEY").file(".netrc", &netrc).run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    error: [HOST] doesn't accept the token in ~/.netrc

    hint: log in anew with `heroku login`, then `export HEROKU_API_KEY=$(heroku auth:token)`; for a pipeline set it to what `heroku authorizations:create --short` prints
    ");
}

#[test]
fn variables_of_another_app_give_way_to_the_one_that_is_named() {
    let (fake, other) = (one_addon(), Fake::start());
    let ran = at("connections -a my-app", &fake).with(&other).env("HEROKU_APP_NAME", "other-app").run();
    assert_eq!((ran.code, other.seen().len()), (Some(0), 0), "{ran}");
}

#[test]
fn among_several_addons_one_is_named() {
    let fake = two_addons();
    for selector in ["applink-regular-78506", ADDON, "HEROKU_APPLINK"] {
        let ran = at(&format!("connections -a my-app --addon {selector}"), &fake).run();
        assert_eq!(ran.code, Some(0), "{selector}: {ran}");
    }
    insta::assert_snapshot!(at("connections -a my-app", &fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: app my-app has multiple AppLink add-ons: applink-regular-78506, applink-horizontal-01234

    hint: say which with --addon
    ");
    insta::assert_snapshot!(at("connections -a my-app --addon nope", &fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: AppLink add-on nope doesn't exist on my-app

    hint: `heroku addons --app my-app` lists the add-ons of the app
    ");
}

#[test]
fn an_app_without_the_addon_or_with_one_that_is_not_ready() {
    insta::assert_snapshot!(at("connections -a my-app", &platform(json!([]))).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there is no AppLink add-on on my-app

    hint: make one: `heroku addons:create heroku-applink -a my-app`
    ");
    let unready = platform(json!([addon("7", "applink-new-1", "heroku-applink")]));
    insta::assert_snapshot!(at("connections -a my-app", &unready).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: the AppLink add-on applink-new-1 isn't fully provisioned on my-app

    hint: wait for it: `heroku addons:wait applink-new-1 -a my-app`
    ");
}

#[test]
fn what_heroku_refuses() {
    let fake = |status: u16, id: &str, message: &str| {
        Fake::start().on("GET /apps/my-app", status, error(id, message))
    };
    let refusal = |fake: &Fake| {
        let ran = at("connections -a my-app", fake).run();
        (ran.code, ran.stderr.lines().next().unwrap_or_default().to_owned())
    };
    for (status, id, message, code, told) in [
        (404, "not_found", "Couldn't find that app.", 1, "error: Couldn't find that app."),
        (
            403,
            "forbidden",
            "You do not have access to the app my-app.",
            1,
            "error: You do not have access to the app my-app.",
        ),
        (403, "two_factor", "…", 1, "error: [HOST] asks for a second factor, which needs a person"),
        (401, "unauthorized", "…", 1, "error: [HOST] doesn't accept HEROKU_API_KEY of the environment"),
        (503, "unavailable", "Try again.", 2, "error: Try again."),
    ] {
        // The other three answers are errors too, so the first to arrive must not matter: all say the same.
        let mut scripted = fake(status, id, message);
        for noun in ["addons", "addon-attachments", "config-vars"] {
            scripted = scripted.on(&format!("GET /apps/my-app/{noun}"), status, error(id, message));
        }
        assert_eq!(refusal(&scripted), (Some(code), told.to_owned()));
    }
}

#[test]
fn a_key_goes_to_heroku_and_this_machine_alone() {
    let ran = applink("connections -a my-app")
        .env("HEROKU_HOST", "https://evil.example")
        .env("HEROKU_API_KEY", HEROKU_KEY)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    error: HEROKU_HOST is https://evil.example, which is neither one of Heroku's hosts nor this machine

    hint: unset HEROKU_HOST, or give a host such as herokudev.com or http://127.0.0.1:7700
    ");
}

#[test]
fn open_leads_to_the_dashboard() {
    let fake = one_addon();
    insta::assert_snapshot!(at("open -a my-app --show-url", &fake).run(), @"
    exit: 0
    --- stdout
    https://addons.example/sso/one-time
    --- stderr
    ");
    // As Heroku's CLI calls it.
    for spelled in ["addons:open", "addons open", "applink addons:open"] {
        let ran = at(&format!("{spelled} -a my-app --show-url"), &fake).run();
        assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "https://addons.example/sso/one-time"), "{ran}");
    }
    assert!(applink("addons").run().stdout.contains("addons:open  Open the add-on's dashboard"));
    insta::assert_snapshot!(at("open -a my-app", &fake).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Open this page in a browser to see add-on applink-regular-78506: https://addons.example/sso/one-time
    ");
    insta::assert_snapshot!(applink("open").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: it is not known which app this is about
      a control plane of your own is found by HEROKU_APPLINK_API_URL and APPLINK_API_KEY in the environment

    hint: name the app with --app
    ");
}

#[test]
fn open_asks_a_control_plane_of_one_s_own_for_a_link() {
    let link = |may_change: bool| {
        json!({"url": "https://applink.example/sso/open/one-time", "expires_at": "2026-01-01T00:00:00Z",
            "may_change": may_change})
    };
    let fake = Fake::start().on("POST /sign-in-links", 201, link(true));
    insta::assert_snapshot!(applink("open --show-url").with(&fake).run(), @"
    exit: 0
    --- stdout
    https://applink.example/sso/open/one-time
    --- stderr
    ");
    let asked = fake.seen();
    let call = asked.last().unwrap();
    assert_eq!(call.line, format!("POST /addons/{ADDON}/sign-in-links"));
    assert_eq!(call.header("authorization"), format!("Bearer {API_KEY}"));

    let looking = Fake::start().on("POST /sign-in-links", 201, link(false));
    insta::assert_snapshot!(applink("open").with(&looking).without("APPLINK_API_KEY").run(), @"
    exit: 0
    --- stdout
    --- stderr
    warning: the add-on's token alone can only look: with APPLINK_API_KEY the dashboard can change things too
    Open this page in a browser to see add-on applink-regular-78506: https://applink.example/sso/open/one-time
    ");
    assert_eq!(looking.seen().last().unwrap().header("authorization"), format!("Bearer {TOKEN}"));

    let old = Fake::start().on("POST /sign-in-links", 404, not_found());
    assert_eq!(applink("open").with(&old).run().code, Some(1));
}

#[test]
fn run_gives_a_command_what_the_app_would_find() {
    let fake = one_addon();
    let script = "printf '%s %s %s' \"$HEROKU_APP_ID\" \"$HEROKU_APP_NAME\" \"${HEROKU_APPLINK_API_URL##*/}\"; \
                  test -n \"$HEROKU_APPLINK_TOKEN\"; exit 7";
    let ran = at("run -a my-app -- sh -c", &fake).arg(script).run();
    assert_eq!((ran.code, ran.stdout), (Some(7), format!("{APP} my-app {ADDON}")));
    insta::assert_snapshot!(at("run -a my-app -- /no/such/program", &fake).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't start /no/such/program
      caused by: No such file or directory (os error 2)
    ");
}
