//! Apps, config vars, releases, the account.

use reqwest::Method;
use serde_json::json;

use super::{Platform, assert_has};

#[tokio::test]
async fn whoami_and_create_have_what_the_cli_prints() {
    let platform = Platform::start().await;
    assert_eq!(platform.get("/account").await["email"], json!("owner@acme.example"));
    let named = platform.get("/apps/platform-app").await;
    assert_has(
        &named,
        &[
            "id",
            "name",
            "owner.email",
            "region.name",
            "stack.name",
            "build_stack.name",
            "git_url",
            "created_at",
        ],
    );
    assert_eq!(named["repo_size"], json!(0));
    let by_id = platform.get(&format!("/apps/{}", named["id"].as_str().unwrap())).await;
    assert_eq!(by_id, named, "the CLI uses names and ids alike");
    let generated = platform.post("/apps", json!({})).await;
    assert!(generated["name"].as_str().unwrap().starts_with("app-"), "{generated}");
    assert_eq!(platform.get("/apps").await.as_array().unwrap().len(), 2);
    let taken = platform.owner(Method::POST, "/apps", Some(&json!({"name": "platform-app"}))).await;
    taken.expect_error(409, "conflict");
    platform.owner(Method::POST, "/apps", Some(&json!({"name": "Bad Name"}))).await.expect(422);
}

#[tokio::test]
async fn apps_info_survives_what_there_is_not() {
    let platform = Platform::start().await;
    assert_eq!(platform.get("/apps/platform-app/dynos").await, json!([]));
    let collaborators = platform.get("/apps/platform-app/collaborators").await;
    assert_eq!(collaborators[0]["user"]["email"], json!("owner@acme.example"));
    assert_eq!(collaborators[0]["role"], json!("owner"));
    let coupling = platform.owner(Method::GET, "/apps/platform-app/pipeline-couplings", None).await;
    assert_eq!(coupling.expect(404).json()["resource"], json!("pipeline_coupling"));
    let missing = platform.owner(Method::GET, "/apps/no-such-app", None).await.expect(404).json();
    let expected = json!({"id": "not_found", "message": "Couldn't find that app.", "resource": "app"});
    assert_eq!(missing, expected);
}

#[tokio::test]
async fn config_vars_are_set_and_unset_and_counted_as_releases() {
    let platform = Platform::start().await;
    let path = "/apps/platform-app/config-vars";
    let body = json!({"PORTAL": "canary-value", "HEROKU_APP_ID": "x"});
    let both = platform.owner(Method::PATCH, path, Some(&body)).await.expect(200).json();
    assert_eq!(both, json!({"HEROKU_APP_ID": "x", "PORTAL": "canary-value"}));
    assert_eq!(platform.get(path).await, both);
    let body = json!({"HEROKU_APP_ID": null});
    let one = platform.owner(Method::PATCH, path, Some(&body)).await.expect(200).json();
    assert_eq!(one, json!({"PORTAL": "canary-value"}));

    let range = ("range", "version ..; max=1, order=desc");
    let bearer = format!("Bearer {}", platform.owner);
    let headers = [("authorization", bearer.as_str()), range];
    let releases = platform.stack.send(Method::GET, "/apps/platform-app/releases", &headers, None).await;
    let releases = releases.expect(206).json();
    assert_eq!(releases.as_array().unwrap().len(), 1);
    assert_eq!(releases[0]["version"], json!(3));
    assert_eq!(releases[0]["description"], json!("Remove HEROKU_APP_ID config vars"));
    assert_eq!(releases[0]["user"]["email"], json!("owner@acme.example"));
    let all = platform.get("/apps/platform-app/releases").await;
    let versions: Vec<i64> =
        all.as_array().unwrap().iter().map(|row| row["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert!(!all.to_string().contains("canary-value"));
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let platform = Platform::start().await;
    let path = "/apps/platform-app/config-vars";
    for name in ["HEROKU_APP_NAME", "HEROKU_API_KEY", "not a name", ""] {
        let body = json!({"GOOD": "1", name: "2"});
        let message =
            platform.owner(Method::PATCH, path, Some(&body)).await.expect_error(422, "invalid_params");
        assert!(!message.is_empty());
    }
    let large = json!({"GOOD": "x".repeat(64 * 1024)});
    platform.owner(Method::PATCH, path, Some(&large)).await.expect_error(422, "invalid_params");
    platform.owner(Method::PATCH, path, Some(&json!({"GOOD": 1}))).await.expect(422);
    platform.owner(Method::PATCH, path, Some(&json!(["GOOD"]))).await.expect(422);
    assert_eq!(platform.get(path).await, json!({}));
    assert_eq!(platform.get("/apps/platform-app/releases").await.as_array().unwrap().len(), 1);
}
