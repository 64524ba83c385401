//! What an org answered is kept, whatever stands in the way of its commit; and in doubt nothing is sent on anybody's word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use applink_api::secret::fingerprint;
use applink_server::tokens::points::{Point, Points};
use applink_server::tokens::store as grants;
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use super::child::Child;
use super::processes::{ask, client};
use crate::fake_org::Reply;
use crate::stack::Stack;

/// Two authorizations in an org that rotates refresh tokens.
pub(super) async fn authorized() -> Stack {
    let stack = Stack::start().await;
    stack.org.script().rotate = true;
    stack.org.script().clock = Some(stack.clock.clone());
    stack.authorize("worker").await;
    stack.authorize("other").await;
    stack
}

pub(super) async fn sql(stack: &Stack, sql: &str) {
    stack.server.app().store.database().writer().execute_unprepared(sql).await.unwrap();
}

/// From now on the database refuses new tokens of this authorization, and nothing else.
async fn refuse_tokens_of(stack: &Stack, name: &str) {
    let credential = credential_of(stack, name).await;
    let of =
        format!("UPDATE OF access_token ON grants FOR EACH ROW WHEN (NEW.credential_id = '{credential}')");
    refuse(stack, "refuse", &of).await;
}

/// From now on the database refuses this, which a trigger of this name sees to.
async fn refuse(stack: &Stack, name: &str, of: &str) {
    let refuse = if stack.backend.is_sqlite {
        "BEGIN SELECT RAISE(ABORT, 'refused'); END".to_owned()
    } else {
        let body = "'BEGIN RAISE EXCEPTION ''refused''; END'";
        sql(stack, &format!("CREATE FUNCTION {name}() RETURNS trigger AS {body} LANGUAGE plpgsql")).await;
        format!("EXECUTE FUNCTION {name}()")
    };
    sql(stack, &format!("CREATE TRIGGER {name} BEFORE {of} {refuse}")).await;
}

async fn credential_of(stack: &Stack, name: &str) -> Uuid {
    let found = stack.manager(Method::GET, &format!("/authorizations/{name}"), None).await.json();
    found["id"].as_str().expect("an id").parse().expect("an id")
}

async fn accept_tokens(stack: &Stack) {
    let on = if stack.backend.is_sqlite { "" } else { " ON grants" };
    sql(stack, &format!("DROP TRIGGER refuse{on}")).await;
}

/// The rotated refresh token was kept: the next refresh works, and nothing was sent twice.
async fn goes_on(stack: &Stack, refreshes: u32) {
    assert_eq!(stack.org.count("refresh"), refreshes, "nothing was sent meanwhile");
    stack.advance(3600);
    let token = stack.token_of("worker").await;
    assert!(stack.org.script().accepts(&token));
    assert_eq!(stack.org.count("refresh"), refreshes + 1);
    let script = stack.org.script();
    assert_eq!((script.harmful_replays, script.late_replays), (0, 0));
    assert_eq!(script.revoked.len(), 0);
}

