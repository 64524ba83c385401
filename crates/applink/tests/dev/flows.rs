//! The flows of Heroku's own documents as shell scripts with our program; the log-ins are done by a person's double.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use applink_testkit::dev_stack::{DevStack, STEPS};
use serde_json::Value;

use super::APPLINK;
use super::visitor::{Decision, Person, Visitor};

/// A folder with what the scripts find in their `PATH` and the browser they start.
fn workplace() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(APPLINK, bin.join("applink")).unwrap();
    let browser = bin.join("browser");
    std::fs::write(
        &browser,
        format!("#!/bin/sh\nprintf '%s\\n' \"$1\" > {}\n", folder.path().join("opened").display()),
    )
    .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).unwrap();
    nix::unistd::mkfifo(&folder.path().join("opened"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    folder
}

/// Does in every page the browser is led to what the person named in the file `who` would.
async fn log_in(folder: PathBuf, summary: Value) {
    loop {
        let opened = folder.join("opened");
        // Opening a pipe waits until somebody writes.
        let page =
            tokio::task::spawn_blocking(move || std::fs::read_to_string(opened)).await.unwrap().unwrap();
        let who = std::fs::read_to_string(folder.join("who")).unwrap();
        let (org, role) = who.split_once(' ').unwrap();
        let users = if org == "sandbox" { &summary["sandbox_users"] } else { &summary["users"] };
        let user = users.as_array().unwrap().iter().find(|user| user["role"] == role).unwrap();
        let text = |key: &str| user[key].as_str().unwrap().to_owned();
        let person = Person {
            username: text("username"),
            password: text("password").into(),
            decision: Decision::Allow,
        };
        Visitor::new().unwrap().visit(page.trim().parse().unwrap(), &person).await.unwrap();
    }
}

/// Runs `script` against a stack of its own: standard output and error together, once it has succeeded.
async fn played(script: &str) -> String {
    let mut stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    let folder = workplace();
    let person = tokio::spawn(log_in(folder.path().to_owned(), stack.summary.clone()));
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/provisioning-service");
    let users = stack.summary["sandbox_users"].as_array().unwrap();
    let sales = users.iter().find(|user| user["role"] == "sales").unwrap()["username"].as_str().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
    let variables = [
        ("HEROKU_APPLINK_API_URL", stack.text("applink_api_url")),
        ("HEROKU_APPLINK_TOKEN", stack.text("applink_token")),
        ("APPLINK_API_KEY", stack.text("applink_api_key")),
        ("HEROKU_APP_ID", stack.text("app_id")),
        ("HEROKU_APP_NAME", stack.text("app_name")),
        ("APPLINK_ORG_URL", stack.text("org_url")),
        ("APPLINK_SANDBOX_URL", stack.text("sandbox_url")),
        ("APPLINK_SIM_KEY", stack.text("sim_key")),
        ("APP", stack.text("app_name")),
        ("SALES", sales),
        ("BROWSER", "browser"),
        ("PATH", &path),
    ];
    let output = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("exec 2>&1\n{script}"))
        .env_clear()
        .envs(variables)
        .env("HOME", folder.path())
        .env("SPEC", sample.join("api-spec.yaml"))
        .env("METADATA", &sample)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    person.abort();
    // Whoever still waits for a page is let go: a pipe with a writer can be opened.
    let mut pipe =
        std::fs::OpenOptions::new().read(true).write(true).open(folder.path().join("opened")).unwrap();
    std::io::Write::write_all(&mut pipe, b"\n").unwrap();
    drop(pipe);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    for secret in ["applink_token", "applink_api_key", "sim_key"] {
        assert!(!told.contains(stack.text(secret)), "{secret} was printed:\n{told}");
    }
    stack.stop().await;
    told
}

fn has_all(told: &str, lines: &[&str]) {
    let mut rest = told;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("`{line}` does not come next in:\n{told}"));
        rest = &rest[at + line.len()..];
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn working_with_applink() {
    let told = played(include_str!("../flows/working-with-applink.sh")).await;
    has_all(
        &told,
        &[
            "as production-org... Connected",
            "Connection Name",
            "production-org",
            "=== production-org on app",
            "Status:           Connected",
            "Waiting for production-org... Connected",
            "as auth-user... Authorized",
            "Developer Name",
            "=== auth-user on app",
            "=== auth-user works",
            "Renewing the access token of auth-user... Authorized",
            "can be published",
            "to production-org as HerokuAPI... done",
            "=== Salesforce publications for app",
            "callers see no difference",
            "Removing HerokuAPI from production-org... done",
            "Removing credentials auth-user",
            "Disconnecting Salesforce connection production-org",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn securing_salesforce_integrations() {
    let told = played(include_str!("../flows/securing-integrations.sh")).await;
    has_all(
        &told,
        &[
            "as campaigns... Authorized",
            "\"developer_name\": \"campaigns\"",
            "authorized\"",
            "as my-org... Connected",
            "to my-org as ProvisioningService... done",
            "Assigning ProvisioningService to",
            "Assigning ProvisioningServicePermissions to",
            "Invoking ProvisioningService.provisionServices as",
            "201",
            "=== Callbacks",
        ],
    );
}
