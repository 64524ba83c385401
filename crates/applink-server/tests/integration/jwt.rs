//! JWT bearer: a row when the org accepts, none when it doesn't.

use std::sync::Arc;

use applink_testkit::figures::Figure;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fake_org::{CONSUMER_KEY, Reply, SigningPair, USERNAME};
use crate::stack::{Answer, Stack};

fn request(pem: &str) -> Value {
    json!({"alias": "1b671a64-40d5-491e-99b0-da01ff1f3341", "client_id": CONSUMER_KEY, "connection_name": "jwt-org",
        "jwt_private_key": pem, "username": USERNAME})
}

async fn post(stack: &Stack, body: &Value) -> Answer {
    stack.manager(Method::POST, "/connections/salesforce/jwt", Some(body)).await
}

async fn nothing_was_stored(stack: &Stack) {
    let listed = stack.manager(Method::GET, "/connections", None).await.expect(200).json();
    assert_eq!(listed, json!([]));
}

#[tokio::test]
async fn an_org_is_connected_without_a_browser() {
    let stack = Stack::start().await;
    let key = SigningPair::generate("k");
    let connected = post(&stack, &request(&key.pem)).await.expect(202).json();
    assert_eq!(connected["status"], json!("connected"));
    assert_eq!(connected["connection_method"], json!("JWT"));
    assert_eq!(connected["org"]["username"], json!(USERNAME));
    let assertion = stack.org.script().assertions.pop().expect("an assertion");
    assert_eq!(assertion["aud"], json!(stack.org.url()), "the login-host map applies to the audience too");
    assert!(assertion["exp"].as_i64().unwrap() - assertion["iat"].as_i64().unwrap() <= 180);
}

#[tokio::test]
async fn a_refused_assertion_is_422_with_the_fix_and_leaves_no_row() {
    let stack = Stack::start().await;
    let key = SigningPair::generate("k");
    let mut unknown_user = request(&key.pem);
    unknown_user["username"] = json!("nobody@acme.example");
    let message = post(&stack, &unknown_user).await.expect_error(422, "authentication_failed");
    assert!(message.contains("user hasn't approved this consumer"), "{message}");
    let mut wrong_consumer = request(&key.pem);
    wrong_consumer["client_id"] = json!("3MVG9other");
    let message = post(&stack, &wrong_consumer).await.expect_error(422, "authentication_failed");
    assert!(message.contains("client identifier invalid"), "{message}");
    stack.org.script().without_permission = true;
    let message = post(&stack, &request(&key.pem)).await.expect_error(422, "authentication_failed");
    assert!(message.contains("Manage Heroku AppLink"), "{message}");
    assert_eq!(stack.org.script().revoked.len(), 1, "the token nobody will use");
    nothing_was_stored(&stack).await;
}

#[tokio::test]
async fn a_key_that_is_none_is_named_and_never_repeated() {
    let stack = Stack::start().await;
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanarycanarycanary\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pem, word) in [("canary, not a key", "not PEM"), (encrypted, "passphrase"), ("", "not PEM")] {
        let answer = post(&stack, &request(pem)).await;
        assert!(!answer.text.contains("canary"), "{}", answer.text);
        let body = answer.expect(422).json();
        assert_eq!(body["id"], json!("validation_failed"));
        assert_eq!(body["problems"][0]["place"], json!("$.jwt_private_key"));
        assert!(body["message"].as_str().unwrap().contains(word), "{body}");
    }
    nothing_was_stored(&stack).await;
}

#[tokio::test]
async fn an_unreachable_login_host_is_502_and_leaves_no_row() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    let stack = Stack::with(|config| {
        config.org_hosts = config.org_hosts.clone().list(&nobody).unwrap();
    })
    .await;
    let mut body = request(&SigningPair::generate("k").pem);
    body["login_url"] = json!(nobody);
    let message = post(&stack, &body).await.expect_error(502, "org_unreachable");
    assert!(message.contains("could not be reached"), "{message}");
    nothing_was_stored(&stack).await;
}

#[tokio::test]
async fn an_authorization_by_jwt_is_found_by_name_alias_and_uuid_and_asserts_again() {
    let stack = Stack::start().await;
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem, "alias": "applink:worker"});
    let made =
        stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202).json();
    assert_eq!(made["status"], json!("authorized"));
    assert_eq!(made["alias"], json!("applink:worker"));
    let first = stack.token_of("worker").await;
    assert_eq!(stack.token_of("applink:worker").await, first);
    assert_eq!(stack.token_of(made["id"].as_str().unwrap()).await, first);
    assert_eq!(stack.org.count("assertion"), 1);
    stack.advance(3600);
    assert_ne!(stack.token_of("worker").await, first);
    assert_eq!(stack.org.count("assertion"), 2, "re-asserted, not refreshed");
    assert_eq!(stack.org.count("refresh"), 0);
}

#[tokio::test]
async fn an_alias_that_is_anothers_name_is_409() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "second", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem, "alias": "worker"});
    let answer = stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await;
    answer.expect_error(409, "conflict");
}

#[tokio::test]
async fn no_refusal_costs_a_jwt_authorization_its_key() {
    let stack = Stack::start().await;
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
    for (error, description) in [
        ("invalid_grant", "invalid assertion"),
        ("invalid_grant", "audience is invalid"),
        ("invalid_grant", "user hasn't approved this consumer"),
        ("invalid_grant", "something new"),
        ("inactive_user", "user is inactive"),
    ] {
        stack.advance(3600);
        stack.org.script().replies.push_back(Reply::Refuse(error, description));
        let refused = stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
        assert!(refused.text.contains(description), "{}", refused.text);
        stack.advance(2 * 3600);
        stack.token_of("worker").await;
    }
}

