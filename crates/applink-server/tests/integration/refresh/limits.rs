//! What can't be renewed costs little and delays nobody; a client that reports a token again and again is slowed down.

use applink_testkit::figures::{Figure, Tier};
use reqwest::Method;
use serde_json::json;

use crate::fake_org::Reply;
use crate::stack::Stack;

/// How many times a day the token is asked for.
fn asked() -> u64 {
    Tier::current().pick(480, 1440)
}

/// How often a credential whose refreshes are refused like this calls the org in a day, asked for again and again.
async fn calls_in_a_day(error: &'static str, description: &'static str) -> u32 {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.authorize("healthy").await;
    stack.advance(3600);
    stack.token_of("healthy").await;
    let before = stack.org.count("refresh");
    for _ in 0..asked() {
        // Refused whenever it asks; the healthy one never needs to, since it is always young.
        stack.org.script().replies = [Reply::Refuse(error, description)].into();
        assert!(!stack.app(Method::GET, "/authorizations/worker", None).await.status.is_success());
        stack.advance(24 * 3600 / asked());
    }
    stack.org.count("refresh") - before
}

#[tokio::test]
async fn a_dead_credential_costs_at_most_one_call_an_hour() {
    let mended = calls_in_a_day("inactive_user", "user is inactive").await;
    let dead = calls_in_a_day("invalid_grant", "expired access/refresh token").await;
    Figure {
        promise: "7",
        what: format!(
            "upstream calls in 24 h of a credential that is asked for {} times and refused: an inactive user's, an ended one",
            asked()
        ),
        measured: format!("{mended} and {dead}"),
        promised: "at most 24 each".to_owned(),
        kept: mended <= 24 && dead <= 1,
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn a_dead_credential_does_not_delay_others() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.authorize("healthy").await;
    stack.advance(3600);
    let told = std::sync::Arc::new(tokio::sync::Notify::new());
    stack.org.script().replies.push_back(Reply::WaitAndRefuse(
        std::sync::Arc::clone(&told),
        "inactive_user",
        "user is inactive",
    ));
    let others = async {
        stack.org.asked("refresh", 1).await;
        stack.token_of("healthy").await;
        told.notify_one();
    };
    let (refused, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), others);
    refused.expect(503);
}

#[tokio::test]
async fn a_token_that_is_reported_again_and_again_is_renewed_more_and_more_seldom() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let report = async || {
        let token = stack.token_of("worker").await;
        let fingerprint = applink_api::secret::fingerprint(&token.as_str().into()).to_string();
        let body = json!({"stale_token": fingerprint});
        stack.app(Method::POST, "/authorizations/worker/refresh", Some(&body)).await
    };
    let mut refused = 0;
    // An app whose user may not use the API: every token gets a 401, and it asks every 3 seconds.
    for _ in 0..200 {
        stack.advance(3);
        let answer = report().await;
        if answer.status.as_u16() == 429 {
            assert!(answer.headers.contains_key("retry-after"));
            answer.expect_error(429, "rate_limited");
            refused += 1;
        } else {
            answer.expect(200);
        }
    }
    let refreshes = stack.org.count("refresh");
    assert_eq!(refused + refreshes, 200);
    assert!(refreshes <= 7, "{refreshes} refreshes in ten minutes");
    assert!(stack.token_of("worker").await.starts_with("canary-access"), "hand-outs go on");
}

#[tokio::test]
async fn reports_without_a_body_are_limited_too() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    for _ in 0..100 {
        stack.advance(3);
        stack.app(Method::POST, "/authorizations/worker/refresh", None).await;
    }
    assert!(stack.org.count("refresh") <= 6, "{}", stack.org.count("refresh"));
}
