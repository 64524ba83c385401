//! The line that says the stack is ready is true, and an app finds its add-on through it.

use std::os::unix::fs::PermissionsExt as _;

use applink_testkit::dev_stack::{DevStack, STEPS};
use serde_json::Value;

use super::{APPLINK, http};

#[tokio::test]
async fn every_listed_address_answers_at_once() {
    let mut stack = DevStack::start(APPLINK, &[]).await;
    for (field, path) in
        [("org_url", "/"), ("sandbox_url", "/"), ("mesh_url", "/healthcheck"), ("app_url", "/healthcheck")]
    {
        let url = format!("{}{path}", stack.text(field));
        let answer = http().get(url).send().await.unwrap_or_else(|error| panic!("{field}: {error}"));
        assert_eq!(answer.status(), 200, "{field}");
    }
    let api = stack.text("applink_api_url");
    let connections = http()
        .get(format!("{api}/connections"))
        .bearer_auth(stack.text("applink_token"))
        .send()
        .await
        .unwrap();
    assert_eq!(connections.status(), 200);
    assert!(stack.stop().await.is_some(), "Ctrl-C ends it");
}

#[tokio::test]
async fn the_line_has_every_key_and_the_file_is_private() {
    let stack = DevStack::start(APPLINK, &[]).await;
    for key in [
        "applink_api_url",
        "applink_token",
        "app_id",
        "app_name",
        "addon_id",
        "addon_name",
        "org_url",
        "org_id",
        "mesh_url",
        "app_url",
        "sim_key",
        "env_file",
        "platform_api_url",
        "platform_api_key",
    ] {
        assert!(!stack.text(key).is_empty(), "{key}");
    }
    assert_eq!(stack.text("dashboard_url"), format!("{}/dashboard", stack.text("platform_api_url")));
    assert!(stack.text("platform_api_key").starts_with("alp_"));
    assert!(stack.text("applink_api_url").ends_with(stack.text("addon_id")));
    assert!(stack.text("org_id").starts_with("00D"));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&stack.state_dir()), 0o700);
    for file in applink_testkit::leaks::files_below(&stack.state_dir()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn the_developer_owns_the_app_and_the_add_on_at_the_platform_api() {
    let mut stack = DevStack::start(APPLINK, &[]).await;
    let url = format!("{}/apps/{}", stack.text("platform_api_url"), stack.text("app_name"));
    let key = stack.text("platform_api_key").to_owned();
    let get = async |path: &str| -> Value {
        let answer = http().get(format!("{url}{path}")).bearer_auth(&key).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    };
    assert_eq!(get("").await["id"], stack.summary["app_id"]);
    let addons = get("/addons").await;
    assert_eq!(addons[0]["id"], stack.summary["addon_id"]);
    assert_eq!(
        (&addons[0]["name"], &addons[0]["state"]),
        (&stack.summary["addon_name"], &"provisioned".into())
    );
    let vars = get("/config-vars").await;
    assert_eq!(vars["HEROKU_APPLINK_API_URL"], stack.summary["applink_api_url"]);
    assert_eq!(vars["HEROKU_APPLINK_TOKEN"], stack.summary["applink_token"]);
    let env = std::fs::read_to_string(stack.text("env_file")).unwrap();
    for line in [
        format!("export HEROKU_HOST='{}'", stack.text("platform_api_url")),
        format!("export HEROKU_API_KEY='{key}'"),
    ] {
        assert!(env.lines().any(|found| found == line), "{line}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_curl_of_an_app_gets_the_documented_credentials() {
    let stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    // As a shell would: the variables come from the file.
    let script = format!(
        ". {} && curl -s -H \"Authorization: Bearer $HEROKU_APPLINK_TOKEN\" -H \"X-App-UUID: $HEROKU_APP_ID\" \
         -H 'Content-Type: application/json' \"$HEROKU_APPLINK_API_URL/authorizations/influencerPortal\"",
        stack.text("env_file")
    );
    let output = tokio::process::Command::new("sh").args(["-c", &script]).output().await.unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["status"], "authorized");
    assert_eq!(answer["org"]["id"], stack.summary["org_id"]);
    assert_eq!(answer["org"]["type"], "SalesforceOrg");
    assert_eq!(answer["org"]["instance_url"], stack.summary["org_url"]);
    assert_eq!(answer["org"]["developer_name"], "influencerPortal");
    assert_eq!(answer["org"]["user_auth"]["username"], stack.user("integration").0);
    assert_eq!(answer["created_via_app"], stack.summary["app_name"]);
    for text in ["id", "created_at", "created_by", "last_modified_at", "last_modified_by"] {
        assert!(answer[text].is_string(), "{text}");
    }
    let version = answer["org"]["api_version"].as_str().unwrap();
    let token = answer["org"]["user_auth"]["access_token"].as_str().unwrap();
    let campaigns = http()
        .get(format!("{}/services/data/v{version}/query", stack.text("org_url")))
        .query(&[("q", "SELECT Id, Name, Status, Type, StartDate, EndDate, Description FROM Campaign ORDER BY StartDate DESC")])
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    let campaigns: Value = campaigns.json().await.unwrap();
    assert_eq!(campaigns["totalSize"], 5, "the token is that user's");
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let stack = DevStack::start(APPLINK, &[]).await;
    let import = format!("{}/api/products/import", stack.text("mesh_url"));
    let connect = format!("{}/connections/salesforce", stack.text("applink_api_url"));
    for url in [&import, &connect] {
        for (name, value) in [("host", "evil.example:8070"), ("origin", "http://evil.example")] {
            let request = http().post(url).header(name, value).bearer_auth(stack.text("applink_api_key"));
            let answer = request.json(&serde_json::json!({})).send().await.unwrap();
            assert!(matches!(answer.status().as_u16(), 403 | 421), "{url} {name}: {}", answer.status());
        }
    }
}
