//! Too many calls: who is counted, what the answer says, and when it is over.

use applink_api::error::ErrorBody;
use applink_server::limits::LimitsConfig;
use reqwest::Method;
use serde_json::json;

use crate::stack::{Answer, Stack};

fn header(answer: &Answer, name: &str) -> u64 {
    answer.headers[name].to_str().unwrap().parse().unwrap()
}

async fn limited(limits: LimitsConfig) -> Stack {
    Stack::with(|config| config.limits = limits).await
}

#[tokio::test]
async fn an_add_on_has_its_calls_an_hour_whoever_makes_them() {
    let stack = limited(LimitsConfig { management_per_hour: 3, ..LimitsConfig::default() }).await;
    let first = stack.manager(Method::GET, "/connections", None).await.expect(200);
    assert_eq!((header(&first, "ratelimit-limit"), header(&first, "ratelimit-remaining")), (3, 2));
    assert_eq!(header(&first, "ratelimit-reset"), 1200);
    stack.app(Method::GET, "/connections", None).await.expect(200);
    let body = json!({"connection_name": "prod"});
    let last = stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await.expect(202);
    assert_eq!(header(&last, "ratelimit-remaining"), 0);

    let refused = stack.manager(Method::GET, "/connections", None).await;
    assert_eq!((header(&refused, "retry-after"), header(&refused, "ratelimit-remaining")), (1200, 0));
    assert!(refused.headers.contains_key("x-request-id"));
    let body: ErrorBody = serde_json::from_str(&refused.text).unwrap();
    assert_eq!((body.status, body.title.as_str()), (429, "Rate limited"));
    refused.expect_error(429, "rate_limited");

    // Another tenant has calls of its own, and wrong credentials use up nobody's.
    let stranger = stack.another_tenant("their-app").await;
    let bearer = format!("Bearer {}", stranger.api_key);
    let path = format!("/addons/{}/connections", stranger.addon);
    for _ in 0..5 {
        stack.send(Method::GET, &path, &[("authorization", "Bearer wrong")], None).await.expect(401);
    }
    let theirs = stack.send(Method::GET, &path, &[("authorization", &bearer)], None).await.expect(200);
    assert_eq!(header(&theirs, "ratelimit-remaining"), 2);

    stack.advance(1200);
    stack.manager(Method::GET, "/connections", None).await.expect(200);
}

#[tokio::test]
async fn apps_at_run_time_have_a_limit_of_their_own() {
    let limits =
        LimitsConfig { management_per_hour: 1000, run_time_per_second: 2, ..LimitsConfig::default() };
    let stack = limited(limits).await;
    stack.authorize("worker").await;
    stack.token_of("worker").await;
    let body = json!({"org_domain_url": "x", "core_jwt_token": "x", "org_id": "x", "app_uuid": "x"});
    let mesh = stack.app(Method::POST, "/invocations/authentication", Some(&body)).await.expect(403);
    assert_eq!((header(&mesh, "ratelimit-limit"), header(&mesh, "ratelimit-remaining")), (2, 0));
    let refused = stack.app(Method::GET, "/authorizations/worker", None).await;
    assert_eq!(header(&refused, "retry-after"), 1);
    refused.expect_error(429, "rate_limited");
    stack.app(Method::POST, "/authorizations/worker/refresh", None).await.expect_error(429, "rate_limited");
    // Management goes on, also of the same record.
    stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200);
    stack.advance(1);
    stack.token_of("worker").await;
}

#[tokio::test]
async fn log_ins_are_limited_by_address() {
    let stack = limited(LimitsConfig { log_in_per_minute: 2, ..LimitsConfig::default() }).await;
    let link = format!("{}/oauth/start/guess", stack.server.url());
    for _ in 0..2 {
        let answer = stack.browse(&link, None).await.expect(410);
        assert_eq!(header(&answer, "ratelimit-limit"), 2);
    }
    let refused = stack.browse(&link, None).await.expect(429);
    assert_eq!(header(&refused, "retry-after"), 30);
    assert!(refused.text.contains("<html"), "a person reads it: {}", refused.text);
    let callback = format!("{}/oauth/callback?state=x&code=y", stack.server.url());
    stack.browse(&callback, None).await.expect(429);
    let confirm = format!("{}/oauth/confirm", stack.server.url());
    stack.submit(&confirm, None, &[("ticket", "x"), ("decision", "connect")]).await.expect(429);
    stack.advance(30);
    stack.browse(&link, None).await.expect(410);
}

#[tokio::test]
async fn behind_a_router_its_last_word_is_the_address() {
    let limits = LimitsConfig { log_in_per_minute: 1, forwarded_for: true, ..LimitsConfig::default() };
    let stack = limited(limits).await;
    let from = async |address: &str| {
        let headers = [("x-forwarded-for", address)];
        stack.send(Method::GET, "/oauth/start/guess", &headers, None).await.status.as_u16()
    };
    assert_eq!(from("10.9.9.9, 203.0.113.7").await, 410);
    assert_eq!(from("10.1.1.1, 203.0.113.7").await, 429, "what the caller wrote first does not count");
    assert_eq!(from("203.0.113.8").await, 410);
}

#[tokio::test]
async fn operators_have_a_limit_per_key() {
    let stack = limited(LimitsConfig { management_per_hour: 1, ..LimitsConfig::default() }).await;
    stack.operator(Method::GET, "/operator/apps", None).await.expect(200);
    stack.operator(Method::GET, "/operator/apps", None).await.expect_error(429, "rate_limited");
}

#[tokio::test]
async fn without_limits_nothing_is_said_of_them() {
    let none = LimitsConfig {
        management_per_hour: 0,
        run_time_per_second: 0,
        log_in_per_minute: 0,
        forwarded_for: false,
    };
    let stack = limited(none).await;
    let answer = stack.manager(Method::GET, "/connections", None).await.expect(200);
    assert!(!answer.headers.contains_key("ratelimit-limit"));
}
