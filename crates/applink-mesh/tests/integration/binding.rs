//! What the caller claims must agree with what its token proves.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::integration::control_plane::Says;
use crate::integration::stack::{
    Call, INSTANCE_URL, ORG, ORG_JWT, SESSION, Stack, TOKEN, USER, decode, verdict, verdict_with,
};

const OTHER_ORG: &str = "00D000000000001EAA";
const OTHER_USER: &str = "005000000000001AAA";
const OTHER_APP: &str = "8a5c2c11-6f0b-4f3b-9d53-222222222222";

async fn refused(call: &Call, says: Says, asked: usize) {
    let stack = Stack::start().await;
    stack.control_plane.say(says);
    let raw = stack.call(call).await;
    assert_eq!((raw.status, raw.text().as_str()), (403, "Forbidden\n"));
    assert!(stack.app.seen().is_empty());
    assert_eq!(stack.control_plane.asked().len(), asked);
}

fn changed(change: impl FnOnce(&mut Call)) -> Call {
    let mut call = Call::new("r-1");
    change(&mut call);
    call
}

#[tokio::test]
async fn contradictions_in_the_claims_are_refused_unasked() {
    for call in [
        changed(|call| call.client_context["requestId"] = json!("other")),
        changed(|call| call.client_context["orgId"] = json!(OTHER_ORG)),
        changed(|call| call.request_context["orgId"] = json!(OTHER_ORG)),
        changed(|call| call.request_context["appUuid"] = json!(OTHER_APP)),
        changed(|call| call.request_context["appUuid"] = json!("not a uuid")),
    ] {
        refused(&call, Says::Yes(verdict()), 0).await;
    }
}

#[tokio::test]
async fn a_token_of_another_org_or_user_is_refused() {
    let call = Call::new("r-1");
    refused(&call, verdict_with("org_id", json!(OTHER_ORG)), 1).await;
    refused(&call, verdict_with("user_id", json!(OTHER_USER)), 1).await;
    let other_user = changed(|call| call.client_context["userContext"]["userId"] = json!(OTHER_USER));
    refused(&other_user, Says::Yes(verdict()), 1).await;
}

#[tokio::test]
async fn the_app_learns_what_was_verified() {
    let stack = Stack::start().await;
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    let seen = stack.app.only();
    let context = decode(seen.header("x-client-context").unwrap());
    assert_eq!(
        context,
        json!({"requestId": "r-1", "accessToken": SESSION, "apiVersion": "66.0", "namespace": "", "orgId": ORG,
            "orgDomainUrl": INSTANCE_URL, "userContext": {"userId": USER, "username": "sales@acme.example"}})
    );
    assert_eq!(seen.header("x-request-id"), Some("r-1"));
    assert_eq!(seen.header("x-request-context"), None);
}

#[tokio::test]
async fn the_question_is_the_official_one() {
    let stack = Stack::start().await;
    stack.call(&Call::new("r-1")).await;
    let asked = stack.only_question();
    assert_eq!(asked.path, "/addons/a1/invocations/authentication");
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked.headers["request_id"], "r-1");
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(
        asked.body,
        json!({"org_domain_url": "https://claimed.example", "core_jwt_token": ORG_JWT, "org_id": ORG,
            "app_uuid": crate::integration::stack::APP_UUID})
    );
}

#[tokio::test]
async fn ids_of_fifteen_characters_are_the_same() {
    let stack = Stack::start().await;
    let call = changed(|call| {
        call.client_context["orgId"] = json!(&ORG[..15]);
        call.client_context["userContext"]["userId"] = json!(&USER[..15]);
    });
    assert_eq!(stack.call(&call).await.status, 200);
}

#[tokio::test]
async fn the_substring_rule_is_a_switch() {
    let stack = Stack::with(|config| config.request_id = applink_mesh::config::RequestIdRule::Contains).await;
    let call = changed(|call| {
        call.request_id = Some("00D-r-1-2024".into());
        call.client_context["requestId"] = json!("00D-r-1-2024");
    });
    assert_eq!(stack.call(&call).await.status, 200);
}

#[tokio::test]
async fn without_an_app_id_any_app_is_ours() {
    let stack = Stack::with(|config| config.app_uuid = None).await;
    let call = changed(|call| call.request_context["appUuid"] = json!(OTHER_APP));
    assert_eq!(stack.call(&call).await.status, 200);
    assert_eq!(stack.only_question().body["app_uuid"], OTHER_APP);
}

#[tokio::test]
async fn a_verdict_without_token_id_is_remembered_for_five_seconds() {
    let stack = Stack::start().await;
    for _ in 0..3 {
        assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    }
    assert_eq!(stack.control_plane.asked().len(), 1);
    let other_claim = changed(|call| call.request_context["orgDomainUrl"] = json!("https://other.example"));
    assert_eq!(stack.call(&other_claim).await.status, 200);
    assert_eq!(stack.control_plane.asked().len(), 2, "another claim is another question");
    stack.clock.advance(Duration::from_secs(5));
    stack.control_plane.say(Says::Status(403, ""));
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 403);
}

#[tokio::test]
async fn the_same_question_is_asked_once_at_a_time() {
    let stack = Arc::new(Stack::start().await);
    stack.control_plane.hold_answers();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { stack.call(&Call::new("r-1")).await.status })
        })
        .collect();
    while stack.control_plane.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    stack.control_plane.release_answers();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(stack.control_plane.asked().len(), 1);
}

#[tokio::test]
async fn of_two_calls_at_once_with_a_single_use_token_one_passes() {
    let stack = Arc::new(Stack::start().await);
    stack.control_plane.say(verdict_with("token_id", json!("jti-1")));
    stack.control_plane.hold_answers();
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { stack.call(&Call::new("r-1")).await.status })
        })
        .collect();
    while stack.control_plane.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    stack.control_plane.release_answers();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
}

#[tokio::test]
async fn what_only_org_and_app_know_is_handed_on() {
    let stack = Stack::start().await;
    let call = changed(|call| {
        call.client_context["apiVersion"] = json!("v62.0");
        call.client_context["namespace"] = Value::Null;
        call.client_context["newField"] = json!({"a": [1]});
    });
    assert_eq!(stack.call(&call).await.status, 200);
    let mut expected = call.client_context;
    expected["orgDomainUrl"] = json!(INSTANCE_URL);
    assert_eq!(decode(stack.app.only().header("x-client-context").unwrap()), expected);
}

#[tokio::test]
async fn a_second_spelling_of_a_known_field_is_refused() {
    let stack = Stack::start().await;
    let raw = stack.call(&changed(|call| call.client_context["OrgId"] = json!(OTHER_ORG))).await;
    assert_eq!((raw.status, raw.text().as_str()), (400, "400 Invalid x-client-context header\n"));
    assert!(stack.app.seen().is_empty() && stack.control_plane.asked().is_empty());
}
