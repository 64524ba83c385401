//! Tokens for app code: handed out while they live, refreshed exactly once, never given before they are durable.

use std::sync::Arc;
use std::time::Duration;

use applink_server::audit::recorder::Reads;
use applink_server::audit::verify;
use applink_testkit::figures::{Figure, Tier};
use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::fake_org::{ORG_ID, Reply, USER_ID, USERNAME};
use crate::stack::Stack;

#[tokio::test]
async fn the_answer_has_what_both_official_sdks_read() {
    let stack = Stack::start().await;
    stack.authorize("influencerPortal").await;
    let answer = stack.app(Method::GET, "/authorizations/influencerPortal", None).await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let body = answer.json();
    assert_eq!(body["status"], json!("authorized"));
    assert_eq!(body["org"]["id"], json!(ORG_ID));
    assert_eq!(body["org"]["type"], json!("SalesforceOrg"));
    assert_eq!(body["org"]["developer_name"], json!("influencerPortal"));
    assert_eq!(body["org"]["api_version"], json!("66.0"));
    assert_eq!(body["org"]["instance_url"], json!(stack.org.url()));
    assert_eq!(body["org"]["user_auth"]["username"], json!(USERNAME));
    assert_eq!(body["org"]["user_auth"]["user_id"], json!(USER_ID));
    assert!(body["org"]["user_auth"]["access_token"].as_str().unwrap().starts_with("canary-access"));
    assert_eq!(body["created_at"], json!("2026-01-01T00:00:00.000000Z"));
    assert_eq!(body["last_modified_at"], json!("2026-01-01T00:00:00.000000Z"));
}

#[tokio::test]
async fn the_node_sdks_double_slash_and_content_type_are_taken() {
    let stack = Stack::start().await;
    stack.authorize("org1").await;
    let path = format!("/addons/{}//authorizations/org1", stack.tenant.addon);
    let bearer = format!("Bearer {}", stack.tenant.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    stack.send(Method::GET, &path, &headers, None).await.expect(200);
}

#[tokio::test]
async fn a_management_client_gets_the_record_without_the_token() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let record = stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200).json();
    assert_eq!(record["org"]["user_auth"], json!(null));
    let bearer = format!("Bearer {}", stack.tenant.token);
    let headers = [("authorization", bearer.as_str()), ("x-addon-sso", "c3RhbGU=")];
    let record = stack.send(Method::GET, &stack.path("/authorizations/worker"), &headers, None).await;
    assert_eq!(record.expect(200).json()["org"]["user_auth"], json!(null));
    let listed = stack.app(Method::GET, "/authorizations", None).await.expect(200).json();
    assert_eq!(listed[0]["org"]["user_auth"], json!(null));
}

#[tokio::test]
async fn fifty_requests_for_a_dead_token_cause_one_refresh() {
    let stack = Arc::new(Stack::start().await);
    stack.authorize("worker").await;
    let old = stack.token_of("worker").await;
    stack.advance(3600);
    let hold = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&hold)));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let stack = Arc::clone(&stack);
        requests.spawn(async move { stack.token_of("worker").await });
    }
    hold.notify_one();
    let tokens = requests.join_all().await;
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != old), "{tokens:?}");
    assert_eq!(stack.org.count("refresh"), 1);
}

