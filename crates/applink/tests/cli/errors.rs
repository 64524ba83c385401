//! What every command says when it can't do what was asked: wrong arguments, nothing to work with, a service that is away, broken
//! or refuses. A new command has to be given a line here.
//!
//! The snapshots list what is said, and below it which commands say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use crate::applink::{Applink, OPERATOR_KEY, Ran, SIM_KEY, applink};
use crate::every::names;
use crate::fake::{ADDON, Fake, error, not_found};
use crate::publish::SPEC;

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nkey-material-canary\n-----END PRIVATE KEY-----\n";
const JWT: &str = "--client-id 3MVG9 --jwt-key-file jwt.key --username a@acme.example";
const UUID: &str = "5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b";

/// One complete line of each command that asks a service.
const ASKING: &[&str] = &[
    "salesforce:connect new_org",
    "salesforce:connect:jwt new_org JWT",
    "salesforce:disconnect new_org --confirm new_org",
    "salesforce:authorizations:add worker",
    "salesforce:authorizations:add:jwt worker JWT",
    "salesforce:authorizations:remove worker --confirm worker",
    "salesforce:publish api.yaml --client-name Quotes --connection-name new_org",
    "salesforce:publications",
    "salesforce:publications:history Quotes --connection-name new_org",
    "salesforce:unpublish Quotes --connection-name new_org --confirm Quotes",
    "datacloud:connect lake",
    "datacloud:disconnect lake --confirm lake",
    "datacloud:authorizations:add clicker",
    "datacloud:authorizations:add:jwt clicker JWT",
    "datacloud:authorizations:remove clicker --confirm clicker",
    "datacloud:data-action-target:create Clicks -o lake -p /clicks",
    "datacloud:data-action-target:list -o lake",
    "datacloud:data-action-target:info Clicks -o lake",
    "datacloud:data-action-target:rotate Clicks -o lake",
    "datacloud:data-action-target:remove Clicks -o lake --confirm Clicks",
    "applink:connections",
    "applink:connections:info new_org",
    "applink:connections:reconnect new_org",
    "applink:connections:wait new_org",
    "applink:connections:rename new_org other_org",
    "applink:connections:rotate-key new_org --jwt-key-file jwt.key",
    "applink:authorizations",
    "applink:authorizations:info worker",
    "applink:authorizations:test worker",
    "applink:authorizations:refresh worker",
    "applink:authorizations:reconnect worker",
    "applink:authorizations:rename worker other",
    "applink:authorizations:rotate-key worker --jwt-key-file jwt.key",
    "rename new_org other_org",
    "applink:webhooks",
    "applink:webhooks:create https://hooks.example/applink --events connection.*",
    "applink:webhooks:show UUID",
    "applink:webhooks:update UUID --enable",
    "applink:webhooks:remove UUID --confirm UUID",
    "applink:webhooks:rotate-secret UUID",
    "applink:webhooks:test UUID",
    "applink:webhooks:deliveries UUID",
    "applink:tokens",
    "applink:tokens:create",
    "applink:tokens:revoke UUID",
    "doctor",
    "logs",
    "open --show-url",
    "invoke Quotes.quote --as sales@acme.example",
    "org:users",
    "org:permsets",
    "org:permsets:assign Quotes --on-behalf-of sales@acme.example",
    "org:permsets:unassign Quotes --on-behalf-of sales@acme.example",
    "org:records Account --as sales@acme.example",
    "org:callbacks",
    "admin:apps",
    "admin:apps:create my-app",
    "admin:apps:set-url my-app https://my-app.example",
    "admin:addons",
    "admin:addons:create --app my-app",
    "admin:addons:attach applink-1 --app other",
    "admin:addons:detach applink-1 --app other",
    "admin:addons:destroy applink-1 --confirm applink-1",
    "admin:keys",
    "admin:keys:create --owner ci@acme.example --scope operate",
    "admin:keys:revoke UUID",
    "admin:audit:erase-name user@example.com",
    "admin:vault:status",
    "admin:vault:rotate-master",
    "admin:vault:rotate-data",
    "admin:removals",
    "keys:rotate data",
];

/// Lines of the other commands, each of which is refused.
const ALONE: &[&str] = &[
    "spec:check missing.yaml",
    "apex-stubs missing.yaml --client-name Quotes",
    "init taken",
    "init No_Name",
    "run -- no-such-program-anywhere",
    "login ftp://applink.example/addons/1",
    "login not-an-address",
    "logout --now",
    "audit:verify --anchor nonsense",
    "audit:verify",
    "admin:manifest --slug My_Slug --url https://applink.example",
    "admin:manifest --slug my-slug --url http://applink.example",
    "serve",
    "serve --config missing.toml",
    "mesh",
    "mesh --no-such-flag",
    "dev --port nonsense",
    "dev --break nonsense",
    "org:serve --port nonsense",
    "completions tcsh",
    "man nonsense",
];

/// Commands that need no argument and no service to do what they are for, or would serve.
const NEVER_AT_A_LOSS: &[&str] = &["dev", "logout", "man", "org:serve"];

/// With files that are needed, and no service.
fn prepared(line: &str) -> Applink {
    applink(&line.replace("JWT", JWT).replace("UUID", UUID))
        .file("jwt.key", KEY)
        .file("api.yaml", SPEC)
        .file("taken/mine", "")
}

