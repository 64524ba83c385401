//! Is this data action signed? Keys are seeded in the store; how they get there is another story.

use std::time::Duration;

use applink_server::data_action_targets::store;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::fake_org::ORG_ID;
use crate::stack::{Answer, Stack, Tenant};

const KEY: &str = "canary-signing-key";
const NAME: &str = "QuoteChanged";

async fn seed(stack: &Stack, tenant: &Tenant, key: &str) {
    let app = stack.server.app();
    let row = app.entropy.uuid();
    let sealed = app.vault.seal(store::place(tenant.addon, row), &SecretString::from(key)).await.unwrap();
    let tx = app.store.begin().await.unwrap();
    store::insert(&*tx, tenant.addon, (ORG_ID, NAME), (row, sealed), app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

fn sign(key: &str, payload: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), payload))
}

/// As the mesh asks.
fn question(payload: &[u8], signature: &str) -> Value {
    let mut question = json!({"api_name": NAME, "org_id": ORG_ID, "signature": signature,
        "payload": String::from_utf8_lossy(payload)});
    if std::str::from_utf8(payload).is_err() {
        question["payload_base64"] = json!(STANDARD.encode(payload));
    }
    question
}

async fn ask(stack: &Stack, question: &Value) -> Answer {
    stack.app(Method::POST, "/data_action_targets/authenticate", Some(question)).await
}

async fn connected() -> Stack {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    seed(&stack, &stack.tenant, KEY).await;
    stack
}

#[tokio::test]
async fn promise_28_the_raw_bytes_are_what_is_signed() {
    let stack = connected().await;
    for payload in [b"{\"a\": \"<&>\"}".as_slice(), b"", b"\xff\xfe latin", "é".as_bytes()] {
        let good = question(payload, &sign(KEY, payload));
        ask(&stack, &good).await.expect(200);
        let mut flipped = payload.to_vec();
        flipped.push(b' ');
        ask(&stack, &question(&flipped, &sign(KEY, payload))).await.expect_error(403, "forbidden");
    }
    let payload = b"{}";
    for wrong in ["", "nonsense", &sign("another key", payload), &sign(KEY, payload).to_lowercase()] {
        let answer = ask(&stack, &question(payload, wrong)).await;
        assert_eq!(answer.status.as_u16(), 403, "{wrong}");
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
}

/// As a mesh whose app took the delivery.
async fn delivered(stack: &Stack, verdict: &Value) -> Answer {
    let expires_at = stack.server.app().clock.now().plus(Duration::from_secs(240)).to_string();
    let used = json!({"org_id": ORG_ID, "token_id": verdict["event_id"], "expires_at": expires_at});
    stack.app(Method::POST, "/invocations/tokens", Some(&used)).await
}

#[tokio::test]
async fn promise_28_what_the_app_took_is_not_delivered_again_for_five_minutes() {
    let stack = connected().await;
    let event = question(b"{\"at\": 1}", &sign(KEY, b"{\"at\": 1}"));
    let verdict = ask(&stack, &event).await.expect(200).json();
    let retried = ask(&stack, &event).await.expect(200).json();
    assert_eq!(verdict, retried, "a failed delivery may be tried again");
    delivered(&stack, &verdict).await.expect(204);
    delivered(&stack, &verdict).await.expect_error(409, "conflict");
    ask(&stack, &event).await.expect_error(409, "conflict");
    let mut unsigned = event.clone();
    unsigned["signature"] = json!("nonsense");
    ask(&stack, &unsigned).await.expect_error(403, "forbidden");
    let another = question(b"{\"at\": 2}", &sign(KEY, b"{\"at\": 2}"));
    ask(&stack, &another).await.expect(200);
    stack.advance(299);
    ask(&stack, &event).await.expect_error(409, "conflict");
    stack.advance(2);
    ask(&stack, &event).await.expect(200);
    delivered(&stack, &verdict).await.expect(204);
    ask(&stack, &event).await.expect_error(409, "conflict");
}

#[tokio::test]
async fn a_key_counts_for_its_own_target_org_and_add_on() {
    let stack = connected().await;
    let payload = b"{}";
    let good = question(payload, &sign(KEY, payload));
    for (field, value) in [("api_name", "Other"), ("org_id", "00DSG00000DGEIr2AP"), ("org_id", "nonsense")] {
        let mut other = good.clone();
        other[field] = json!(value);
        ask(&stack, &other).await.expect_error(403, "forbidden");
    }
    let other = stack.another_tenant("other-app").await;
    let bearer = format!("Bearer {}", other.token);
    let path = format!("/addons/{}/data_action_targets/authenticate", other.addon);
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::POST, &path, &headers, Some(&good)).await.expect_error(403, "forbidden");
    stack.manager(Method::POST, "/data_action_targets/authenticate", Some(&good)).await.expect(401);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    ask(&stack, &good).await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn while_a_key_is_rotated_both_count() {
    let stack = connected().await;
    seed(&stack, &stack.tenant, "canary-second-key").await;
    for key in [KEY, "canary-second-key"] {
        ask(&stack, &question(b"{}", &sign(key, b"{}"))).await.expect(200);
    }
}