#[tokio::test]
async fn tokens_that_the_database_refuses_are_kept_and_hold_up_nobody_else() {
    let stack = authorized().await;
    refuse_tokens_of(&stack, "worker").await;
    stack.advance(3600);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(503, "unavailable");
    assert!(!stack.server.app().spool.is_empty());
    assert!(!stack.server.app().spool.outage().is_on(), "the database is there");
    for _ in 0..3 {
        stack.token_of("other").await;
        stack.reconcile("spool").await;
        let again = stack.app(Method::GET, "/authorizations/worker", None).await;
        again.expect_error(503, "unavailable");
        stack.advance(1000);
    }
    assert_eq!(stack.org.count("refresh"), 1 + 3, "the worker's once, the other's each time");
    accept_tokens(&stack).await;
    stack.advance(300);
    stack.reconcile("spool").await;
    assert!(stack.server.app().spool.is_empty());
    goes_on(&stack, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_refuses_tokens_no_other_process_sends_the_one_they_replaced() {
    let stack = authorized().await;
    let credential = credential_of(&stack, "worker").await;
    // Of SQLite there is only ever one process: what another would go by is in the row.
    let mut other = None;
    if !stack.backend.is_sqlite {
        other = Some(Child::start(&stack, None).await);
    }
    refuse_tokens_of(&stack, "worker").await;
    stack.advance(3600);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(503, "unavailable");
    for _ in 0..5 {
        let reader = stack.server.app().store.reader();
        let row = grants::live(reader, stack.tenant.addon, credential).await.unwrap().expect("a grant");
        let lease = row.lease().unwrap();
        let until_next_try = stack.clock.now().plus(Duration::from_secs(300));
        assert!(lease.not_before.is_some_and(|not_before| not_before > until_next_try), "{lease:?}");
        // Its lease and its doubt are over long since, and the next try is not made yet.
        stack.advance(299);
        if let Some(other) = &mut other {
            other.set_clock(&stack).await;
            let (status, body) = ask(&client(), &stack, &other.url).await.expect("an answer");
            assert_eq!(status, 503, "{body}");
        }
        assert_eq!(stack.org.count("refresh"), 1);
        stack.advance(1);
        stack.reconcile("spool").await;
    }
    assert_eq!(stack.count_audited("grant.last_chance").await, 0);
    accept_tokens(&stack).await;
    stack.advance(300);
    stack.reconcile("spool").await;
    assert!(stack.server.app().spool.is_empty());
    goes_on(&stack, 1).await;
}

#[tokio::test]
async fn tokens_that_are_given_up_are_not_revoked_while_their_grant_lives() {
    let stack = authorized().await;
    refuse_tokens_of(&stack, "worker").await;
    refuse(&stack, "refuse_end", "DELETE ON grants FOR EACH ROW").await;
    stack.advance(3600);
    assert!(!stack.app(Method::GET, "/authorizations/worker", None).await.status.is_success());
    stack.advance(24 * 3600 + 10);
    stack.reconcile("spool").await;
    assert!(stack.server.app().spool.is_empty(), "given up");
    assert_eq!(stack.org.script().revoked.len(), 0, "the row could not be told");
}

#[tokio::test]
async fn tokens_that_are_refused_for_a_day_cost_their_own_credential_and_no_other() {
    let stack = authorized().await;
    refuse_tokens_of(&stack, "worker").await;
    stack.advance(3600);
    assert!(!stack.app(Method::GET, "/authorizations/worker", None).await.status.is_success());
    stack.token_of("other").await;
    stack.advance(24 * 3600 + 10);
    stack.reconcile("spool").await;
    // Its tokens are revoked behind, and stay in the spool until then.
    stack.settled().await;
    stack.reconcile("spool").await;
    assert!(stack.server.app().spool.is_empty(), "given up");
    let message =
        stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(422, "reauth_required");
    assert!(message.contains("could not be stored") && message.contains("applink "), "{message}");
    assert_eq!(stack.org.script().revoked.len(), 1, "nobody will use its refresh token");
    stack.token_of("other").await;
    assert_eq!(stack.org.count("refresh"), 3);
}

#[tokio::test]
async fn tokens_that_can_not_be_sealed_are_kept() {
    let stack = authorized().await;
    stack.advance(3600);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("refresh", 1).await;
        sql(&stack, "UPDATE data_keys SET active = (1 = 0)").await;
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), meanwhile);
    assert!(!answer.status.is_success(), "{}", answer.text);
    assert!(!stack.server.app().spool.is_empty());
    sql(&stack, "UPDATE data_keys SET active = (1 = 1)").await;
    stack.reconcile("spool").await;
    stack.token_of("worker").await;
    assert!(stack.server.app().spool.is_empty());
    goes_on(&stack, 1).await;
}

#[tokio::test]
async fn a_commit_that_hangs_is_not_waited_for_and_its_tokens_are_kept() {
    let (hangs, freed) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
    let (hook_hangs, hook_freed) = (Arc::clone(&hangs), Arc::clone(&freed));
    let points = Points::hook(move |point, _| {
        let (hangs, freed) = (Arc::clone(&hook_hangs), Arc::clone(&hook_freed));
        Box::pin(async move {
            if point == Point::Committing && hangs.load(Ordering::SeqCst) {
                freed.notified().await;
            }
        })
    });
    let stack = Stack::with(|config| config.points = points).await;
    stack.org.script().rotate = true;
    stack.org.script().clock = Some(stack.clock.clone());
    stack.authorize("worker").await;
    stack.advance(3600);
    let limit = Duration::from_secs(15);
    let asked = tokio::time::timeout(limit, stack.app(Method::GET, "/authorizations/worker", None)).await;
    asked.expect("an answer in time");
    assert!(!stack.server.app().spool.is_empty());
    hangs.store(false, Ordering::SeqCst);
    stack.reconcile("spool").await;
    assert!(stack.server.app().spool.is_empty());
    stack.token_of("worker").await;
    goes_on(&stack, 1).await;
}

