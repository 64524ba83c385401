//! A publication's life through our CLI: published, published again, broken on purpose, taken back; and what stays when
//! its org is disconnected.

use std::process::Output;

use serde_json::{Value, json};

use super::stack::Stack;

const PUBLISH: &str = "publish api-spec.yaml --client-name Reports --connection-name acme";

fn document(operation: &str, summary: &str) -> String {
    format!(
        "openapi: 3.0.3\ninfo: {{title: Reports, version: 1.0.0}}\npaths:\n  /reports:\n    post:\n      \
         operationId: {operation}\n      summary: {summary}\n      responses: {{\"200\": {{description: Built.}}}}\n"
    )
}

fn errors(ran: &Output) -> String {
    String::from_utf8(ran.stderr.clone()).unwrap()
}

async fn operations(stack: &Stack) -> Value {
    let services = stack.sim("services").await;
    let operations = services[0]["operations"].as_array().cloned().unwrap_or_default();
    let told = operations.iter().map(|one| json!([one["name"], one["summary"]]));
    json!(told.collect::<Vec<_>>())
}

#[tokio::test]
async fn what_is_published_can_be_changed_broken_on_purpose_and_taken_back() {
    let stack = Stack::start().await;
    stack.write("api-spec.yaml", &document("buildReport", "first"));
    let ran = stack.applink(PUBLISH).await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    assert!(errors(&ran).contains("created ExternalServiceRegistration Reports"), "{}", errors(&ran));

    stack.write("api-spec.yaml", &document("buildReport", "second"));
    let ran = stack.applink(PUBLISH).await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    assert!(errors(&ran).contains("updated ExternalServiceRegistration Reports"), "{}", errors(&ran));
    assert_eq!(operations(&stack).await, json!([["buildReport", "second"]]));

    stack.write("api-spec.yaml", &document("makeReport", "third"));
    let ran = stack.applink(PUBLISH).await;
    assert_eq!(ran.status.code(), Some(1), "{}", stack.told(&ran));
    assert!(errors(&ran).contains("Reports.buildReport: the operation is gone"), "{}", errors(&ran));
    assert_eq!(operations(&stack).await, json!([["buildReport", "second"]]), "nothing was changed");
    let ran = stack.applink(&format!("{PUBLISH} --allow-breaking")).await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    assert_eq!(operations(&stack).await, json!([["makeReport", "third"]]));

    let ran = stack.applink("unpublish Reports --connection-name acme --confirm Reports").await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    assert_eq!(stack.sim("services").await, json!([]));
    assert!(!stack.sim("permission-sets").await.to_string().contains("\"Reports\""));
    let listed = stack.applink("publications --connection-name acme --json").await;
    assert_eq!(serde_json::from_slice::<Value>(&listed.stdout).unwrap(), json!([]));
}

#[tokio::test]
async fn a_disconnect_leaves_and_lists_what_is_in_the_org_and_stops_publishing() {
    let stack = Stack::start().await;
    stack.write("api-spec.yaml", &document("buildReport", "first"));
    let ran = stack.applink(PUBLISH).await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    let ran = stack.applink("salesforce:disconnect acme --confirm acme").await;
    assert!(ran.status.success(), "{}", stack.told(&ran));
    let told = errors(&ran);
    assert!(told.contains("Reports stays in org 00D"), "{told}");
    for kind in ["ExternalServiceRegistration", "NamedCredential", "ExternalCredential", "PermissionSet"] {
        assert!(told.contains(&format!("  {kind} Reports")), "{kind} is not in {told}");
    }
    let ran = stack.applink(PUBLISH).await;
    assert_eq!(ran.status.code(), Some(1), "{}", stack.told(&ran));
    assert!(errors(&ran).contains("salesforce:connect acme"), "{}", errors(&ran));
    assert_eq!(operations(&stack).await, json!([["buildReport", "first"]]), "it is still there");
}