#[tokio::test]
async fn the_session_of_a_name_that_was_taken_meanwhile_is_left_to_whoever_took_it() {
    let stack = Stack::start().await;
    let body = request(&SigningPair::generate("k").pem);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("assertion", 1).await;
        post(&stack, &body).await.expect(202);
        told.notify_one();
    };
    let (late, ()) = tokio::join!(post(&stack, &body), meanwhile);
    late.expect_error(409, "conflict");
    assert!(stack.org.script().revoked.is_empty(), "an org may have given both the same");
}

async fn worker(stack: &Stack, name: &str) {
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": name, "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
}

async fn disconnect(stack: &Stack, name: &str) {
    let path = format!("/authorizations/{name}");
    stack.manager(Method::DELETE, &path, None).await.expect(200);
    stack.reconcile("grants").await;
    let row = stack.manager(Method::GET, &path, None).await.expect(200).json();
    assert_eq!(row["status"], json!("disconnected"));
}

#[tokio::test]
async fn a_session_two_names_share_ends_with_the_last_of_them() {
    let stack = Stack::start().await;
    stack.org.script().same_session = true;
    worker(&stack, "first").await;
    worker(&stack, "second").await;
    let session = stack.token_of("first").await;
    assert_eq!(stack.token_of("second").await, session);
    disconnect(&stack, "first").await;
    assert!(stack.org.script().revoked.is_empty());
    assert_eq!(stack.token_of("second").await, session);
    disconnect(&stack, "second").await;
    assert_eq!(stack.org.script().revoked, [session]);
}

#[tokio::test]
async fn a_renewal_that_comes_too_late_ends_no_session_another_name_uses() {
    for is_shared in [true, false] {
        let stack = Stack::start().await;
        stack.org.script().same_session = true;
        worker(&stack, "first").await;
        if is_shared {
            worker(&stack, "second").await;
        }
        let asked = stack.org.count("assertion");
        stack.advance(3600);
        let told = Arc::new(Notify::new());
        stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
        let meanwhile = async {
            stack.org.asked("assertion", asked + 1).await;
            stack.manager(Method::DELETE, "/authorizations/first", None).await.expect(200);
            told.notify_one();
        };
        let (_, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/first", None), meanwhile);
        stack.settled().await;
        assert_eq!(stack.org.script().revoked.len(), usize::from(!is_shared));
    }
}

#[tokio::test]
async fn a_my_domain_that_wants_its_login_host_as_audience_gets_it() {
    let general = crate::fake_org::FakeOrg::start().await;
    let url = general.url().to_owned();
    let stack = Stack::with(|config| {
        let own = config.org_hosts.login(None).unwrap();
        let hosts = config.org_hosts.clone().lead("https://test.salesforce.com", &url).unwrap();
        config.org_hosts = hosts.lead("https://acme--dev.sandbox.my.salesforce.com", own.as_str()).unwrap();
    })
    .await;
    let mut body = request(&SigningPair::generate("k").pem);
    body["login_url"] = json!("https://acme--dev.sandbox.my.salesforce.com");
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "Audience validation failed"));
    post(&stack, &body).await.expect(202);
    assert_eq!((stack.org.count("assertion"), general.count("assertion")), (1, 1));
    let assertion = general.script().assertions.pop().expect("an assertion");
    assert_eq!(assertion["aud"], json!(general.url()));
}

/// Promise 20: what an org answers to an assertion, and the words of the one sentence that mends it.
const EIGHT_ERRORS: [(&str, &str, &str); 8] = [
    ("invalid_grant", "user hasn't approved this consumer", "pre-authorized"),
    ("invalid_app_access", "user is not admin approved to access this app", "profile or permission set"),
    ("invalid_grant", "audience is invalid", "https://test.salesforce.com for a sandbox"),
    ("invalid_grant", "invalid assertion", "Upload the certificate"),
    ("invalid_client_id", "client identifier invalid", "consumer key"),
    ("inactive_user", "user is inactive", "activate the user"),
    ("invalid_grant", "External client app is not installed in this org", "Install the external client app"),
    ("invalid_grant", "ip restricted", "trusted range"),
];

#[tokio::test]
async fn the_eight_common_errors_each_name_their_fix() {
    let stack = Stack::start().await;
    let body = request(&SigningPair::generate("k").pem);
    let mut named = 0;
    for (error, description, fix) in EIGHT_ERRORS {
        stack.org.script().replies.push_back(Reply::Refuse(error, description));
        let message = post(&stack, &body).await.expect_error(422, "authentication_failed");
        assert!(message.contains(description) && message.contains(fix), "{message}");
        named += 1;
    }
    nothing_was_stored(&stack).await;
    Figure {
        promise: "20",
        what: "common errors of JWT bearer that are answered with the sentence that mends them".to_owned(),
        measured: format!("{named} of {}", EIGHT_ERRORS.len()),
        promised: "8 of 8".to_owned(),
        kept: named == EIGHT_ERRORS.len(),
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn an_org_whose_clock_is_five_minutes_off_gets_an_assertion_by_its_own_clock() {
    for skew in [-300, 300] {
        let stack = Stack::start().await;
        {
            let mut script = stack.org.script();
            (script.clock, script.skew_seconds) = (Some(stack.clock.clone()), skew);
        }
        let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
            "jwt_private_key": SigningPair::generate("k").pem});
        stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
        assert_eq!(stack.org.count("assertion"), 2, "{skew}");
        stack.advance(3600);
        stack.token_of("worker").await;
        let ids: Vec<_> = stack.org.script().assertions.iter().map(|claims| claims["jti"].clone()).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[at + 1..].contains(id)), "no jti comes twice");
    }
}
