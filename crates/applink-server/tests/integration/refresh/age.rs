//! How long a token lives is asked once, learnt, and right whatever the clocks say.

use applink_testkit::figures::{Figure, Tier};
use reqwest::Method;

use crate::fake_org::FakeOrg;
use crate::stack::Stack;

/// A stack with one authorization, in an org whose sessions last `minutes`.
async fn authorized(minutes: i64, skew_seconds: i64) -> Stack {
    let stack = Stack::start().await;
    {
        let mut script = stack.org.script();
        script.clock = Some(stack.clock.clone());
        script.session_seconds = Some(minutes * 60);
        script.skew_seconds = skew_seconds;
    }
    stack.authorize("worker").await;
    stack.settled().await;
    stack
}

fn accepts(org: &FakeOrg, token: &str) -> bool {
    org.script().accepts(token)
}

#[tokio::test]
async fn the_org_is_asked_once_for_each_token_and_what_it_says_is_kept() {
    let stack = authorized(120, 0).await;
    assert_eq!(stack.org.count("introspect"), 1);
    let first = stack.token_of("worker").await;
    stack.advance(75 * 60);
    assert_eq!(stack.token_of("worker").await, first, "an hour and a quarter is young for two hours");
    stack.settled().await;
    assert_eq!((stack.org.count("refresh"), stack.org.count("introspect")), (0, 1));
    stack.advance(16 * 60);
    assert_eq!(stack.token_of("worker").await, first, "76 %: handed out, and renewed behind");
    stack.settled().await;
    assert_ne!(stack.token_of("worker").await, first);
    assert_eq!((stack.org.count("refresh"), stack.org.count("introspect")), (1, 2));
}

#[tokio::test]
async fn what_was_learnt_counts_before_the_org_has_answered_for_the_next_token() {
    let stack = authorized(120, 0).await;
    stack.advance(119 * 60);
    stack.org.script().session_seconds = None;
    let token = stack.token_of("worker").await;
    stack.settled().await;
    stack.advance(80 * 60);
    assert_eq!(stack.token_of("worker").await, token, "the org does not say any more: still two hours");
}

#[tokio::test]
async fn without_introspection_the_configured_lifetime_counts() {
    let stack = Stack::with(|config| config.token_lifetime = std::time::Duration::from_secs(3600)).await;
    stack.authorize("worker").await;
    stack.settled().await;
    let first = stack.token_of("worker").await;
    stack.advance(2600);
    assert_eq!(stack.token_of("worker").await, first);
    stack.advance(700);
    assert_ne!(stack.token_of("worker").await, first);
}

#[tokio::test]
async fn five_minutes_of_skew_make_no_token_look_dead_or_alive() {
    for skew in [-300, 300] {
        let stack = authorized(15, skew).await;
        let first = stack.token_of("worker").await;
        stack.advance(11 * 60);
        assert_eq!(stack.token_of("worker").await, first, "no false expiry with {skew} s");
        stack.settled().await;
        assert_eq!(stack.org.count("refresh"), 0, "{skew}");
        stack.advance(4 * 60);
        let second = stack.token_of("worker").await;
        assert!(second != first && accepts(&stack.org, &second), "no dead token with {skew} s");
    }
}

/// How many times a day the app calls.
fn calls() -> u64 {
    Tier::current().pick(480, 1440)
}

/// An app that asks for a token again and again for a day, and calls the org with it.
async fn refused_in_a_day(stack: &Stack) -> u32 {
    let mut refused = 0;
    for _ in 0..calls() {
        let token = stack.token_of("worker").await;
        refused += u32::from(!accepts(&stack.org, &token));
        stack.settled().await;
        stack.advance(24 * 3600 / calls());
    }
    refused
}

#[tokio::test]
async fn an_app_sees_no_401_in_a_day() {
    let introspecting = authorized(30, 0).await;
    let with_introspection = refused_in_a_day(&introspecting).await;
    let refreshes = introspecting.org.count("refresh");
    // An org that does not introspect, and the right setting.
    let stack = Stack::start().await;
    stack.org.script().clock = Some(stack.clock.clone());
    stack.authorize("worker").await;
    let with_setting = refused_in_a_day(&stack).await;
    Figure {
        promise: "8",
        what: format!(
            "{} calls of an app in 24 h by a simulated clock, in an org that introspects and in one with the right setting",
            calls()
        ),
        measured: format!("{} extra 401s, {refreshes} and {} refreshes", with_introspection + with_setting, stack.org.count("refresh")),
        promised: "0 extra 401s".to_owned(),
        kept: with_introspection + with_setting == 0,
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn a_hundred_hand_outs_of_a_jwt_authorization_take_one_assertion() {
    let stack = Stack::start().await;
    let body = serde_json::json!({"client_id": crate::fake_org::CONSUMER_KEY, "developer_name": "worker",
        "username": crate::fake_org::USERNAME,
        "jwt_private_key": crate::fake_org::SigningPair::generate("k").pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
    let token = stack.token_of("worker").await;
    for _ in 0..100 {
        assert_eq!(stack.token_of("worker").await, token);
    }
    assert_eq!(stack.org.count("assertion"), 1);
}
