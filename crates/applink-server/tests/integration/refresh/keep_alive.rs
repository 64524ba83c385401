//! Grants nobody asks for are refreshed before the org would end them.

use applink_testkit::figures::{Figure, Tier};
use serde_json::json;

use crate::stack::Stack;

const DAY: u64 = 24 * 3600;
/// An org ends a refresh token that was not used for so many days.
const LIMIT_DAYS: i64 = 30;
/// We promise to use it before.
const PROMISED_DAYS: i64 = 20;

#[tokio::test]
async fn an_idle_grant_is_refreshed_before_twenty_days_and_a_busy_one_left_alone() {
    let stack = Stack::start().await;
    stack.authorize("idle").await;
    stack.authorize("busy").await;
    for _ in 0..19 {
        stack.advance(DAY);
        stack.token_of("busy").await;
        stack.reconcile("idle grants").await;
    }
    let busy = 19;
    assert_eq!(stack.org.count("refresh"), busy + 1);
    stack.reconcile("idle grants").await;
    assert_eq!(stack.org.count("refresh"), busy + 1, "it is young again");
}

#[tokio::test]
async fn idle_grants_that_fail_do_not_keep_others_from_their_turn() {
    let stack = Stack::start().await;
    stack.authorize("failing").await;
    stack.authorize("idle").await;
    stack.advance(18 * DAY);
    stack.org.script().replies.push_back(crate::fake_org::Reply::Refuse("inactive_user", "user is inactive"));
    stack.reconcile("idle grants").await;
    assert_eq!(stack.org.count("refresh"), 2);
    stack.reconcile("idle grants").await;
    assert_eq!(stack.org.count("refresh"), 2, "the failed one waits its hour");
    stack.advance(2 * 3600);
    stack.reconcile("idle grants").await;
    assert_eq!(stack.org.count("refresh"), 3);
}

/// Copies the one authorization there is, grant and all, so that there are `count`.
async fn multiply(stack: &Stack, count: usize) {
    stack.copy_authorization("worker", count).await;
}

#[tokio::test]
async fn no_grant_idles_out_in_a_year() {
    let count = Tier::current().pick(20, 10_000);
    let stack = Stack::start().await;
    stack.org.script().clock = Some(stack.clock.clone());
    stack.authorize("worker").await;
    multiply(&stack, count).await;
    let mut longest = 0;
    for _ in 0..365 {
        stack.advance(DAY);
        // A day has 1,440 runs of the reconciler; those that find nothing are left out.
        for _ in 0..count / 100 + 1 {
            stack.reconcile("idle grants").await;
        }
        longest = longest.max(stack.longest_idle_days().await);
    }
    let expired = if longest >= LIMIT_DAYS { count } else { 0 };
    Figure {
        promise: "10",
        what: format!("a year by a simulated clock with {count} authorizations nobody asks for"),
        measured: format!(
            "{expired} idle expiries, longest idle {longest} days, {} refreshes",
            stack.org.count("refresh")
        ),
        promised: "0 idle expiries, none idle longer than 20 days".to_owned(),
        kept: expired == 0 && longest <= PROMISED_DAYS,
        seed: None,
    }
    .report();
    let listed = stack.manager(reqwest::Method::GET, "/authorizations", None).await.expect(200).json();
    let live = listed.as_array().unwrap().iter().filter(|row| row["status"] == json!("authorized"));
    assert_eq!(live.count(), count);
}
