//! Who may do what.

use reqwest::Method;
use serde_json::{Value, json};

use super::Platform;

/// Every way into an app, with a body where one is needed.
fn routes(addon: &str, attachment: &str) -> Vec<(Method, String, Option<Value>)> {
    let app = "/apps/platform-app";
    let get = |path: String| (Method::GET, path, None);
    let plan = json!({"plan": {"name": "heroku-applink"}});
    let attach = json!({"addon": {"name": addon}, "app": {"name": "platform-app"}, "name": "X"});
    vec![
        get(app.to_owned()),
        get(format!("{app}/addons")),
        get(format!("{app}/addons/{addon}")),
        get(format!("{app}/addons/{addon}/sso")),
        get(format!("{app}/addon-attachments")),
        get(format!("{app}/addon-attachments/HEROKU_APPLINK")),
        get(format!("{app}/config-vars")),
        get(format!("{app}/releases")),
        get(format!("{app}/dynos")),
        get(format!("{app}/collaborators")),
        get(format!("/addons/{addon}")),
        get(format!("/addons/{addon}/addon-attachments")),
        get(format!("/addon-attachments/{attachment}")),
        (Method::PATCH, format!("{app}/config-vars"), Some(json!({"A": "1"}))),
        (Method::POST, format!("{app}/addons"), Some(plan)),
        (Method::POST, "/addon-attachments".to_owned(), Some(attach)),
        (Method::POST, "/actions/addons/resolve".to_owned(), Some(json!({"addon": addon}))),
        (
            Method::POST,
            "/actions/addon-attachments/resolve".to_owned(),
            Some(json!({"addon_attachment": "HEROKU_APPLINK", "app": "platform-app"})),
        ),
        (Method::DELETE, format!("/addon-attachments/{attachment}"), None),
        (Method::DELETE, format!("{app}/addons/{addon}"), None),
    ]
}

async fn grant(platform: &Platform, email: &str, permissions: &[&str]) {
    let body = json!({"user": email, "permissions": permissions});
    platform.post("/apps/platform-app/collaborators", body).await;
}

#[tokio::test]
async fn strangers_see_nothing_and_viewers_are_refused() {
    let platform = Platform::start().await;
    let addon = platform.addon("platform-app").await;
    let attachment = platform.get("/apps/platform-app/addon-attachments/HEROKU_APPLINK").await;
    let viewer = platform.key("viewer@acme.example").await;
    let stranger = platform.key("stranger@acme.example").await;
    grant(&platform, "viewer@acme.example", &["view"]).await;
    let before = platform.get("/apps/platform-app/config-vars").await;
    let (name, id) = (addon["name"].as_str().unwrap(), attachment["id"].as_str().unwrap());
    for (method, path, body) in routes(name, id) {
        let seen = platform.call(&viewer, method.clone(), &path, body.as_ref()).await;
        assert_eq!(seen.status.as_u16(), 403, "view: {method} {path}: {}", seen.text);
        assert_eq!(seen.json()["id"], json!("forbidden"));
        let unseen = platform.call(&stranger, method.clone(), &path, body.as_ref()).await;
        assert_eq!(unseen.status.as_u16(), 404, "stranger: {method} {path}: {}", unseen.text);
        let nobody = platform.call("alp_wrong", method.clone(), &path, body.as_ref()).await;
        nobody.expect_error(401, "unauthorized");
    }
    assert_eq!(platform.get("/apps/platform-app/config-vars").await, before);
    for key in [viewer, stranger] {
        assert_eq!(platform.call(&key, Method::GET, "/apps", None).await.expect(200).json(), json!([]));
        let all = platform.call(&key, Method::GET, "/addon-attachments", None).await;
        assert_eq!(all.expect(200).json(), json!([]));
    }
}