#[tokio::test]
async fn an_answer_that_comes_after_the_lease_was_lost_is_the_grants_all_the_same() {
    let stack = authorized().await;
    stack.advance(3600);
    let hold = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::AnswerLate(Arc::clone(&hold)));
    let meanwhile = async {
        stack.org.asked("answer", 1).await;
        stack.advance(50);
        // Another process claimed it, and has sent nothing: the first one's outcome is in doubt.
        sql(&stack, "UPDATE grants SET fence = fence + 1, uncertain_at = intent_at, intent_at = NULL, lease_until = NULL")
            .await;
        hold.notify_one();
    };
    let asked = stack.app(Method::GET, "/authorizations/worker", None);
    let (answer, ()) = tokio::join!(asked, meanwhile);
    answer.expect(200);
    goes_on(&stack, 1).await;
}

#[tokio::test]
async fn in_doubt_a_reported_token_is_neither_renewed_nor_costs_the_last_chance() {
    let stack = authorized().await;
    let token = stack.token_of("worker").await;
    stack.org.script().replies.push_back(Reply::Fail);
    stack.advance(700);
    assert_eq!(stack.token_of("worker").await, token, "renewed behind, and the answer is lost");
    stack.settled().await;
    assert_eq!(stack.org.count("refresh"), 1);
    let stale = fingerprint(&token.as_str().into()).to_string();
    for _ in 0..5 {
        stack.advance(20);
        for body in [None, Some(json!({"stale_token": stale}))] {
            let answer =
                stack.app(Method::POST, "/authorizations/worker/refresh", body.as_ref()).await.expect(200);
            assert_eq!(answer.json()["org"]["user_auth"]["access_token"], json!(token));
        }
    }
    assert_eq!(stack.org.count("refresh"), 1, "the token lives, and nobody can tell that it does not");
    assert_eq!(stack.count_audited("grant.last_chance").await, 0);
    stack.advance(200);
    assert_ne!(stack.token_of("worker").await, token, "the last chance is still there");
    assert_eq!(stack.count_audited("grant.last_chance").await, 1);
    goes_on(&stack, 2).await;
}

#[tokio::test]
async fn the_last_chance_waits_until_other_processes_have_replayed_their_spools() {
    let stack = authorized().await;
    stack.org.script().replies.push_back(Reply::Fail);
    stack.advance(700);
    stack.token_of("worker").await;
    stack.settled().await;
    stack.advance(1000);
    let app = stack.server.app();
    app.spool.outage().failed(app.clock.now());
    stack.reconcile("spool").await;
    assert!(!app.spool.outage().is_on());
    for _ in 0..2 {
        stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(503, "unavailable");
        stack.advance(29);
    }
    stack.token_of("other").await;
    assert_eq!(stack.org.count("refresh"), 2, "what is not in doubt does not wait");
    stack.advance(3);
    stack.token_of("worker").await;
    goes_on(&stack, 3).await;
}

#[tokio::test]
async fn who_asks_while_a_renewal_here_is_late_waits_for_it() {
    let stack = authorized().await;
    stack.advance(3600);
    let hold = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&hold)));
    let second = async {
        stack.org.asked("refresh", 1).await;
        // The lease is over by the clock, and the request may still be on its way.
        stack.advance(50);
        let asked = stack.app(Method::GET, "/authorizations/worker", None);
        tokio::pin!(asked);
        tokio::select! {
            answer = &mut asked => panic!("{}: {}", answer.status, answer.text),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        hold.notify_one();
        asked.await.expect(200);
    };
    let (first, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), second);
    first.expect(200);
    goes_on(&stack, 1).await;
}