/// How much later than the caller that refreshes another one of the same process may be answered.
const APART: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_the_same_process_gets_the_token_at_once() {
    const WAITERS: usize = 8;
    let stack = Arc::new(Stack::with(|config| config.limits.run_time_per_second = 0).await);
    stack.authorize("worker").await;
    let rounds = Tier::current().pick(5, 100);
    let timed = |stack: &Arc<Stack>| {
        let stack = Arc::clone(stack);
        tokio::spawn(async move { (stack.token_of("worker").await, Instant::now()) })
    };
    let mut later = Vec::new();
    for round in 1..=rounds {
        stack.advance(3600);
        let hold = Arc::new(Notify::new());
        stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&hold)));
        let first = timed(&stack);
        stack.org.asked("refresh", round).await;
        let waiters: Vec<_> = (0..WAITERS).map(|_| timed(&stack)).collect();
        // Once they wait; how long the org takes is not measured.
        tokio::time::sleep(Duration::from_millis(50)).await;
        hold.notify_one();
        let (token, refreshed) = first.await.unwrap();
        for waiter in waiters {
            let (same, answered) = waiter.await.unwrap();
            assert_eq!(same, token);
            later.push(answered.saturating_duration_since(refreshed));
        }
    }
    assert_eq!(stack.org.count("refresh"), rounds);
    later.sort();
    let median = later[later.len() / 2];
    Figure {
        promise: "1",
        what: format!("how much later {WAITERS} waiters of the same process have the token than the one that refreshed it, median of {}", later.len()),
        measured: format!("{:.1} ms (longest {:.1} ms)", median.as_secs_f64() * 1e3, later[later.len() - 1].as_secs_f64() * 1e3),
        promised: "5 ms".to_owned(),
        // A time is promised where it is measured with nothing beside it.
        kept: median <= APART || Tier::current() == Tier::Ci,
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn an_old_token_is_handed_out_while_it_is_renewed_behind() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let old = stack.token_of("worker").await;
    stack.advance(700);
    assert_eq!(stack.token_of("worker").await, old, "77 % of its life: still good");
    stack.settled().await;
    assert_eq!(stack.org.count("refresh"), 1);
    assert_ne!(stack.token_of("worker").await, old);
}

#[tokio::test]
async fn rotated_refresh_tokens_are_kept_and_unrotated_ones_too() {
    for rotate in [true, false] {
        let stack = Stack::start().await;
        stack.org.script().rotate = rotate;
        stack.authorize("worker").await;
        let mut seen = vec![stack.token_of("worker").await];
        for _ in 0..4 {
            stack.advance(3600);
            let token = stack.token_of("worker").await;
            assert!(!seen.contains(&token));
            seen.push(token);
        }
        assert_eq!(stack.org.count("refresh"), 4);
    }
}

#[tokio::test]
async fn a_reported_token_is_replaced_once() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let refused = stack.token_of("worker").await;
    stack.advance(60);
    let fingerprint = applink_api::secret::fingerprint(&refused.as_str().into()).to_string();
    let report = json!({"stale_token": fingerprint});
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer =
            stack.app(Method::POST, "/authorizations/worker/refresh", Some(&report)).await.expect(200);
        answers.push(answer.json()["org"]["user_auth"]["access_token"].clone());
    }
    assert!(answers.iter().all(|token| *token == answers[0] && *token != json!(refused)), "{answers:?}");
    assert_eq!(stack.org.count("refresh"), 1);
    stack.advance(60);
    let answer = stack.app(Method::POST, "/authorizations/worker/refresh", None).await.expect(200).json();
    assert_ne!(
        answer["org"]["user_auth"]["access_token"], answers[0],
        "without a report the one in use is replaced"
    );
}

#[tokio::test]
async fn a_dead_grant_says_which_command_helps_and_is_not_tried_again() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "expired access/refresh token"));
    for _ in 0..3 {
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await;
        let message = answer.expect_error(422, "reauth_required");
        assert!(message.contains("applink salesforce:authorizations:add worker"), "{message}");
    }
    assert_eq!(stack.org.count("refresh"), 1);
    let record = stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200).json();
    assert_eq!(record["status"], json!("failed"));
    assert_eq!(record["error"]["id"], json!("reauth_required"));

    let again = stack.authorize("worker").await;
    assert_eq!((&again["id"], &again["status"]), (&record["id"], &json!("authorized")));
    stack.token_of("worker").await;
}

#[tokio::test]
async fn a_dead_grant_is_not_reconnected_to_another_org() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "expired access/refresh token"));
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(422);
    stack.org.script().org_id = Some("00DSG00000DGEIr2AP");
    let refused = stack.authorize("worker").await;
    assert_eq!(refused["status"], json!("failed"));
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains(ORG_ID) && message.contains("00DSG00000DGEIr2AP"), "{message}");
    stack.org.script().org_id = None;
    assert_eq!(stack.authorize("worker").await["status"], json!("authorized"));
}