#[tokio::test]
async fn a_foreign_app_and_a_missing_one_answer_the_same_bytes() {
    let platform = Platform::start().await;
    let stranger = platform.key("stranger@acme.example").await;
    for suffix in ["", "/addons", "/config-vars", "/addon-attachments", "/releases", "/collaborators"] {
        let mut answers = Vec::new();
        for app in ["platform-app", "missing-app", "my-app"] {
            let path = format!("/apps/{app}{suffix}");
            answers.push(platform.call(&stranger, Method::GET, &path, None).await.expect(404).text);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{suffix}: {answers:?}");
    }
}

#[tokio::test]
async fn deploy_or_operate_is_enough_and_manage_is_for_people() {
    let platform = Platform::start().await;
    for (permissions, works, manages) in [
        (vec!["deploy"], true, false),
        (vec!["view", "operate"], true, false),
        (vec!["view", "manage"], false, false),
        (vec!["deploy", "manage"], true, true),
    ] {
        let email = format!("{}@acme.example", permissions.join("-"));
        let key = platform.key(&email).await;
        grant(&platform, &email, &permissions).await;
        let shown = platform.call(&key, Method::GET, "/apps/platform-app/config-vars", None).await;
        assert_eq!(shown.status.is_success(), works, "{permissions:?}");
        let body = json!({"user": "owner@acme.example", "permissions": ["view"]});
        let added = platform.call(&key, Method::POST, "/apps/platform-app/collaborators", Some(&body)).await;
        assert_eq!(added.status.is_success(), manages, "{permissions:?}: {}", added.text);
        if !manages {
            added.expect_error(403, "forbidden");
        }
    }
    let path = "/apps/platform-app/collaborators";
    let unknown = json!({"user": "nobody@acme.example"});
    let missing = platform.owner(Method::POST, path, Some(&unknown)).await.expect(404).json();
    assert_eq!(missing["resource"], json!("user"));
    let wrong = json!({"user": "deploy@acme.example", "permissions": ["fly"]});
    let message = platform.owner(Method::POST, path, Some(&wrong)).await.expect_error(422, "invalid_params");
    assert!(message.contains("`fly`"), "{message}");
}

#[tokio::test]
async fn a_collaborator_can_be_changed_and_taken_off() {
    let platform = Platform::start().await;
    let key = platform.key("dev@acme.example").await;
    let added = platform.post("/apps/platform-app/collaborators", json!({"user": "dev@acme.example"})).await;
    assert_eq!(added["permissions"].as_array().unwrap().len(), 3, "what Heroku gives on a person's own app");
    let show = async || platform.call(&key, Method::GET, "/apps/platform-app", None).await.status.as_u16();
    assert_eq!(show().await, 200);
    let path = "/teams/apps/platform-app/collaborators/dev@acme.example";
    let body = json!({"permissions": ["view"]});
    platform.owner(Method::PATCH, path, Some(&body)).await.expect(200);
    assert_eq!(show().await, 403);
    platform.owner(Method::DELETE, path, None).await.expect(200);
    assert_eq!(show().await, 404);
    platform.owner(Method::DELETE, path, None).await.expect(404);
    platform.owner(Method::PATCH, path, Some(&body)).await.expect(404);
}

#[tokio::test]
async fn team_and_enterprise_admins_see_all_apps_of_their_teams() {
    let platform = Platform::start().await;
    let operator = async |method: Method, path: &str, body: Value| {
        platform.stack.operator(method, path, Some(&body)).await
    };
    operator(Method::POST, "/operator/platform/teams", json!({"name": "acme"})).await.expect(201);
    let sales = json!({"name": "sales", "enterprise": "acme"});
    operator(Method::POST, "/operator/platform/teams", sales).await.expect(201);
    operator(Method::POST, "/operator/platform/teams", json!({"name": "sales"}))
        .await
        .expect_error(409, "conflict");
    let member = async |team: &str, email: &str, admin: bool| {
        let path = format!("/operator/platform/teams/{team}/members");
        operator(Method::PUT, &path, json!({"email": email, "admin": admin})).await.expect(204);
        platform.key(email).await
    };
    let enterprise = member("acme", "enterprise@acme.example", true).await;
    let admin = member("sales", "admin@acme.example", true).await;
    let plain = member("sales", "member@acme.example", false).await;
    let body = json!({"name": "team-app", "team": "sales"});
    let made = platform.call(&plain, Method::POST, "/teams/apps", Some(&body)).await.expect(201).json();
    assert_eq!(made["owner"]["email"], json!("sales@herokumanager.com"));
    assert_eq!(made["team"]["name"], json!("sales"));
    for (key, status) in [(&enterprise, 200), (&admin, 200), (&plain, 403), (&platform.owner, 404)] {
        let shown = platform.call(key, Method::GET, "/apps/team-app", None).await;
        assert_eq!(shown.status.as_u16(), status, "{}", shown.text);
    }
    let foreign = platform.owner(Method::POST, "/teams/apps", Some(&json!({"team": "sales"}))).await;
    assert_eq!(foreign.expect(404).json()["resource"], json!("team"));
}

#[tokio::test]
async fn keys_have_a_visible_prefix_are_hashed_and_void_when_revoked() {
    let platform = Platform::start().await;
    let operator = async |method: Method, path: &str, body: Option<&Value>| {
        platform.stack.operator(method, path, body).await
    };
    let body = json!({"email": " New@Acme.Example "});
    let made = operator(Method::POST, "/operator/platform/keys", Some(&body)).await.expect(201).json();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("alp_") && key.len() == 47, "{} characters", key.len());
    assert_eq!(made["user"]["email"], json!("new@acme.example"));
    platform.call(key, Method::GET, "/account", None).await.expect(200);
    operator(Method::POST, "/operator/platform/keys", Some(&body)).await.expect(201);
    operator(Method::POST, "/operator/platform/keys", Some(&body)).await.expect_error(409, "conflict");
    let revoke = format!("/operator/platform/keys/{}", made["id"].as_str().unwrap());
    operator(Method::DELETE, &revoke, None).await.expect(204);
    operator(Method::DELETE, &revoke, None).await.expect(404);
    platform.call(key, Method::GET, "/account", None).await.expect_error(401, "unauthorized");
    for email in ["", "no-at", "a b@c", "a@b\nc", "@x", "x@"] {
        let body = json!({"email": email});
        operator(Method::POST, "/operator/platform/keys", Some(&body)).await.expect(422);
    }
    let owner = format!("Bearer {}", platform.owner);
    let headers = [("authorization", owner.as_str())];
    let refused = platform.stack.send(Method::POST, "/operator/platform/keys", &headers, Some(&body)).await;
    refused.expect_error(401, "unauthorized");
}
