//! Taking an add-on apart: its publications leave their orgs before its grants go.

use std::time::Duration;

use applink_api::operator::Removal;
use applink_server::addons::provision;
use applink_server::audit::Actor;
use applink_server::{credentials, removals};
use serde_json::json;

use crate::publish::{named, yaml};
use crate::publishing_stack::Publishing;
use crate::scripted_org::Take;

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

impl Publishing {
    /// Published as `Reports`, and then an operator destroys the add-on.
    async fn destroyed() -> Self {
        let mut stack = Self::start().await;
        let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        stack.stop_reconcilers().await;
        let addon = stack.addon.to_string();
        let begun = provision::destroy(stack.app(), &Actor::system(), &addon).await.unwrap();
        assert_eq!(begun.stage, "unpublish");
        stack
    }

    async fn removal(&self) -> Removal {
        let row = removals::store::find(self.app().store.reader(), self.addon).await.unwrap();
        removals::wire(&row.unwrap())
    }

    /// Lets everything that is due be done, again and again.
    async fn work(&self, rounds: u32) {
        for _ in 0..rounds {
            for name in ["removals", "publications", "grants"] {
                self.reconcile(name).await;
            }
            self.clock.advance(Duration::from_secs(6));
        }
    }
}

#[tokio::test]
async fn what_is_published_leaves_the_org_before_the_grants_go() {
    let stack = Publishing::destroyed().await;
    stack.reconcile("removals").await;
    let asked = stack.removal().await;
    assert_eq!((asked.stage.as_str(), asked.left.len()), ("unpublish", 0), "{asked:?}");
    stack.work(12).await;
    let done = stack.removal().await;
    assert_eq!((done.stage.as_str(), done.left.as_slice()), ("done", [].as_slice()), "{done:?}");
    assert_eq!(done.unpublished.len(), 1);
    assert!(done.unpublished[0].starts_with("Reports in 00D"), "{done:?}");
    let sent = stack.org.sent();
    assert_eq!(sent.len(), 2, "published, and removed once");
    assert!(sent[1].file("destructiveChangesPre.xml").unwrap().contains("ExternalServiceRegistration"));
    let listed = applink_server::addons::store::list_addons(stack.app().store.reader()).await.unwrap();
    assert_eq!(listed, []);
}

#[tokio::test]
async fn what_the_org_refuses_to_let_go_is_told_by_name_and_reason() {
    let stack = Publishing::destroyed().await;
    stack.org.takes([Take::Fail(vec![("PermissionSet", "Reports", "It is referenced by a flow.")])]);
    stack.work(12).await;
    let done = stack.removal().await;
    assert_eq!((done.stage.as_str(), done.unpublished.len()), ("done", 0), "{done:?}");
    let left = serde_json::to_value(&done.left).unwrap();
    assert_eq!((&left[0]["kind"], &left[0]["name"]), (&json!("publication"), &json!("Reports")));
    assert!(left[0]["reason"].as_str().unwrap().contains("referenced by a flow"), "{left}");
    assert_eq!(done.left.len(), 1);
}

#[tokio::test]
async fn an_org_that_does_nothing_is_not_waited_for_for_ever() {
    let stack = Publishing::destroyed().await;
    for _ in 0..3 {
        stack.reconcile("removals").await;
        stack.clock.advance(Duration::from_secs(6));
    }
    assert_eq!(stack.removal().await.stage, "unpublish");
    stack.clock.advance(Duration::from_secs(600));
    stack.reconcile("removals").await;
    let next = stack.removal().await;
    assert_eq!(next.stage, "revoke");
    assert_eq!(next.left[0].name, "Reports");
    assert!(next.left[0].reason.contains("in time"), "{next:?}");
    assert!(next.unpublished.is_empty());
}

#[tokio::test]
async fn a_log_in_that_ends_after_the_removal_began_leaves_nothing_live() {
    let mut stack = Publishing::start().await;
    stack.stop_reconcilers().await;
    let told = stack.org.holds_a_question();
    let removed = async {
        stack.org.package_arrived().await;
        let addon = stack.addon.to_string();
        provision::destroy(stack.app(), &Actor::system(), &addon).await.unwrap();
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.connect_as("late-org"), removed);
    assert_eq!(
        (answer.status, answer.body["id"].as_str()),
        (404, Some("record_not_found")),
        "{}",
        answer.body
    );
    let (reader, kind) = (stack.app().store.reader(), credentials::Kind::Connection);
    let found = credentials::store::list(reader, stack.addon, kind).await.unwrap();
    assert_eq!(found.len(), 1, "the one there was: {found:?}");
}
