//! A tenant's token while the org is slow, refuses, or is in trouble otherwise.

use std::time::Duration;

use applink_orgsim::{Clock, OrgConfig, RunningOrg};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::data_cloud::{begin, start_behind_a_way};
use crate::orgsim::log_in_as;
use crate::stack::{START, Stack};
use crate::way::{Trouble, Way};

const A360: &str = "/services/a360/token";
const TOKEN: &str = "/services/oauth2/token";

/// A user is authorized, and has a token.
async fn start(adjust: impl FnOnce(&mut OrgConfig)) -> (Stack, RunningOrg, Way, String) {
    let (stack, org, way) = start_behind_a_way(adjust).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    let token = stack.token_of("loader").await;
    stack.settled().await;
    (stack, org, way, token)
}

/// The token, which is there at once.
async fn at_once(stack: &Stack) -> String {
    tokio::time::timeout(Duration::from_secs(8), stack.token_of("loader")).await.expect("at once")
}

#[tokio::test]
async fn an_exchange_that_hangs_keeps_nobody_from_a_token_that_lives() {
    let (stack, _org, way, token) = start(|_| {}).await;
    let before = way.count(A360);
    way.on(A360, Trouble::Hang);
    // Past three quarters of its two hours.
    stack.advance(5_500);
    let many = join_all((0..30).map(|_| at_once(&stack))).await;
    assert!(many.iter().all(|one| *one == token));
    way.came(A360, before + 1).await;
    // Past nine tenths: a moment is waited, and by all together.
    stack.advance(1_100);
    let many = join_all((0..30).map(|_| at_once(&stack))).await;
    assert!(many.iter().all(|one| *one == token));
    assert_eq!(way.count(A360), before + 1, "one exchange at a time");
}

#[tokio::test]
async fn after_a_failure_the_org_has_a_pause_and_the_token_goes_on() {
    let (stack, _org, way, token) = start(|_| {}).await;
    let before = way.count(A360);
    way.on(A360, Trouble::Answer(503, json!({})));
    stack.advance(5_500);
    for _ in 0..3 {
        assert_eq!(at_once(&stack).await, token);
        stack.settled().await;
        assert_eq!(way.count(A360), before + 1, "the failure is remembered");
    }
    // Nor do those who would wait.
    stack.advance(1_100);
    assert_eq!(at_once(&stack).await, token);
    stack.settled().await;
    assert_eq!(way.count(A360), before + 2);
    assert_eq!(at_once(&stack).await, token);
    assert_eq!(way.count(A360), before + 2);
    // Once it is over there is nothing to hand out, and the org is asked no more often.
    stack.advance(601);
    let none = stack.app(Method::GET, "/authorizations/loader", None).await;
    none.expect_error(503, "unavailable");
    let none = stack.app(Method::GET, "/authorizations/loader", None).await;
    none.expect_error(503, "unavailable");
    assert_eq!(way.count(A360), before + 3);
    way.clear();
    stack.advance(6);
    assert_ne!(at_once(&stack).await, token);
}

#[tokio::test]
async fn a_late_hand_out_waits_for_an_exchange_that_answers() {
    let (stack, _org, _way, token) = start(|_| {}).await;
    stack.advance(6_600);
    assert_ne!(at_once(&stack).await, token);
}

/// The tenant's token lives for a thousand seconds, the org's own for two hours; each has its own time.
fn short(config: &mut OrgConfig) -> applink_orgsim::MockClock {
    let (clock, hand) = Clock::mock(START.as_micros());
    config.clock = clock;
    config.data_cloud.token_seconds = 1_000;
    hand
}

#[tokio::test]
async fn an_org_whose_session_ended_early_is_asked_for_another_first() {
    let mut hand = None;
    let (stack, _org, way, token) = start(|config| hand = Some(short(config))).await;
    let refreshes = way.count(TOKEN);
    let before = way.answers(A360).len();
    // The org's time goes faster than ours: its session is over, and we can't know.
    hand.unwrap().advance_seconds(7_300);
    stack.advance(950);
    assert_ne!(at_once(&stack).await, token);
    let asked = way.answers(A360).split_off(before);
    assert_eq!(asked.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [400, 200]);
    assert!(asked[0].1.contains("invalid_grant"), "{}", asked[0].1);
    assert_eq!(way.count(TOKEN), refreshes + 1, "the org's own token was replaced in between");
}

#[tokio::test]
async fn a_passing_trouble_with_the_orgs_own_token_does_not_keep_the_tenants_back() {
    let mut hand = None;
    let (stack, _org, way, token) = start(|config| hand = Some(short(config))).await;
    way.on(TOKEN, Trouble::Answer(400, json!({"error": "server_error", "error_description": "not now"})));
    hand.unwrap().advance_seconds(7_300);
    stack.advance(950);
    let refreshes = way.count(TOKEN);
    // The exchange is refused, and so is another of the org's own tokens.
    assert_eq!(at_once(&stack).await, token);
    assert_eq!(way.count(TOKEN), refreshes + 1);
    stack.advance(100);
    let none = stack.app(Method::GET, "/authorizations/loader", None).await;
    none.expect_error(503, "unavailable");
}

#[tokio::test]
async fn a_tenants_url_that_may_not_be_called_does_not_keep_the_kept_token_back() {
    let (stack, _org, way, token) = start(|_| {}).await;
    let elsewhere = json!({"access_token": "eyJ", "instance_url": "tenant.evil.example", "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:jwt", "expires_in": 7200});
    way.on(A360, Trouble::Answer(200, elsewhere));
    stack.advance(6_600);
    assert_eq!(at_once(&stack).await, token);
}