#[tokio::test]
async fn what_did_not_go_out_is_tried_again_and_an_unanswered_refresh_is_not_repeated() {
    let stack = Stack::start().await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Fail);
    let answer = stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    assert!(answer.headers.contains_key("retry-after"));
    let answer = stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(stack.org.count("refresh"), 1, "the outcome is unknown: no blind resend");
    stack.advance(66);
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 2, "one last chance, which saved the grant");
}

#[tokio::test]
async fn every_hand_out_is_in_the_audit_log_and_the_log_is_whole() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    for _ in 0..5 {
        stack.token_of("worker").await;
    }
    let app = stack.server.app();
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100)
        .await
        .unwrap();
    assert_eq!(rows.iter().filter(|row| row.action == "authorization.handed_out").count(), 5);
    assert!(rows.iter().any(|row| row.action == "authorization.authorized"));
    stack.reconcile("audit anchors").await;
    let report = verify::verify(app.store.reader(), app.store.journal().keys(), None).await.unwrap();
    assert_eq!(report.findings, []);
    assert!(report.rows >= 6 && report.anchors == 2, "{report:?}");
}

#[tokio::test]
async fn what_is_not_live_is_an_error_for_app_code_and_a_record_for_polls() {
    let stack = Stack::start().await;
    let begun = stack.begin_authorization("worker").await;
    let by_id = format!("/authorizations/{}", begun["id"].as_str().unwrap());
    assert_eq!(stack.app(Method::GET, &by_id, None).await.expect(200).json()["status"], json!("authorizing"));
    stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(422, "authentication_failed");
    stack.app(Method::GET, "/authorizations/unknown", None).await.expect_error(404, "record_not_found");
}

#[tokio::test]
async fn a_refusal_somebody_can_mend_pauses_the_grant_and_names_the_fix() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "ip restricted"));
    for _ in 0..2 {
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await;
        assert!(answer.headers.contains_key("retry-after"));
        let message = answer.expect(503).json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("ip restricted") && message.contains("trusted range"), "{message}");
    }
    assert_eq!(stack.org.count("refresh"), 1, "not again before the pause is over");
    let record = stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200).json();
    assert_eq!(record["status"], json!("authorized"));
    stack.advance(2 * 3600);
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 2, "the refresh token was kept");
}

#[tokio::test]
async fn tokens_that_come_after_the_disconnect_are_what_is_revoked() {
    let stack = Stack::start().await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.advance(3600);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("refresh", 1).await;
        stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), meanwhile);
    assert!(!answer.status.is_success(), "{}", answer.text);
    stack.reconcile("grants").await;
    let script = stack.org.script();
    let given = script.secrets.iter().rfind(|secret| secret.starts_with("canary-refresh")).cloned();
    assert_eq!(script.revoked, given.into_iter().collect::<Vec<_>>(), "the one it had is used up");
}

#[tokio::test]
async fn hand_outs_may_be_recorded_per_minute_with_their_number() {
    let stack = Stack::with(|config| config.audit_reads = Reads::PerMinute).await;
    stack.authorize("worker").await;
    let details = async || {
        let app = stack.server.app();
        let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100);
        let mut found = rows.await.unwrap();
        found.retain(|row| row.action == "authorization.handed_out");
        found.into_iter().map(|row| row.detail).collect::<Vec<_>>()
    };
    for _ in 0..5 {
        stack.token_of("worker").await;
    }
    assert_eq!(details().await, ["worker"], "the first of the minute, before it was answered");
    stack.advance(60);
    stack.token_of("worker").await;
    let told = details().await;
    assert_eq!(told.len(), 2);
    assert!(told.contains(&"worker (and 4 more since the row before)".to_owned()), "{told:?}");
    stack.token_of("worker").await;
    stack.advance(60);
    stack.reconcile("audit anchors").await;
    let told = details().await;
    assert!(told.contains(&"worker (and 1 more since the row before)".to_owned()), "{told:?}");
}
