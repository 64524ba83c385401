//! No token, key or password stands in a database, its write-ahead log or a log at trace level.

use std::path::PathBuf;

use applink_testkit::dev_stack::{DevStack, STEPS};
use applink_testkit::leaks::{assert_absent, files_below};
use serde_json::Value;

use super::{APPLINK, http};

/// Where secrets are kept on purpose, readable by their owner alone: what the person and the next start need.
const KEPT_ON_PURPOSE: [&str; 3] = ["state.json", "dev.env", "credentials.json"];

fn searched(stack: &DevStack) -> Vec<PathBuf> {
    let mut files = files_below(&stack.state_dir());
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !KEPT_ON_PURPOSE.contains(&name.as_str())
    });
    files.push(stack.log_file());
    files
}

/// How secrets begin that this test never gets to see: every session of the org, every refresh token, the org's signed
/// word (a JWT whose header begins with `tnk` or `alg`), private keys.
fn shapes(stack: &DevStack) -> [(&'static str, String); 5] {
    [
        ("a session of the org", format!("{}!AQ", stack.text("org_id").get(..15).unwrap())),
        ("a refresh token", "5Aep861".to_owned()),
        ("the org's token", "eyJ0bmsi".to_owned()),
        ("a JWT", "eyJhbGci".to_owned()),
        ("a private key", "PRIVATE KEY-----".to_owned()),
    ]
}

#[tokio::test]
async fn nothing_secret_is_in_databases_or_logs() {
    let mut stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    let handed_out: Value = http()
        .get(format!("{}/authorizations/influencerPortal", stack.text("applink_api_url")))
        .bearer_auth(stack.text("applink_token"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let state: Value =
        serde_json::from_slice(&std::fs::read(stack.state_dir().join("state.json")).unwrap()).unwrap();
    let passwords = ["admin", "sales", "intern", "integration"].map(|role| stack.user(role).1);
    let mut secrets = vec![
        ("the add-on token", stack.text("applink_token").to_owned()),
        ("the API key", stack.text("applink_api_key").to_owned()),
        ("the platform API key", stack.text("platform_api_key").to_owned()),
        ("the sim key", stack.text("sim_key").to_owned()),
        ("the access token", handed_out["org"]["user_auth"]["access_token"].as_str().unwrap().to_owned()),
        ("the master key", state["master_key"].as_str().unwrap().to_owned()),
        ("the operator key", state["operator_key"].as_str().unwrap().to_owned()),
    ];
    let org: Value =
        serde_json::from_slice(&std::fs::read(stack.state_dir().join("org/credentials.json")).unwrap())
            .unwrap();
    secrets.push(("the OAuth client's secret", org["control_plane_secret"].as_str().unwrap().to_owned()));
    secrets.push(("the mesh secret", stack.app_variable("APPLINK_MESH_SECRET")));
    secrets.extend(passwords.map(|password| ("a password", password)));
    secrets.extend(shapes(&stack));
    let secrets: Vec<(&str, &str)> =
        secrets.iter().map(|(label, secret)| (*label, secret.as_str())).collect();

    let open = searched(&stack);
    assert!(open.iter().any(|file| file.to_string_lossy().ends_with("applink.db-wal")), "{open:?}");
    assert_absent(&open, &secrets);
    stack.stop().await;
    assert_absent(&searched(&stack), &secrets);
}
