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

#[tokio::test]
async fn one_pages_back_by_the_time() {
    let stack = Stack::start().await;
    stack.connect("first").await;
    stack.advance(60);
    stack.connect("second").await;
    let all = stack.manager(Method::GET, "/audit", None).await.expect(200).json();
    let all = all.as_array().unwrap();
    let at = |entry: &serde_json::Value| entry["at"].as_str().unwrap().to_owned();
    let middle =
        all.iter().position(|entry| entry["detail"].as_str().unwrap().starts_with("second")).unwrap();
    assert!(middle > 0 && at(&all[middle - 1]) < at(&all[middle]), "{all:?}");
    for (before, expected) in [(at(&all[middle - 1]), middle), (at(all.last().unwrap()), all.len())] {
        let path = format!("/audit?before={before}");
        let page = stack.manager(Method::GET, &path, None).await.expect(200).json();
        assert_eq!(page.as_array().unwrap().len(), expected, "what happened at {before} is in it: {page}");
        let path = format!("/invocations?before={before}");
        assert_eq!(stack.manager(Method::GET, &path, None).await.expect(200).json(), serde_json::json!([]));
    }
    for path in ["/audit?before=yesterday", "/invocations?before=1"] {
        let refused = stack.manager(Method::GET, path, None).await;
        assert!(refused.expect_error(422, "validation_failed").contains("before"), "{path}");
    }
}
