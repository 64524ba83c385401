//! The newest entries of an add-on's ledger, for those who may manage it.

use http::Method;

use crate::stack::Stack;

#[tokio::test]
async fn a_manager_sees_what_happened_and_an_app_does_not() {
    let stack = Stack::start().await;
    stack.connect("production-org").await;
    let listed = stack.manager(Method::GET, "/audit", None).await.expect(200).json();
    let entries = listed.as_array().unwrap();
    let connected = entries.iter().find(|entry| entry["action"] == "connection.connected").unwrap();
    assert!(connected["detail"].as_str().unwrap().starts_with("production-org to org"), "{connected}");
    assert!(connected["actor"].is_string() && connected["at"].is_string(), "{connected}");
    let times: Vec<&str> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "the oldest comes first: {times:?}");
    let ids: std::collections::BTreeSet<&str> =
        entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), entries.len(), "each has an id of its own");

    let other = stack.another_tenant("other-app").await;
    assert!(!listed.to_string().contains(&other.addon.to_string()));
    stack.app(Method::GET, "/audit", None).await.expect_error(401, "unauthorized");
}
