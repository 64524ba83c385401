//! An org that moves to another address is followed, and the old one left alone.

use reqwest::Method;
use serde_json::json;

use crate::fake_org::FakeOrg;
use crate::stack::Stack;

#[tokio::test]
async fn a_new_instance_url_is_followed_within_the_org_and_the_old_host_never_called_again() {
    let new_home = FakeOrg::start().await;
    let url = new_home.url().to_owned();
    let stack = Stack::with(|config| {
        config.org_hosts = config.org_hosts.clone().list(&url).expect("an origin");
    })
    .await;
    stack.authorize("worker").await;
    stack.settled().await;
    stack.org.script().instance_url = Some(new_home.url().to_owned());
    stack.advance(3600);
    let moved = stack.app(Method::GET, "/authorizations/worker", None).await.expect(200).json();
    assert_eq!(moved["org"]["instance_url"], json!(new_home.url()));
    stack.settled().await;
    let old_counts = stack.org.script().counts.clone();
    new_home.adopt(&stack.org);
    stack.advance(3600);
    let token = stack.token_of("worker").await;
    stack.settled().await;
    assert!(token.starts_with("canary-access"));
    assert_eq!(new_home.count("refresh"), 1);
    assert_eq!(stack.org.script().counts, old_counts, "the old host is not called again");
}

#[tokio::test]
async fn another_orgs_instance_and_a_host_that_may_not_be_called_are_not_followed() {
    let foreign = FakeOrg::start().await;
    let url = foreign.url().to_owned();
    let stack = Stack::with(|config| {
        config.org_hosts = config.org_hosts.clone().list(&url).expect("an origin");
    })
    .await;
    stack.authorize("worker").await;
    for (org_id, instance) in [(Some("00DSG00000DGEIr2AP"), foreign.url()), (None, "https://evil.example")] {
        stack.org.script().org_id = org_id;
        stack.org.script().instance_url = Some(instance.to_owned());
        stack.advance(3600);
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await.expect(200).json();
        assert_eq!(answer["org"]["instance_url"], json!(stack.org.url()), "{instance}");
    }
}