/// With everything that can be set for it.
fn asking(line: &str, fake: &Fake) -> Applink {
    prepared(line).with(fake).with_org(fake).with_control_plane(fake)
}

/// What is said, and which lines lead to it.
#[derive(Default)]
struct Said(BTreeMap<String, Vec<String>>);

impl Said {
    /// A refusal has status 1 or 2, says what is wrong on standard error, and leaves standard output to answers.
    fn refused(&mut self, line: &str, ran: &Ran) {
        assert!(matches!(ran.code, Some(1 | 2)), "{line}: {ran}");
        assert!(ran.stderr.contains("error: "), "{line}: {ran}");
        assert!(!ran.stderr.contains("panicked"), "{line}: {ran}");
        assert_eq!(ran.stdout, "", "{line}: {ran}");
        self.note(line, ran);
    }

    /// The same, but what `doctor` finds is data.
    fn unanswered(&mut self, line: &str, ran: &Ran) {
        if name_of(line) == "doctor" {
            assert_eq!(ran.code, Some(1), "{ran}");
            self.note(line, ran);
        } else {
            self.refused(line, ran);
        }
    }

    fn note(&mut self, line: &str, ran: &Ran) {
        let text = format!("{ran}").replace("\n--- stdout\n--- stderr\n", "\n");
        self.0.entry(text).or_default().push(line.to_owned());
    }

    fn shown(&self) -> String {
        let mut all: Vec<(&Vec<String>, &String)> =
            self.0.iter().map(|(text, lines)| (lines, text)).collect();
        all.sort();
        let mut shown = String::new();
        for (lines, text) in all {
            for line in lines {
                writeln!(shown, "$ applink {line}").unwrap();
            }
            writeln!(shown, "{text}").unwrap();
        }
        shown
    }
}

fn name_of(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

#[test]
fn every_command_has_a_line() {
    let lines: BTreeSet<&str> = ASKING.iter().chain(ALONE).map(|line| name_of(line)).collect();
    let names = names();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(lines, names);
}

#[test]
fn a_flag_that_is_none() {
    for name in names() {
        // What follows `mesh` is the mesh's own; its line is among those of `ALONE`.
        if name != "mesh" {
            let ran = applink(&format!("{name} --no-such-flag")).run();
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{name}: {ran}");
            let told = "error: unexpected argument '--no-such-flag' found";
            assert!(ran.stderr.starts_with(told) && ran.stderr.contains("--help"), "{name}: {ran}");
        }
    }
}

#[test]
fn nothing_is_given_and_nothing_is_set() {
    let mut said = Said::default();
    for name in names().iter().filter(|name| !NEVER_AT_A_LOSS.contains(&name.as_str())) {
        let ran = applink(name).run();
        said.unanswered(name, &ran);
    }
    insta::assert_snapshot!(said.shown());
}

#[test]
fn refused_without_a_service() {
    let mut said = Said::default();
    for line in ALONE {
        let line = *line;
        let fake = Fake::start();
        let ran = match name_of(line) {
            "run" => prepared(line).with(&fake).run(),
            "login" => prepared(line).stdin("alk_key").run(),
            _ => prepared(line).run(),
        };
        said.refused(line, &ran);
    }
    insta::assert_snapshot!(said.shown());
}

/// Every command that asks, at a service that answers everything alike.
fn answered(fake: &Fake) -> String {
    let mut said = Said::default();
    for line in ASKING {
        said.unanswered(line, &asking(line, fake).run());
    }
    said.shown()
}

#[test]
fn the_credentials_are_refused() {
    let fake = Fake::start().on_everything(401, error("unauthorized", "These credentials are not known."));
    insta::assert_snapshot!(answered(&fake));
}

#[test]
fn nothing_of_that_name_is_there() {
    insta::assert_snapshot!(answered(&Fake::start().on_everything(404, not_found())));
}

#[test]
fn the_service_breaks() {
    insta::assert_snapshot!(answered(&Fake::start().on_everything(500, json!({"oops": true}))));
}

#[test]
fn nobody_listens() {
    let nowhere = "http://127.0.0.1:1";
    let away = |line: &str| {
        let ran = prepared(line).with_url(&format!("{nowhere}/addons/{ADDON}"));
        let ran = ran.env("APPLINK_ORG_URL", nowhere).env("APPLINK_SIM_KEY", SIM_KEY);
        ran.env("APPLINK_SERVER_URL", nowhere).env("APPLINK_OPERATOR_KEY", OPERATOR_KEY).spawn()
    };
    // All at once: they mostly wait before they try again.
    let running: Vec<_> = ASKING.iter().map(|line| (*line, away(line))).collect();
    let mut said = Said::default();
    for (line, running) in running {
        said.unanswered(line, &running.finish());
    }
    insta::assert_snapshot!(said.shown());
}

/// Whatever a command waits for, Ctrl-C ends it at once, and it says how things are.
#[test]
fn ctrl_c_at_any_command() {
    let mut said = Said::default();
    for line in ASKING {
        let fake = Fake::start().silent();
        let running = asking(line, &fake).spawn();
        fake.wait_for("");
        running.interrupt();
        let ran = running.finish();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{line}: {ran}");
        said.note(line, &ran);
    }
    insta::assert_snapshot!(said.shown());
}
