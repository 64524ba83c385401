use serde_json::{Value, json};

use crate::applink::{Applink, applink};
use crate::fake::{APP, Fake, error, not_found};
use crate::publish::SPEC;

const WRONG: &str = "openapi: 3.0.3\ninfo: {title: Quotes, version: 1.0.0}\npaths:\n  /quotes:\n    get:\n      operationId: list-quotes\n      \
    parameters: [{name: Authorization, in: header, schema: {type: string}}]\n      responses: {'200': {description: Quotes.}}\n";
const CALLBACKS: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

fn check(flags: &str) -> Applink {
    applink(&format!("spec check api.yaml {flags}")).file("api.yaml", WRONG)
}

#[test]
fn a_document_is_checked_without_any_service() {
    insta::assert_snapshot!("spec_check_text", check("").run());
    let good = applink("spec:check api.yaml").file("api.yaml", SPEC).run();
    assert_eq!(
        (good.code, good.stderr.as_str()),
        (Some(0), "api.yaml can be published: nothing found\n"),
        "{good}"
    );
}

#[test]
fn findings_for_programs() {
    let ran = check("--json").run();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["publishable"], &report["errors"]), (Some(1), &json!(false), &json!(1)));
    let error = &report["findings"][1];
    assert_eq!(error["code"], "header-reserved");
    assert_eq!((&error["line"], &error["column"]), (&json!(7), &json!(27)));
    assert!(error["path"] == "$.paths./quotes.get.parameters[0]" && error["fix"].is_string(), "{error}");

    let ran = check("--sarif").run();
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &log["version"]), (Some(1), &json!("2.1.0")));
    let result = &log["runs"][0]["results"][1];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("header-reserved"), &json!("error")));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "api.yaml");
    assert_eq!(place["region"], json!({"startLine": 7, "startColumn": 27}));
}

#[test]
fn a_publish_refuses_before_it_sends() {
    let fake = Fake::start();
    let publish = applink("publish api.yaml --client-name Quotes --connection-name org1");
    let ran = publish.file("api.yaml", WRONG).with(&fake).run();
    insta::assert_snapshot!("publish_refused_locally", ran);
    assert!(fake.seen().is_empty());
}

#[test]
fn a_dry_run_needs_no_service() {
    let dry = |flags: &str| {
        let ran = applink(&format!("publish api.yaml --client-name Reports --dry-run {flags}"));
        ran.file("api.yaml", CALLBACKS).run()
    };
    insta::assert_snapshot!("publish_dry_run", dry(""));
    let answer: Value = serde_json::from_str(&dry("--json").stdout).unwrap();
    assert_eq!(answer["report"]["publishable"], true);
    let kinds: Vec<&str> =
        answer["components"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["ExternalCredential", "ExternalServiceRegistration", "NamedCredential", "PermissionSet"]
    );
    let older = dry("--org-release 58.0");
    assert!(older.code == Some(1) && older.stderr.contains("publishing needs 59.0 or newer"), "{older}");
    // All spellings of the flag are one.
    for flag in ["--authorization-external-client-app-name", "--auth-external-client-app-name"] {
        let ran = dry(&format!("{flag} ReportsClientApp"));
        assert!(ran.stdout.contains("ExternalClientApplication ReportsClientApp"), "{ran}");
    }
    let ran = dry("--authorizationPermissionSetName Elevated");
    assert!(ran.stdout.contains("PermissionSet Elevated"), "{ran}");
}

#[test]
fn a_preview_shows_what_callers_see() {
    let preview = applink("publish api.yaml --client-name Reports --preview").file("api.yaml", CALLBACKS);
    insta::assert_snapshot!("publish_preview", preview.run());
}

