//! Data action targets when something comes between: another worker, or somebody in the org.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use applink_orgsim::{OrgConfig, RunningOrg};
use applink_server::data_action_targets::targets;
use applink_server::db::claim::Claim;
use applink_server::removals;
use applink_server::tokens::points::{Point, Points};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::data_cloud::{connect, looked, make_target, settle, start, start_on};
use crate::orgsim::log_in_as;
use crate::stack::Stack;

const ONE: &str = "/connections/datacloud/lake/data_action_targets/Clicks";

/// Somebody in the org makes the target anew, to call something else.
async fn change_in_the_org(stack: &Stack, org: &RunningOrg) {
    let begun = stack.begin_authorization("somebody").await;
    log_in_as(stack, org, "admin", &begun, "allow").await;
    let token = stack.token_of("somebody").await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let targets = format!("{}/services/data/v62.0/ssot/data-action-targets", org.url());
    let gone = http.delete(format!("{targets}/Clicks")).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let other = json!({"apiName": "Clicks", "label": "Clicks", "type": "WebHook",
        "config": {"targetEndpoint": "https://elsewhere.example/clicks"}});
    let made = http.post(&targets).bearer_auth(&token).json(&other).send().await.expect("an answer");
    assert_eq!(made.status(), StatusCode::OK, "{}", made.text().await.unwrap_or_default());
}

async fn calls(org: &RunningOrg) -> Value {
    looked(org, "/data-cloud/targets").await[0]["config"]["targetEndpoint"].clone()
}

#[tokio::test]
async fn one_that_was_changed_in_the_org_is_not_taken_out_of_it() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    change_in_the_org(&stack, &org).await;
    stack.manager(Method::DELETE, ONE, None).await.expect(202);
    stack.reconcile("data action targets").await;
    stack.manager(Method::GET, ONE, None).await.expect_error(404, "record_not_found");
    assert_eq!(calls(&org).await, "https://elsewhere.example/clicks");
    let log = stack.manager(Method::GET, "/audit", None).await.expect(200);
    assert!(log.text.contains("it was changed there and calls something else now"), "{}", log.text);
}

#[tokio::test]
async fn what_stays_in_an_org_when_its_add_on_goes_is_in_the_report() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    change_in_the_org(&stack, &org).await;
    let addon = format!("/operator/addons/{}", stack.tenant.addon);
    stack.operator(Method::DELETE, &addon, None).await.expect(202);
    for _ in 0..12 {
        for reconciler in ["removals", "data action targets", "grants", "credentials"] {
            stack.reconcile(reconciler).await;
        }
        stack.advance(6);
    }
    let row = removals::store::find(stack.server.app().store.reader(), stack.tenant.addon).await;
    let report = removals::wire(&row.expect("a query").expect("a report"));
    assert_eq!(report.stage, "done", "{report:?}");
    let left = &report.left[0];
    assert_eq!((left.kind.as_str(), left.name.as_str()), ("data action target", "Clicks"));
    assert!(left.org_id.as_deref().is_some_and(|id| id.starts_with("00D")), "{left:?}");
    assert!(left.reason.contains("calls something else"), "{left:?}");
    assert_eq!(calls(&org).await, "https://elsewhere.example/clicks");
}

/// Renewals stop before their request goes out, once it is said that they shall.
#[derive(Clone, Default)]
struct Hold {
    holds: Arc<AtomicBool>,
    arrived: Arc<Notify>,
    goes_on: Arc<Notify>,
}

impl Hold {
    fn points(&self) -> Points {
        let hold = self.clone();
        Points::hook(move |point, _| {
            let hold = hold.clone();
            Box::pin(async move {
                if point == Point::Sending && hold.holds.swap(false, Ordering::SeqCst) {
                    hold.arrived.notify_one();
                    hold.goes_on.notified().await;
                }
            })
        })
    }
}

#[tokio::test]
async fn a_worker_that_was_overtaken_writes_nothing() {
    let hold = Hold::default();
    let points = hold.points();
    let (stack, org) = start_on(OrgConfig::new("Acme", "canary-sim-key".into()), points).await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    stack.settled().await;
    stack.manager(Method::POST, &format!("{ONE}/rotate_signing_key"), None).await.expect(202);
    // Its token has ended, so the step begins with a renewal, and stalls there.
    stack.advance(3 * 3600);
    hold.holds.store(true, Ordering::SeqCst);
    let overtake = async {
        hold.arrived.notified().await;
        stack.advance(600);
        let claim = Claim { owner: "another-process", lease: Duration::from_secs(180), limit: 10 };
        let database = stack.server.app().store.database();
        let taken = database.claim_due::<targets::Model>(targets::DUE, claim).await.expect("a claim");
        assert_eq!(taken.len(), 1, "its lease ran out");
        hold.goes_on.notify_one();
    };
    tokio::join!(stack.reconcile("data action targets"), overtake);
    let shown = stack.manager(Method::GET, ONE, None).await.expect(200).json();
    assert_eq!(shown["status"], "generating_signing_key", "the other has it now");
    assert_eq!(stack.count_audited("data_action_target.key_rotated").await, 0);
    // The other died. Its lease runs out, and the step is done by whoever is next.
    stack.advance(181);
    assert_eq!(settle(&stack, "Clicks").await["status"], "created");
    assert_eq!(stack.count_audited("data_action_target.key_rotated").await, 1);
}
