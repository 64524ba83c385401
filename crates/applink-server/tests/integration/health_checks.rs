//! Dead grants are known before an app needs them, and looking at one kills none.

use applink_server::credentials::store;
use applink_server::{credentials::Kind, health_checks};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fake_org::{CONSUMER_KEY, Reply, SigningPair, USERNAME};
use crate::stack::Stack;
use crate::webhooks::Hooked;

/// Longer than the period with its spread.
const PERIOD: u64 = 6 * 3600 + 3600;

async fn look(stack: &Stack) {
    stack.reconcile("health checks").await;
    stack.advance(PERIOD);
    stack.reconcile("health checks").await;
}

async fn status(stack: &Stack, path: &str) -> (Value, Value) {
    let shown = stack.manager(Method::GET, path, None).await.expect(200).json();
    (shown["status"].clone(), shown["error"]["id"].clone())
}

/// What the last look at an authorization found; none when it is off the list.
async fn found(stack: &Stack, name: &str) -> Option<String> {
    let (app, addon) = (stack.server.app(), stack.tenant.addon);
    let row = store::find(app.store.reader(), addon, Kind::Authorization, name).await.unwrap().unwrap();
    let last = health_checks::store::last(app.store.reader(), addon, row.id).await.unwrap();
    last.and_then(|last| last.outcome)
}

#[tokio::test]
async fn a_dead_grant_is_noticed_without_any_app_and_costs_nothing_afterwards() {
    let hooked =
        Hooked::with(json!(["connection.reauth_required", "authorization.reauth_required"]), |_| {}).await;
    let stack = &hooked.stack;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    let asked = stack.org.count("asked of refresh token");
    look(stack).await;
    assert_eq!(stack.org.count("asked of refresh token") - asked, 2);
    assert_eq!(stack.org.count("refresh"), 0, "asking uses nothing up");
    stack.org.revoke_all();
    look(stack).await;
    assert_eq!(status(stack, "/connections/prod").await, (json!("disconnected"), json!("reauth_required")));
    assert_eq!(status(stack, "/authorizations/worker").await, (json!("failed"), json!("reauth_required")));
    hooked.deliver().await;
    let mut told = hooked.receiver.kinds();
    told.sort();
    assert_eq!(told, ["authorization.reauth_required", "connection.reauth_required"]);
    let asked = (stack.org.count("asked of refresh token"), stack.org.count("refresh"));
    for _ in 0..24 {
        look(stack).await;
    }
    assert_eq!(
        (stack.org.count("asked of refresh token"), stack.org.count("refresh")),
        asked,
        "the dead cost nothing"
    );
}

#[tokio::test]
async fn a_grant_in_doubt_is_not_touched() {
    let stack = Stack::start().await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.reconcile("health checks").await;
    stack.advance(800);
    // Past 75 % of its life: handed out, and renewed in the background, whose answer is lost.
    stack.org.script().replies.push_back(Reply::Fail);
    stack.token_of("worker").await;
    stack.org.asked("refresh", 1).await;
    stack.advance(PERIOD);
    stack.org.script().replies.push_back(Reply::Fail);
    stack.app(Method::GET, "/authorizations/worker", None).await;
    let asked = (stack.org.count("refresh"), stack.org.count("asked of refresh token"));
    stack.reconcile("health checks").await;
    assert_eq!((stack.org.count("refresh"), stack.org.count("asked of refresh token")), asked);
    assert_eq!(found(&stack, "worker").await.as_deref(), Some("left"));
}

#[tokio::test]
async fn where_the_org_will_not_say_a_dead_session_is_renewed() {
    let stack = Stack::start().await;
    stack.org.script().without_introspection = true;
    stack.authorize("worker").await;
    look(&stack).await;
    assert_eq!(stack.org.count("refresh"), 1);
    assert_eq!(found(&stack, "worker").await.as_deref(), Some("alive"));
    stack.org.revoke_all();
    look(&stack).await;
    assert_eq!(status(&stack, "/authorizations/worker").await, (json!("failed"), json!("reauth_required")));
    assert_eq!(found(&stack, "worker").await, None, "it is off the list");
}

#[tokio::test]
async fn what_an_org_refuses_for_a_reason_to_mend_is_asked_at_most_once_a_look() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.reconcile("health checks").await;
    stack.org.revoke_all();
    for look in 1..=4 {
        stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "ip restricted"));
        stack.advance(PERIOD);
        stack.reconcile("health checks").await;
        stack.reconcile("health checks").await;
        assert_eq!(stack.org.count("refresh"), look);
        assert_eq!(found(&stack, "worker").await.as_deref(), Some("refused"));
    }
    assert_eq!(status(&stack, "/authorizations/worker").await.0, json!("authorized"));
}

#[tokio::test]
async fn a_jwt_credential_signs_again_and_a_removed_one_is_off_the_list() {
    let stack = Stack::start().await;
    let key = SigningPair::generate("k");
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": key.pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
    look(&stack).await;
    assert_eq!((stack.org.count("assertion"), stack.org.count("asked of refresh token")), (2, 0));
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    look(&stack).await;
    assert_eq!(stack.org.count("assertion"), 2);
    assert_eq!(found(&stack, "worker").await, None);
}
