//! API keys of one's own: a person makes them, and who is none is told who does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::applink::{API_KEY, Applink, TOKEN, applink};
use crate::fake::{ADDON, Fake, error};
use crate::heroku::one_addon;

const MADE: &str = "5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b";

fn asked(line: &str, fake: &Fake) -> Applink {
    applink(line).with(fake)
}

fn at_heroku(ran: Applink, fake: &Fake) -> Applink {
    ran.env("HEROKU_HOST", &fake.url("")).env("HEROKU_API_KEY", "HRKU-canary-key")
}

#[test]
fn a_key_makes_no_keys_and_says_who_does() {
    let refusal = error("forbidden", "Only a person makes keys: what a key made would outlive it.");
    let fake = Fake::start().on("POST /keys", 403, refusal);
    insta::assert_snapshot!(asked("tokens:create", &fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Only a person makes keys: what a key made would outlive it.
      this was asked with APPLINK_API_KEY of the environment, which is no person
      at Heroku, Heroku says who you are: `export HEROKU_API_KEY=$(heroku auth:token)`, then `applink tokens:create --app my-app`
      with an OpenID provider: sign in at http://[HOST]/sso/openid, then Settings, Tokens

    hint: elsewhere whoever runs the server makes you one: `applink admin keys create --owner YOUR-E-MAIL --addon 01234567-89ab-cdef-0123-456789abcdef`
    ");
}

#[test]
fn a_token_makes_none_either() {
    let refusal = error("unauthorized", "The add-on's token alone changes nothing.");
    let fake = Fake::start().on("POST /keys", 401, refusal);
    insta::assert_snapshot!(asked("tokens:create", &fake).without("APPLINK_API_KEY").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: The add-on's token alone changes nothing.
      this was asked with the add-on's token, which is no person
      at Heroku, Heroku says who you are: `export HEROKU_API_KEY=$(heroku auth:token)`, then `applink tokens:create --app my-app`
      with an OpenID provider: sign in at http://[HOST]/sso/openid, then Settings, Tokens

    hint: elsewhere whoever runs the server makes you one: `applink admin keys create --owner YOUR-E-MAIL --addon 01234567-89ab-cdef-0123-456789abcdef`
    ");
}

#[test]
fn a_key_that_is_not_known_is_another_matter() {
    let fake = Fake::start().on("POST /keys", 401, error("unauthorized", "These credentials are not known."));
    insta::assert_snapshot!(asked("tokens:create", &fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: These credentials are not known.

    hint: APPLINK_API_KEY of the environment, or the add-on's token, counts no more or is of another add-on: `applink doctor` says which
    ");
}

/// Though the environment has a key, Heroku is asked who this is when it leads to the same add-on.
#[test]
fn whom_heroku_knows_makes_one() {
    let fake = one_addon().on("POST /keys", 201, json!({"id": MADE, "key": "alk_fresh"}));
    let ran = at_heroku(asked("tokens:create -a my-app", &fake), &fake).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "alk_fresh\n"), "{ran}");
    let seen = fake.seen();
    let call = seen.last().unwrap();
    assert_eq!(call.line, format!("POST /addons/{ADDON}/keys"));
    assert_eq!(call.header("authorization"), format!("Bearer {TOKEN}"));
    let vouched: Value =
        serde_json::from_slice(&STANDARD.decode(call.header("x-addon-sso")).unwrap()).unwrap();
    assert_eq!(vouched["params"]["resource_id"], ADDON);
}

/// A key of one control plane is never made at another.
#[test]
fn heroku_does_not_lead_to_another_add_on() {
    let heroku = one_addon();
    let own = Fake::start().on("POST /keys", 201, json!({"id": MADE, "key": "alk_fresh"}));
    let ran = at_heroku(asked("tokens:create", &own), &heroku).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(own.only().header("authorization"), format!("Bearer {API_KEY}"));
}
