//! Promise 52: whenever the control plane is killed during a publish or a removal, the same command run again ends as if
//! nothing had happened: everything is there once, or gone.

use serde_json::Value;

use super::stack::{Stack, When};

/// More calls than a publish makes; a run that is not killed by then shows that every call had its turn.
const CALLS: usize = 40;

fn document(round: &str) -> String {
    format!(
        "openapi: 3.0.3\ninfo: {{title: Reports, version: 1.0.0}}\npaths:\n  /reports:\n    post:\n      \
         operationId: buildReport\n      summary: {round}\n      responses: {{\"200\": {{description: Built.}}}}\n"
    )
}

const PUBLISH: &str = "publish api-spec.yaml --client-name Reports --connection-name acme";
const UNPUBLISH: &str = "unpublish Reports --connection-name acme --confirm Reports";

async fn published(stack: &Stack, context: &str) {
    let ran = stack.applink(PUBLISH).await;
    assert!(ran.status.success(), "{context}: {}", stack.told(&ran));
}

/// The org has the service once, as the document says it, with its credential and its set.
async fn is_whole(stack: &Stack, round: &str, context: &str) {
    let services = stack.sim("services").await;
    let named: Vec<&Value> =
        services.as_array().unwrap().iter().filter(|service| service["name"] == "Reports").collect();
    assert_eq!(named.len(), 1, "{context}: {services}");
    assert_eq!(named[0]["operations"][0]["summary"], round, "{context}: {services}");
    assert_eq!(named[0]["endpoint"], "https://my-app.example", "{context}: {services}");
    let sets = stack.sim("permission-sets").await;
    let named = sets.as_array().unwrap().iter().filter(|set| set["name"] == "Reports").count();
    assert_eq!(named, 1, "{context}: {sets}");
    let listed = stack.applink("publications --connection-name acme --json").await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{context}: {listed}");
    assert_eq!(listed[0]["removal"], Value::Null, "{context}: {listed}");
}

/// Kills the control plane at one call after the other, until a publish ends before its turn has come.
async fn publishes_killed(when: When) {
    let mut stack = Stack::start().await;
    let mut at_the_package = 0;
    for call in 1..CALLS {
        let round = format!("round {call} {when:?}");
        stack.write("api-spec.yaml", &document(&round));
        stack.kill_at(call, when);
        let ran = stack.applink(PUBLISH).await;
        let Some(calls) = stack.restarted_if_killed().await else {
            assert!(ran.status.success(), "{round}: {}", stack.told(&ran));
            assert!(at_the_package >= 1 && call > 4, "it was killed {call} times, but never at the package");
            return;
        };
        let last = calls.last().unwrap();
        at_the_package += usize::from(last.starts_with("POST ") && last.contains("/metadata/deployRequest"));
        let context = format!("{round}, killed at {last}");
        published(&stack, &context).await;
        is_whole(&stack, &round, &context).await;
    }
    panic!("a publish made {CALLS} calls and more");
}

#[tokio::test]
async fn a_control_plane_killed_before_any_call_of_a_publish_converges() {
    publishes_killed(When::Before).await;
}

#[tokio::test]
async fn a_control_plane_killed_after_any_call_of_a_publish_converges() {
    publishes_killed(When::After).await;
}

/// The same for removals.
async fn removals_killed(when: When) {
    let mut stack = Stack::start().await;
    for call in 1..CALLS {
        let round = format!("round {call} {when:?}");
        stack.write("api-spec.yaml", &document(&round));
        published(&stack, &round).await;
        stack.kill_at(call, when);
        let ran = stack.applink(UNPUBLISH).await;
        let killed = stack.restarted_if_killed().await;
        let last = killed.as_ref().and_then(|calls| calls.last().cloned()).unwrap_or_default();
        let context = format!("{round}, killed at {last}");
        // What was begun is gone on with by itself, so by now there may be nothing left to remove.
        let again = stack.applink(UNPUBLISH).await;
        let text = String::from_utf8_lossy(&again.stderr);
        assert!(
            again.status.success() || text.contains("isn't published there"),
            "{context}: {}{}",
            stack.told(&ran),
            stack.told(&again)
        );
        assert_eq!(stack.sim("services").await, serde_json::json!([]), "{context}");
        let sets = stack.sim("permission-sets").await.to_string();
        assert!(!sets.contains("\"Reports\""), "{context}: {sets}");
        if killed.is_none() {
            assert!(ran.status.success() && call > 2, "{context}: {}", stack.told(&ran));
            return;
        }
    }
    panic!("a removal made {CALLS} calls and more");
}

#[tokio::test]
async fn a_control_plane_killed_before_any_call_of_a_removal_converges() {
    removals_killed(When::Before).await;
}

#[tokio::test]
async fn a_control_plane_killed_after_any_call_of_a_removal_converges() {
    removals_killed(When::After).await;
}
