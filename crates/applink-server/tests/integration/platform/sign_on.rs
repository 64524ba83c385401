//! Single sign-on, from the stand-in into a route of the AppLink API that changes something.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::Platform;
use crate::stack::Answer;

pub(super) struct SignedOn {
    pub(super) api: String,
    pub(super) token: String,
    pub(super) blob: Value,
}

pub(super) async fn sign_on(platform: &Platform, key: &str) -> SignedOn {
    let vars =
        platform.call(key, Method::GET, "/apps/platform-app/config-vars", None).await.expect(200).json();
    let addons = platform.call(key, Method::GET, "/apps/platform-app/addons", None).await.expect(200).json();
    let path = format!("/apps/platform-app/addons/{}/sso", addons[0]["id"].as_str().unwrap());
    let blob = platform.call(key, Method::GET, &path, None).await.expect(200).json();
    let text = |name: &str| vars[name].as_str().unwrap().to_owned();
    let api = text("HEROKU_APPLINK_API_URL").strip_prefix(platform.stack.server.url()).unwrap().to_owned();
    SignedOn { api, token: text("HEROKU_APPLINK_TOKEN"), blob }
}

async fn connect(platform: &Platform, signed: &SignedOn, name: &str) -> Answer {
    let bearer = format!("Bearer {}", signed.token);
    let sso = STANDARD.encode(signed.blob.to_string());
    let headers = [("authorization", bearer.as_str()), ("x-addon-sso", sso.as_str())];
    let path = format!("{}/connections/salesforce", signed.api);
    platform.stack.send(Method::POST, &path, &headers, Some(&json!({"connection_name": name}))).await
}

#[tokio::test]
async fn it_makes_the_token_enough_and_names_the_person() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let signed = sign_on(&platform, &platform.owner).await;
    for field in ["app", "email", "id", "resource_id", "resource_token", "timestamp", "token", "user_id"] {
        assert!(signed.blob["params"][field].is_string(), "{field} in {}", signed.blob);
    }
    assert_eq!(signed.blob["method"], json!("post"));
    let made = connect(&platform, &signed, "prod").await.expect(202).json();
    assert_eq!(made["created_by"], json!("owner@acme.example"));
    platform.stack.advance(301);
    let message = connect(&platform, &signed, "late").await.expect_error(401, "unauthorized");
    assert!(message.contains("five minutes"), "{message}");
}

#[tokio::test]
async fn another_person_can_be_claimed_neither_with_nor_without_the_mac() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let mut signed = sign_on(&platform, &platform.owner).await;
    signed.blob["params"]["email"] = json!("boss@acme.example");
    connect(&platform, &signed, "prod").await.expect_error(401, "unauthorized");
    signed.blob["params"].as_object_mut().unwrap().remove("applink_person_mac");
    let message = connect(&platform, &signed, "prod").await.expect_error(401, "unauthorized");
    assert!(message.contains("Platform API"), "{message}");
}

#[tokio::test]
async fn who_has_lost_the_right_changes_nothing_with_a_sign_on_from_before() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let key = platform.key("dev@acme.example").await;
    let body = json!({"user": "dev@acme.example", "permissions": ["deploy"]});
    platform.post("/apps/platform-app/collaborators", body).await;
    let signed = sign_on(&platform, &key).await;
    connect(&platform, &signed, "first").await.expect(202);
    let path = "/teams/apps/platform-app/collaborators/dev@acme.example";
    platform.owner(Method::PATCH, path, Some(&json!({"permissions": ["view"]}))).await.expect(200);
    connect(&platform, &signed, "second").await.expect_error(403, "forbidden");
    platform.owner(Method::DELETE, path, None).await.expect(200);
    connect(&platform, &signed, "third").await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn who_may_only_view_the_app_is_shown_nothing_either() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let key = platform.key("dev@acme.example").await;
    let body = json!({"user": "dev@acme.example", "permissions": ["operate"]});
    platform.post("/apps/platform-app/collaborators", body).await;
    let signed = sign_on(&platform, &key).await;
    let bearer = format!("Bearer {}", signed.token);
    let look = async |blob: Option<&Value>, path: &str| {
        let sso = blob.map(|blob| STANDARD.encode(blob.to_string())).unwrap_or_default();
        let mut headers = vec![("authorization", bearer.as_str())];
        if blob.is_some() {
            headers.push(("x-addon-sso", sso.as_str()));
        }
        let path = format!("{}{path}", signed.api);
        platform.stack.send(Method::GET, &path, &headers, None).await
    };
    let paths = [
        "/connections",
        "/authorizations",
        "/connections/x",
        "/authorizations/x",
        "/connections/salesforce/x/apps/y",
    ];
    for path in paths {
        let seen = look(Some(&signed.blob), path).await.status.as_u16();
        assert!(seen == 200 || seen == 404, "{path}: {seen}");
    }
    let right = "/teams/apps/platform-app/collaborators/dev@acme.example";
    platform.owner(Method::PATCH, right, Some(&json!({"permissions": ["view"]}))).await.expect(200);
    for path in paths {
        look(Some(&signed.blob), path).await.expect_error(403, "forbidden");
    }
    platform.stack.advance(3600);
    look(Some(&signed.blob), "/connections").await.expect_error(403, "forbidden");
    look(None, "/connections").await.expect(200);
    look(Some(&json!({"nonsense": true})), "/connections").await.expect(200);
}
