//! What a token that lives is good for while its renewal does not come about, and what becomes of a renewal whose grant is
//! removed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use applink_server::db::claim::Claim;
use applink_server::tokens::store as grants;
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use tokio::sync::Notify;

use super::kept::{authorized, sql};
use crate::fake_org::Reply;
use crate::stack::Stack;

/// Of 900 seconds: so late that a hand-out waits for the renewal.
const NEARLY_DEAD: u64 = 850;
/// More than any hand-out may take here.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_token_that_lives_is_handed_out_when_the_org_gives_no_new_one() {
    let stack = authorized().await;
    let token = stack.token_of("worker").await;
    stack.org.script().replies.push_back(Reply::Refuse("server_error", "try again later"));
    stack.advance(NEARLY_DEAD);
    assert_eq!(stack.token_of("worker").await, token, "who waited for the renewal");
    assert_eq!(stack.token_of("worker").await, token, "who comes in the pause after it");
    assert_eq!(stack.org.count("refresh"), 1);
    stack.advance(100);
    assert_ne!(stack.token_of("worker").await, token);
}

#[tokio::test]
async fn a_token_that_lives_is_handed_out_while_a_process_that_died_has_the_lease() {
    let stack = authorized().await;
    let token = stack.token_of("worker").await;
    stack.advance(NEARLY_DEAD);
    let claim = Claim { owner: "a-dead-process", lease: Duration::from_secs(45), limit: 10 };
    let database = stack.server.app().store.database();
    let claimed = database.claim_due::<grants::Model>(grants::TO_RENEW, claim).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let asked = tokio::time::timeout(SOON, stack.token_of("worker")).await;
    assert_eq!(asked.expect("it does not wait for the dead"), token);
    assert_eq!(stack.org.count("refresh"), 0);
}

#[tokio::test]
async fn a_statement_that_is_never_answered_holds_no_grant_up_afterwards() {
    let stack = authorized().await;
    stack.advance(3600);
    let never = stack.server.app().store.database().begin().await.unwrap();
    if !stack.backend.is_sqlite {
        never.execute_unprepared("LOCK TABLE grants IN SHARE MODE").await.unwrap();
    }
    let asked = tokio::time::timeout(SOON, stack.app(Method::GET, "/authorizations/worker", None)).await;
    asked.expect("an answer in time").expect_error(503, "unavailable");
    never.rollback().await.unwrap();
    let asked = tokio::time::timeout(SOON, stack.token_of("worker")).await;
    assert!(stack.org.script().accepts(&asked.expect("a token in time")));
}

async fn remove(stack: &Stack) {
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
}

async fn erased(stack: &Stack) -> Option<String> {
    let log = stack.manager(Method::GET, "/audit", None).await.expect(200).json();
    let rows = log.as_array().expect("a list");
    let row = rows.iter().find(|row| row["action"] == "grant.erased")?;
    Some(row["detail"].as_str().expect("a detail").to_owned())
}

#[tokio::test]
async fn what_comes_of_a_refresh_whose_grant_is_removed_meanwhile_is_revoked_until_the_org_confirms_it() {
    let stack = authorized().await;
    stack.advance(3600);
    let hold = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::AnswerLate(Arc::clone(&hold)));
    let meanwhile = async {
        stack.org.asked("answer", 1).await;
        remove(&stack).await;
        stack.reconcile("grants").await;
        assert_eq!(stack.org.count("revoke"), 0, "the token it has is used up, and the next on its way");
        hold.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), meanwhile);
    assert_ne!(answer.status, 200, "{}", answer.text);
    stack.settled().await;
    stack.org.script().replies.push_back(Reply::Fail);
    stack.reconcile("grants").await;
    assert_eq!((stack.org.count("revoke"), erased(&stack).await), (1, None));
    stack.advance(3);
    stack.reconcile("grants").await;
    {
        let script = stack.org.script();
        let given = script.secrets.iter().rfind(|secret| secret.starts_with("canary-refresh"));
        assert_eq!(script.revoked.last(), given, "the newest");
    }
    assert_eq!(erased(&stack).await.as_deref(), Some("revoked at the org"));
}

#[tokio::test]
async fn a_revocation_of_a_token_that_may_have_been_used_up_is_not_called_one() {
    let stack = authorized().await;
    stack.advance(3600);
    // A process died after it had announced a refresh.
    let now = stack.clock.now().as_micros();
    sql(&stack, &format!("UPDATE grants SET intent_at = {now}")).await;
    remove(&stack).await;
    stack.reconcile("grants").await;
    assert_eq!(stack.org.count("revoke"), 0, "an answer may come");
    stack.advance(46);
    stack.reconcile("grants").await;
    assert_eq!(stack.org.count("revoke"), 1);
    assert_eq!(erased(&stack).await.as_deref(), Some("the org did not confirm the revocation"));
}