#[test]
fn a_package_is_written_as_files() {
    let out = tempfile::tempdir().unwrap();
    let fake = Fake::start();
    let line = format!(
        "publish api.yaml --client-name Reports --output-dir {} --app-url https://app.example",
        out.path().display()
    );
    let ran = applink(&line).file("api.yaml", CALLBACKS).with(&fake).run();
    assert!(ran.code == Some(0) && fake.seen().is_empty(), "{ran}");
    let read = |path: &str| std::fs::read_to_string(out.path().join(path)).unwrap();
    assert!(read("package.xml").contains("<members>Reports</members>"));
    assert!(read("namedCredentials/Reports.namedCredential").contains("https://app.example"));
    let registration = read("externalServiceRegistrations/Reports.externalServiceRegistration");
    assert!(
        registration.contains(crate::fake::ADDON) && registration.contains(APP),
        "the ids are this add-on's"
    );
    let without = applink(&line).file("api.yaml", CALLBACKS).run();
    assert_eq!(without.code, Some(2), "without an add-on the package would be nobody's: {without}");
}

#[test]
fn stubs_are_written_for_editors() {
    let ran = applink("apex-stubs api.yaml --client-name Reports --output-dir stubs")
        .file("api.yaml", CALLBACKS)
        .run();
    insta::assert_snapshot!("apex_stubs", ran);
}

#[test]
fn a_breaking_publish_says_what_breaks() {
    let mut refusal = error("breaking_change", "Flows and Apex that use Quotes will break: 1 change.");
    refusal["problems"] = json!([{"place": "Quotes.listQuotes", "message": "the operation is gone"}]);
    let fake = Fake::start().on("POST /connections/salesforce/org1/apps", 409, refusal);
    let publish = applink("publish api.yaml --client-name Quotes --connection-name org1");
    insta::assert_snapshot!("publish_breaking", publish.file("api.yaml", SPEC).with(&fake).run());
}

#[test]
fn a_directory_stands_for_the_document_in_it() {
    let publish = |line: &str| applink(line).file("meta/api-spec.yaml", SPEC);
    let ran = publish("publish meta --client-name Quotes --dry-run").run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let two = publish("publish meta --client-name Quotes --dry-run").file("meta/api-spec.json", "{}").run();
    assert!(two.code == Some(1) && two.stderr.contains("there are two API specs"), "{two}");
    let other =
        publish("publish api.yaml --metadata-dir meta --client-name Quotes --dry-run").file("api.yaml", SPEC);
    let other = other.run();
    assert!(other.code == Some(1) && other.stderr.contains("there are two API specs"), "{other}");
}

#[test]
fn an_app_is_taken_out_of_an_org() {
    let line = format!("DELETE /connections/salesforce/org1/apps/{APP}/Quotes");
    let list = format!("GET /connections/salesforce/org1/apps/{APP}");
    let publication = json!({
        "app_uuid": APP, "connection_name": "org1", "org_id": "00DSB00000VAyPF2A1", "esr_name": "Quotes",
        "esr_id": "", "heroku_applink_id": crate::fake::ADDON,
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com",
        "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
        "removal": {"status": "removing", "requested_at": "2025-05-30T18:56:02.282284Z", "requested_by": "user@example.com"},
    });
    let fake = Fake::start().on(&line, 202, publication).on(&list, 200, json!([]));
    let unpublish = || applink("unpublish Quotes --connection-name org1 --confirm Quotes");
    insta::assert_snapshot!("unpublish", unpublish().with(&fake).run());
    let fake = Fake::start().on(&line, 404, not_found());
    insta::assert_snapshot!("unpublish_unknown", unpublish().with(&fake).run());
    let fake = Fake::start();
    let unconfirmed = applink("unpublish Quotes --connection-name org1").with(&fake).run();
    assert!(unconfirmed.code == Some(1) && fake.seen().is_empty(), "{unconfirmed}");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for() {
    let started = applink("spec:check pipe.yaml");
    nix::unistd::mkfifo(&started.directory().join("pipe.yaml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    insta::assert_snapshot!(started.run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't read pipe.yaml
      caused by: it is no regular file
    ");
}
