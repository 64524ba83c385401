use serde_json::json;

use crate::applink::{API_KEY, Applink, TOKEN, applink};
use crate::fake::{ADDON, APP, Fake, connection};

fn one() -> Fake {
    Fake::start().on("GET /connections", 200, json!([connection("org1", "connected", "SalesforceOrg")]))
}

fn dev_env(url: &str) -> String {
    format!(
        "# written by applink dev\nHEROKU_APPLINK_API_URL='{url}/addons/{ADDON}'\nHEROKU_APPLINK_TOKEN='{TOKEN}'\n\
         APPLINK_API_KEY='{API_KEY}'\nHEROKU_APP_ID='{APP}'\nHEROKU_APP_NAME='my-app'\nAPPLINK_ADDON_NAME='applink-regular-78506'\n"
    )
}

#[test]
fn nothing_is_set() {
    insta::assert_snapshot!(applink("connections").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: no AppLink add-on is known here

    hint: name the app with --app (and `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`), `applink login` to one, set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN, or run this below a directory with a running `applink dev`
    ");
}

#[test]
fn a_second_shell_below_a_running_dev_stack_just_works() {
    let fake = one();
    let env = dev_env(&fake.url(""));
    let ran = applink("connections").file(".applink/dev.env", &env).inside("src/deep").run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout
            .starts_with("=== Heroku AppLink connections for add-on applink-regular-78506 on app my-app")
    );
}

#[test]
fn the_environment_wins_over_the_file_as_a_whole() {
    let (fake, other) = (one(), Fake::start());
    let applink = applink("connections")
        .file(".applink/dev.env", &dev_env(&other.url("")))
        .env("HEROKU_APPLINK_API_URL", &fake.url(&format!("/addons/{ADDON}")));
    let ran = applink.hide(&fake.host()).run();
    insta::assert_snapshot!(ran, @"
    exit: 2
    --- stdout
    --- stderr
    error: HEROKU_APPLINK_API_URL is set in the environment, but HEROKU_APPLINK_TOKEN is not

    hint: set HEROKU_APPLINK_TOKEN, or APPLINK_API_KEY for an API key
    ");
    assert!(
        fake.seen().is_empty() && other.seen().is_empty(),
        "no token of the file for the address of the environment"
    );
}

#[test]
fn a_file_that_came_with_a_directory_leads_nowhere_else() {
    let ran = applink("connections").file(".applink/dev.env", &dev_env("https://evil.example")).run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    error: HEROKU_APPLINK_API_URL in .applink/dev.env leads to another machine
      this file comes with a directory, so it is only trusted for addresses of this machine

    hint: set HEROKU_APPLINK_API_URL and its key in the environment if that is meant
    ");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_line() {
    let ran = applink("connections").file(".applink/dev.env", "A=1\nHEROKU_APPLINK_TOKEN=$(secret)\n").run();
    insta::assert_snapshot!(ran, @"
    exit: 2
    --- stdout
    --- stderr
    error: .applink/dev.env:2: a value with such characters needs quotes
    ");
}

#[test]
fn the_address_is_wrong() {
    insta::assert_snapshot!(applink("connections").with_url("applink.example").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: `applink.example` can't be used as an AppLink API URL: relative URL without a base
      the address comes from HEROKU_APPLINK_API_URL in the environment

    hint: it looks like https://<host>/addons/<uuid>
    ");
}

#[test]
fn nobody_listens_at_the_address() {
    let host = "127.0.0.1:1"; // tcpmux, which nobody runs any more
    let url = format!("http://{host}/addons/{ADDON}");
    insta::assert_snapshot!(applink("connections").with_url(&url).hide(host).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't reach [HOST]
      caused by: Connection refused (os error 111)
      the address comes from HEROKU_APPLINK_API_URL in the environment

    hint: is the service running, and is the address right?
    ");
    let env = dev_env(&format!("http://{host}"));
    insta::assert_snapshot!(applink("connections").file(".applink/dev.env", &env).hide(host).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't reach [HOST]
      caused by: Connection refused (os error 111)
      the address comes from HEROKU_APPLINK_API_URL in .applink/dev.env

    hint: is `applink dev` still running?
    ");
}

#[test]
fn the_addon_flag() {
    let fake = one();
    let staging = |line: &str| {
        applink(line)
            .env("HEROKU_APPLINK_STAGING_API_URL", &fake.url(&format!("/addons/{ADDON}")))
            .env("HEROKU_APPLINK_STAGING_TOKEN", TOKEN)
            .hide(&fake.host())
    };
    assert_eq!(staging("connections --addon staging").run().code, Some(0));
    assert_eq!(staging(&format!("connections --addon {ADDON}")).run().code, Some(0));
    insta::assert_snapshot!(staging("connections --addon blue").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there is no AppLink add-on blue; there is HEROKU_APPLINK_STAGING (the environment)
    ");
    insta::assert_snapshot!(staging("connections --addon staging").without("HEROKU_APPLINK_STAGING_TOKEN").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: HEROKU_APPLINK_STAGING_API_URL is set in the environment, but HEROKU_APPLINK_STAGING_TOKEN is not

    hint: set HEROKU_APPLINK_STAGING_TOKEN, or APPLINK_API_KEY for an API key
    ");
}

#[test]
fn several_addons_and_none_chosen() {
    let url = format!("http://127.0.0.1:1/addons/{ADDON}");
    insta::assert_snapshot!(applink("connections").env("BLUE_API_URL", &url).env("GREEN_API_URL", &url).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there are several AppLink add-ons in the environment: BLUE, GREEN

    hint: say which with --addon
    ");
}

#[test]
fn the_app_flag_must_be_the_app_of_the_addon() {
    let fake = one();
    assert_eq!(applink(&format!("connections --app {APP}")).with(&fake).run().code, Some(0));
    insta::assert_snapshot!(applink("connections --app other-app").with(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: the add-on in the environment belongs to app my-app, not to other-app
      whether other-app has one at Heroku can't be asked: HEROKU_API_KEY isn't set, and ~/.netrc has no token for api.heroku.com

    hint: leave --app out, set the variables of other-app, or have Heroku asked: `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`
    ");
}

#[test]
fn the_app_of_a_git_remote() {
    let fake = one();
    let config = "[remote \"heroku\"]\n\turl = https://git.heroku.com/my-app.git\n[remote \"origin\"]\n\turl = git@github.com:a/b.git\n";
    let at = |line: &str| -> Applink { applink(line).with(&fake).file(".git/config", config) };
    assert_eq!(at("connections -r heroku").run().code, Some(0));
    insta::assert_snapshot!(at("connections -r origin").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: git remote origin does not lead to an app

    hint: name the app with --app
    ");
    insta::assert_snapshot!(at("connections -r staging").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: there is no git remote staging

    hint: `git remote -v` lists them
    ");
}

#[test]
fn an_app_id_that_is_no_uuid() {
    let fake = one();
    insta::assert_snapshot!(applink("connections").with(&fake).env("HEROKU_APP_ID", "my-app").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: HEROKU_APP_ID in the environment is not a uuid

    hint: it looks like 89abcdef-0123-4567-89ab-cdef01234567
    ");
}
