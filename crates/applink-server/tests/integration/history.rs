//! What a republish breaks, and the history of a publication.

use std::time::Duration;

use applink_api::publication::PublishRequest;

use crate::publish::{named, yaml};
use crate::publishing_stack::Publishing;
use crate::receiver::Receiver;
use crate::scripted_org::Take;

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

fn allowing(allow: Option<bool>) -> PublishRequest {
    PublishRequest { allow_breaking: allow, ..named("Reports") }
}

#[tokio::test]
async fn a_breaking_republish_is_refused_for_those_who_ask_and_reported_for_the_others() {
    let stack = Publishing::start().await;
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
    let renamed = SPEC.replace("jobId: {type: string}", "job: {type: string}");
    let refused = stack.publish(yaml(&renamed), &allowing(Some(false))).await;
    assert_eq!(
        (refused.status, refused.body["id"].as_str()),
        (409, Some("breaking_change")),
        "{}",
        refused.body
    );
    let problem = &refused.body["problems"][0];
    assert_eq!(problem["place"], "Reports_buildReport_OUT_202.jobId");
    assert_eq!(problem["message"], "the member is gone");
    assert_eq!(stack.org.sent().len(), 1, "nothing was sent");

    // What is only added breaks nobody.
    let more = SPEC
        .replace("jobId: {type: string}", "jobId: {type: string}\n                  queue: {type: string}");
    assert_eq!(stack.publish(yaml(&more), &allowing(Some(false))).await.status, 201);
    // The official clients can't say that breaking is meant: they go on as ever, and it is written down.
    assert_eq!(stack.publish(yaml(&renamed), &allowing(None)).await.status, 201);
    let audited = stack.audited().await;
    assert!(audited.iter().any(|(_, detail)| detail.ends_with("breaking changes: 2")), "{audited:?}");
    assert_eq!(stack.publish(yaml(SPEC), &allowing(Some(true))).await.status, 201);
}

#[tokio::test]
async fn every_deploy_is_listed_with_its_document() {
    let stack = Publishing::start().await;
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
    stack.org.takes([Take::Fail(vec![(
        "ExternalServiceRegistration",
        "Reports",
        "Operation buildReport is too long.",
    )])]);
    let second = SPEC.replace("Builds a report", "Makes a report");
    assert_eq!(stack.publish(yaml(&second), &named("Reports")).await.status, 422);

    let path = format!("/connections/salesforce/production-org/apps/{}/reports/history", stack.app);
    let listed = stack.get(&path).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    let entries = listed.body.as_array().unwrap();
    let told: Vec<(&str, &str)> =
        entries.iter().map(|one| (one["kind"].as_str().unwrap(), one["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("publish", "failed"), ("publish", "done")]);
    assert_eq!(entries[0]["requested_by"], "dev@acme.example");
    assert!(entries[0]["error"].as_str().unwrap().contains("too long"));
    assert_ne!(entries[0]["hash"], entries[1]["hash"]);

    let one = stack.get(&format!("{path}/{}", entries[0]["number"])).await;
    assert_eq!((one.status, &one.body["document"]), (200, &second.clone().into()));
    assert_eq!(one.body["file_name"], "api-spec.yaml");
    let (kind, bytes) = stack.get_bytes(&format!("{path}/{}/document", entries[0]["number"])).await;
    assert_eq!((kind.as_str(), bytes.as_slice()), ("application/yaml", second.as_bytes()));

    assert_eq!(stack.get(&format!("{path}/99")).await.status, 404);
    assert_eq!(stack.get(&path.replace("reports", "other")).await.status, 404);
    let foreign = path.replace(&stack.app.to_string(), "00000000-0000-0000-0000-000000000009");
    assert_eq!(stack.get(&foreign).await.status, 404);
}

#[tokio::test]
async fn a_publication_deleted_in_the_org_is_noticed_and_can_be_published_again() {
    let mut stack = Publishing::start().await;
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
    let receiver = Receiver::start().await;
    stack.stop_reconcilers_and_tell(receiver.url()).await;
    stack.reconcile("publications in orgs").await;
    assert!(stack.publications().await.body[0]["removed_at"].is_null(), "it is there");

    stack.org.loses_registration();
    stack.reconcile("publications in orgs").await;
    assert!(stack.publications().await.body[0]["removed_at"].is_null(), "its time has not come");
    stack.clock.advance(Duration::from_secs(16 * 60));
    // An org that does not answer says nothing about it.
    stack.org.refuse_sessions(100);
    stack.reconcile("publications in orgs").await;
    assert!(stack.publications().await.body[0]["removed_at"].is_null());
    stack.org.refuse_sessions(0);
    stack.clock.advance(Duration::from_secs(16 * 60));
    stack.reconcile("publications in orgs").await;
    let listed = stack.publications().await;
    assert!(listed.body[0]["removed_at"].is_string(), "{}", listed.body);
    let audited = stack.audited().await;
    assert_eq!(audited.iter().filter(|(action, _)| action == "publication.deleted_in_org").count(), 1);
    // Once it is known it is not looked for again, and told once.
    stack.clock.advance(Duration::from_secs(16 * 60));
    stack.reconcile("publications in orgs").await;
    stack.reconcile("webhooks").await;
    let told = receiver.take();
    let kinds: Vec<String> = told.iter().map(|received| received.kind()).collect();
    assert_eq!(kinds, ["publication.deleted_in_org"]);
    let event = told[0].json();
    assert_eq!(event["data"]["esr_name"], "Reports");
    assert_eq!(event["data"]["removed_at"], listed.body[0]["removed_at"]);

    stack.restart_by_itself().await;
    let again = stack.publish(yaml(&SPEC.replace("Builds a", "Makes a")), &named("Reports")).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert!(stack.publications().await.body[0]["removed_at"].is_null());
}
