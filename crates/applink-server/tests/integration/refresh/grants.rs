//! An org keeps five grants of a user for one client, and ends the oldest for a sixth.

use reqwest::Method;
use serde_json::json;

use crate::stack::Stack;

#[tokio::test]
async fn the_fourth_grant_of_a_user_is_warned_about_and_the_fifth_needs_force() {
    let stack = Stack::start().await;
    for number in 1..=3 {
        let begun = stack.begin_authorization(&format!("worker{number}")).await;
        let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        let page = stack.browse(&callback, Some(&cookie)).await.expect(200).text;
        assert!(!page.contains("keeps five"), "{number}: {page}");
    }
    let begun = stack.begin_authorization("worker4").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200).text;
    assert!(page.contains("connected 4 times") && page.contains("keeps five"), "{page}");

    let begun = stack.begin_authorization("worker5").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200).text;
    assert!(page.contains("--force"), "{page}");
    assert_eq!(stack.org.script().revoked.len(), 1, "the tokens nobody will use are revoked");
    let record = stack.manager(Method::GET, "/authorizations/worker5", None).await.expect(200).json();
    assert_eq!(record["status"], json!("failed"));

    let body = json!({"developer_name": "worker5", "force": true});
    let begun =
        stack.manager(Method::POST, "/authorizations/salesforce", Some(&body)).await.expect(202).json();
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200).text;
    assert!(page.contains("connected 5 times"), "{page}");

    // To take up a name again by PATCH is one more, too.
    let begun = stack.begin_authorization("worker6").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    for (force, status) in [(false, "failed"), (true, "authorized")] {
        let body = json!({"reconnect": true, "force": force});
        let begun =
            stack.manager(Method::PATCH, "/authorizations/worker6", Some(&body)).await.expect(202).json();
        let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        stack.browse(&callback, Some(&cookie)).await.expect(200);
        let record = stack.manager(Method::GET, "/authorizations/worker6", None).await.expect(200).json();
        assert_eq!(record["status"], json!(status));
    }
}

#[tokio::test]
async fn a_reconnect_replaces_the_grant_in_place_and_revokes_the_old_one_afterwards() {
    let stack = Stack::start().await;
    let first = stack.authorize("worker").await;
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 1);
    let second = stack.authorize("worker").await;
    assert_eq!(first["id"], second["id"], "the same row");
    stack.token_of("worker").await;
}
