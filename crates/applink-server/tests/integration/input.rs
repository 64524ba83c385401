//! Bad input: a clear error with its place, and nothing half-done.

use reqwest::Method;
use serde_json::json;

use crate::stack::Stack;

#[tokio::test]
async fn names_and_login_urls_are_checked_with_the_rule() {
    let stack = Stack::start().await;
    for (name, rule) in [("ab", "3 to 30"), ("1abc", "start with a letter"), ("a__b", "follow each other")] {
        let body = json!({"connection_name": name});
        let answer =
            stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await.expect(422).json();
        assert_eq!(answer["problems"][0]["place"], json!("$.connection_name"));
        assert!(answer["message"].as_str().unwrap().contains(rule), "{answer}");
    }
    for url in [
        "https://evil.example",
        "http://login.salesforce.com",
        "https://127.0.0.1",
        "nonsense://",
        "https://login.salesforce.com/path",
    ] {
        let body = json!({"connection_name": "prod", "login_url": url});
        let answer =
            stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await.expect(422).json();
        assert_eq!(answer["problems"][0]["place"], json!("$.login_url"), "{url}");
    }
    assert_eq!(stack.manager(Method::GET, "/connections", None).await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn unreadable_bodies_are_refused_with_their_place() {
    let stack = Stack::start().await;
    let path = stack.path("/connections/salesforce");
    let url = format!("{}{path}", stack.server.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = client.post(&url).bearer_auth(&stack.tenant.api_key);
        request.header("content-type", content_type).body(body)
    };
    for (content_type, body, status) in [
        ("application/json", b"{\"connection_name\": ".to_vec(), 400),
        ("application/json", b"\xff\xfe".to_vec(), 400),
        ("application/json", b"{\"connection_name\": 7}".to_vec(), 422),
        ("application/json", b"{}".to_vec(), 422),
        ("text/plain", b"{}".to_vec(), 415),
        ("application/json", vec![b' '; 300 * 1024], 413),
    ] {
        let answer = post(content_type, body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
        if status == 422 {
            assert!(body["problems"][0]["place"].as_str().unwrap().starts_with('$'), "{body}");
        }
    }
    let unknown = post("application/json", b"{\"connection_name\": \"prod\", \"unknown\": 1}".to_vec());
    assert_eq!(unknown.send().await.unwrap().status().as_u16(), 202, "unknown fields are ignored");
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_our_body() {
    let stack = Stack::start().await;
    stack.send(Method::GET, "/nothing/here", &[], None).await.expect_error(404, "record_not_found");
    let answer = stack.manager(Method::PUT, "/connections", None).await;
    assert!(answer.headers.contains_key("allow"));
    answer.expect_error(405, "method_not_allowed");
    let body = json!({"connection_name": "prod"});
    stack
        .manager(Method::POST, "/connections/elsewhere", Some(&body))
        .await
        .expect_error(404, "record_not_found");
    stack.send(Method::GET, "/health", &[], None).await.expect(200);
}

#[tokio::test]
async fn a_request_id_is_taken_or_made_and_always_returned() {
    let stack = Stack::start().await;
    let given = stack.send(Method::GET, "/health", &[("x-request-id", "r-1")], None).await;
    assert_eq!(given.headers["x-request-id"], "r-1");
    let made = stack.send(Method::GET, "/nothing", &[("x-request-id", "bad id")], None).await;
    assert_eq!(made.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn without_an_oauth_client_the_setting_is_named() {
    let stack = Stack::with(|config| config.oauth.clients.clear()).await;
    let body = json!({"connection_name": "prod"});
    let answer = stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await;
    let message = answer.expect_error(422, "validation_failed");
    assert!(message.contains("APPLINK_OAUTH_CLIENT_ID"), "{message}");
}

#[tokio::test]
async fn a_connection_may_be_called_salesforce() {
    let stack = Stack::start().await;
    assert_eq!(stack.connect("salesforce").await["status"], json!("connected"));
    stack.manager(Method::DELETE, "/connections/salesforce", None).await.expect(202);
}
