//! `DELETE /addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}`: a publication leaves its org.

use std::time::Duration;

use serde_json::{Value, json};

use crate::publish::{named, yaml};
use crate::publishing_stack::Publishing;
use crate::scripted_org::Take;

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

const SET: &str = "0PS000000000001AAA";
const ANNA: &str = "005000000000001AAA";
const BO: &str = "005000000000002AAA";

fn both() -> [(String, String); 2] {
    [ANNA, BO].map(|user| (user.to_owned(), SET.to_owned()))
}

fn refusal() -> Take {
    Take::Fail(vec![("PermissionSet", "Reports", "It is referenced by a flow.")])
}

async fn published() -> Publishing {
    let stack = Publishing::start().await;
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    stack
}

#[tokio::test]
async fn a_publication_is_removed_and_then_gone() {
    let stack = published().await;
    let asked = stack.remove("Reports").await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    assert_eq!(asked.body["esr_name"], "Reports");
    assert_eq!(asked.body["removal"]["status"], "removing");
    assert_eq!(asked.body["removal"]["requested_by"], "dev@acme.example");
    stack.publications_settled(0).await;
    assert_eq!(stack.remove("Reports").await.status, 404);

    let sent = stack.org.sent();
    assert_eq!(sent[1].paths(), ["package.xml", "destructiveChangesPre.xml", "destructiveChangesPost.xml"]);
    let first = sent[1].file("destructiveChangesPre.xml").unwrap();
    assert!(first.contains("<name>ExternalServiceRegistration</name>"), "{first}");
    let then = sent[1].file("destructiveChangesPost.xml").unwrap();
    let order: Vec<usize> = ["PermissionSet", "NamedCredential", "ExternalCredential"]
        .iter()
        .map(|kind| then.find(&format!("<name>{kind}</name>")).unwrap())
        .collect();
    assert!(order.is_sorted(), "{then}");

    let audited = stack.audited().await;
    let of =
        |action: &str| audited.iter().find(|(found, _)| found == action).map(|(_, detail)| detail.clone());
    assert!(of("publication.removal_requested").unwrap().contains("Reports"));
    of("publication.removed").unwrap();
}

#[tokio::test]
async fn what_the_org_refuses_to_remove_stays_published_and_says_why() {
    let stack = published().await;
    stack.org.takes([refusal()]);
    stack.org.assigns(ANNA, SET);
    stack.org.assigns(BO, SET);
    assert_eq!(stack.remove("Reports").await.status, 202);
    let listed = stack.publications_settled(1).await;
    let removal = &listed.body[0]["removal"];
    assert_eq!(removal["status"], "failed");
    assert_eq!(removal["error"]["id"], "deploy_failed");
    let message = removal["error"]["message"].as_str().unwrap();
    assert!(message.contains("referenced by a flow"), "{message}");
    assert_eq!(stack.org.assigned(), both(), "its users may still use it");
    // It can be tried again, and then it is gone.
    assert_eq!(stack.remove("Reports").await.status, 202);
    stack.publications_settled(0).await;
    assert_eq!(stack.org.assigned(), []);
}

#[tokio::test]
async fn permission_sets_are_given_back_also_when_the_package_is_not_even_taken_or_the_org_is_away_for_a_moment()
 {
    let stack = published().await;
    stack
        .org
        .takes([Take::Refuse(http::StatusCode::BAD_REQUEST, "INSUFFICIENT_ACCESS", "Not you."), refusal()]);
    stack.org.assigns(ANNA, SET);
    stack.org.assigns(BO, SET);
    assert_eq!(stack.remove("Reports").await.status, 202);
    stack.publications_settled(1).await;
    assert_eq!(stack.org.assigned(), both());

    stack.org.makes_no_assignment(1, http::StatusCode::SERVICE_UNAVAILABLE, "SERVER_UNAVAILABLE");
    assert_eq!(stack.remove("Reports").await.status, 202);
    let listed = stack.publications_settled(1).await;
    assert_eq!(stack.org.assigned(), both());
    let message = listed.body[0]["removal"]["error"]["message"].as_str().unwrap();
    assert!(!message.contains("given back"), "{message}");
}

#[tokio::test]
async fn what_the_org_does_not_take_back_is_told_by_name() {
    let stack = published().await;
    stack.org.takes([refusal()]);
    stack.org.assigns(ANNA, SET);
    stack.org.assigns(BO, SET);
    stack.org.makes_no_assignment(1, http::StatusCode::BAD_REQUEST, "LICENSE_LIMIT_EXCEEDED");
    assert_eq!(stack.remove("Reports").await.status, 202);
    let listed = stack.publications_settled(1).await;
    assert_eq!(stack.org.assigned(), [(BO.to_owned(), SET.to_owned())]);
    let message = listed.body[0]["removal"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("referenced by a flow"), "{message}");
    assert!(message.contains(&format!("permission set {SET} of user {ANNA}")), "{message}");
    assert!(!message.contains(BO), "{message}");
}

#[tokio::test]
async fn a_server_killed_while_removing_is_continued_by_the_next_one() {
    for take in [Take::DeployAndHang, Take::LoseAndHang] {
        let mut stack = published().await;
        stack.org.takes([take]);
        stack.remove_and_kill("Reports").await;
        // Past the dead server's lease and the time an org may take to show a deploy.
        stack.clock.advance(Duration::from_secs(120));
        stack.restart().await;
        stack.publications_settled(0).await;
        // Deleting what is gone is no error, so it is simply sent again.
        assert_eq!(stack.org.sent().len(), 3);
        let removed = stack.audited().await;
        assert_eq!(removed.iter().filter(|(action, _)| action == "publication.removed").count(), 1);
    }
}

#[tokio::test]
async fn asking_twice_is_asking_once() {
    let stack = published().await;
    stack.org.done_after(3);
    let first = stack.remove("Reports").await;
    let second = stack.remove("Reports").await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.body["removal"], second.body["removal"]);
    let meanwhile = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(
        (meanwhile.status, meanwhile.body["id"].as_str()),
        (409, Some("conflict")),
        "{}",
        meanwhile.body
    );
    stack.publications_settled(0).await;
    assert_eq!(stack.org.sent().len(), 2);
    let again = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(again.status, 201, "the name is free again: {}", again.body);
}

#[tokio::test]
async fn somebody_elses_service_of_the_same_name_is_left_alone() {
    let stack = published().await;
    stack.org.has_registration("Made by hand after ours was deleted");
    assert_eq!(stack.remove("Reports").await.status, 202);
    stack.publications_settled(0).await;
    assert_eq!(stack.org.sent().len(), 1, "nothing of that name is ours any more");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_connection_that_is_not_live_409() {
    let stack = published().await;
    assert_eq!(stack.remove("Other").await.status, 404);
    stack.disconnect().await;
    let answer = stack.remove("Reports").await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body["message"].as_str().unwrap().contains("salesforce:connect"), "{}", answer.body);
    let listed = stack.publications().await.body;
    assert_eq!(listed[0].get("removal"), None::<&Value>, "{listed}");
    assert_eq!(listed[0]["esr_name"], json!("Reports"));
}
