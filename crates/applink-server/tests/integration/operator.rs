//! `/operator`: apps, add-ons, attachments and keys.

use reqwest::Method;
use serde_json::json;

use crate::stack::Stack;

#[tokio::test]
async fn an_add_on_is_set_up_and_works_at_once() {
    let stack = Stack::start().await;
    let app = stack
        .operator(
            Method::POST,
            "/operator/apps",
            Some(&json!({"name": "quotes", "url": "https://quotes.example/"})),
        )
        .await
        .expect(201)
        .json();
    assert_eq!(app["url"], json!("https://quotes.example"));
    let addon = stack.operator(Method::POST, "/operator/addons", Some(&json!({"app": "quotes"}))).await;
    let addon = addon.expect(201).json();
    let name = addon["name"].as_str().unwrap();
    assert!(name.starts_with("applink-") && name.split('-').count() == 3, "{name}");
    assert_eq!(addon["attachment"], json!("HEROKU_APPLINK"));
    let token = addon["token"].as_str().unwrap();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let path = addon["api_url"].as_str().unwrap().strip_prefix(stack.server.url()).unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::GET, &format!("{path}/connections"), &headers, None).await.expect(200);

    let attach = json!({"app": "my-app", "name": "ATTACHED_APPLINK"});
    let second = format!("/operator/addons/{}/attachments", addon["id"].as_str().unwrap());
    let attached = stack.operator(Method::POST, &second, Some(&attach)).await.expect(201).json();
    assert_ne!(attached["token"], addon["token"], "one token per attachment");
    stack.operator(Method::POST, &second, Some(&attach)).await.expect_error(409, "conflict");
}

#[tokio::test]
async fn keys_are_shown_once_limited_to_two_and_void_when_revoked() {
    let stack = Stack::start().await;
    let body = json!({"owner": "ci@acme.example", "scope": "manage", "addon": stack.tenant.addon});
    let first = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect_error(409, "conflict");
    let bearer = format!("Bearer {}", first["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let path = stack.path("/connections");
    stack.send(Method::GET, &path, &headers, None).await.expect(200);
    let revoke = format!("/operator/keys/{}", first["id"].as_str().unwrap());
    stack.operator(Method::DELETE, &revoke, None).await.expect(204);
    stack.operator(Method::DELETE, &revoke, None).await.expect_error(404, "record_not_found");
    stack.send(Method::GET, &path, &headers, None).await.expect_error(401, "unauthorized");
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
}

#[tokio::test]
async fn only_operators_get_in() {
    let stack = Stack::start().await;
    for credential in [&stack.tenant.token, &stack.tenant.api_key] {
        let bearer = format!("Bearer {credential}");
        let headers = [("authorization", bearer.as_str())];
        stack.send(Method::GET, "/operator/apps", &headers, None).await.expect_error(401, "unauthorized");
    }
    let body = json!({"owner": "ops@acme.example", "scope": "operate"});
    let key = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::GET, "/operator/apps", &headers, None).await.expect(200);
    stack
        .send(Method::GET, &stack.path("/connections"), &headers, None)
        .await
        .expect_error(404, "record_not_found");
}

#[tokio::test]
async fn bad_set_up_is_refused_with_the_field() {
    let stack = Stack::start().await;
    for (path, body, place) in [
        ("/operator/apps", json!({"name": "Quotes"}), "$.name"),
        ("/operator/apps", json!({"name": "quotes", "url": "nonsense"}), "$.url"),
        ("/operator/addons", json!({"app": "my-app", "attachment": "lower"}), "$.attachment"),
        ("/operator/keys", json!({"owner": "x", "scope": "manage"}), "$.addon"),
        ("/operator/keys", json!({"owner": " ", "scope": "operate"}), "$.owner"),
    ] {
        let answer = stack.operator(Method::POST, path, Some(&body)).await.expect(422).json();
        assert_eq!(answer["problems"][0]["place"], json!(place), "{answer}");
    }
    stack
        .operator(Method::POST, "/operator/apps", Some(&json!({"name": "my-app"})))
        .await
        .expect_error(409, "conflict");
    let unknown = stack.operator(Method::POST, "/operator/addons", Some(&json!({"app": "nothing"}))).await;
    unknown.expect_error(404, "record_not_found");
    let set = stack
        .operator(Method::PUT, "/operator/apps/my-app/url", Some(&json!({"url": "http://127.0.0.1:8070"})))
        .await;
    assert_eq!(set.expect(200).json()["url"], json!("http://127.0.0.1:8070"));
}
