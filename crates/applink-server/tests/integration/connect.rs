//! The browser round trip, from the POST to the connected row, and everything that must stop it.

use std::sync::Arc;

use applink_server::config::Confirm;
use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify;

use crate::fake_org::{ORG_ID, Reply, USER_ID, USERNAME};
use crate::stack::{OWNER, Stack};

async fn status(stack: &Stack, name: &str) -> (String, String) {
    let shown = stack.manager(Method::GET, &format!("/connections/{name}"), None).await.expect(200).json();
    let error = shown["error"]["message"].as_str().unwrap_or_default().to_owned();
    (shown["status"].as_str().expect("a status").to_owned(), error)
}

#[tokio::test]
async fn an_org_is_connected_in_a_browser() {
    let stack = Stack::start().await;
    let begun = stack.begin_connection("production-org").await;
    assert_eq!(begun["status"], json!("connecting"));
    assert_eq!(begun["org"]["id"], json!(""));
    assert_eq!(begun["org"]["instance_url"], json!(""));
    assert_eq!(begun["created_by"], json!(OWNER));
    assert_eq!(begun["created_via_app"], json!("my-app"));
    assert_eq!(begun["created_at"], json!("2026-01-01T00:00:00.000000Z"));

    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200);
    assert!(page.text.contains("production-org is connected"), "{}", page.text);
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(page.headers["referrer-policy"], "no-referrer");

    let by_id = format!("/connections/{}", begun["id"].as_str().unwrap());
    for path in [by_id.as_str(), "/connections/production-org", "/connections/production_org"] {
        let shown = stack.manager(Method::GET, path, None).await.expect(200).json();
        assert_eq!(shown["status"], json!("connected"), "{path}");
        assert_eq!(shown["org"]["id"], json!(ORG_ID));
        assert_eq!(shown["org"]["instance_url"], json!(stack.org.url()));
        assert_eq!(shown["org"]["username"], json!(USERNAME));
        assert_eq!(shown["org"]["user_id"], json!(USER_ID));
        assert_eq!(shown["org"]["api_version"], json!("66.0"));
        assert_eq!(shown["org"]["connection_name"], json!("production-org"));
        assert_eq!(shown["connection_method"], json!("OAuth"));
        assert_eq!(shown["redirect_uri"], json!(null));
    }
    let listed = stack.app(Method::GET, "/connections", None).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_link_opens_once_and_a_state_is_used_once() {
    let stack = Stack::start().await;
    let begun = stack.begin_connection("prod").await;
    let link = begun["redirect_uri"].as_str().unwrap();
    let (callback, cookie) = stack.log_in(link).await;
    stack.browse(link, None).await.expect(410);
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    let replay = stack.browse(&callback, Some(&cookie)).await.expect(400);
    assert!(replay.text.contains("finished already"), "{}", replay.text);
    assert_eq!(stack.org.count("exchange"), 1);
    assert_eq!(status(&stack, "prod").await.0, "connected");
}

#[tokio::test]
async fn another_browser_can_not_finish_a_log_in_and_does_not_spoil_it() {
    let stack = Stack::start().await;
    let first = stack.begin_connection("first").await;
    let second = stack.begin_connection("second").await;
    let (callback, cookie) = stack.log_in(first["redirect_uri"].as_str().unwrap()).await;
    let (_, other_cookie) = stack.log_in(second["redirect_uri"].as_str().unwrap()).await;
    let name = cookie.split('=').next().unwrap();
    for wrong in [None, Some(other_cookie.as_str()), Some(format!("{name}=guessed").as_str())] {
        stack.browse(&callback, wrong).await.expect(400);
    }
    assert_eq!(stack.org.count("exchange"), 0);
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    assert_eq!(status(&stack, "first").await.0, "connected");
    assert_eq!(status(&stack, "second").await.0, "connecting");
}

#[tokio::test]
async fn denying_at_the_org_fails_the_row_with_a_sentence() {
    let stack = Stack::start().await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let state = callback.split("state=").nth(1).unwrap();
    let base = callback.split('?').next().unwrap();
    let denied =
        format!("{base}?error=access_denied&error_description=end-user+denied+authorization&state={state}");
    let page = stack.browse(&denied, Some(&cookie)).await.expect(200);
    assert!(page.text.contains("was not connected"));
    let (status, error) = status(&stack, "prod").await;
    assert_eq!(status, "failed");
    assert!(error.contains("denied"), "{error}");
    assert_eq!(stack.org.count("exchange"), 0);
}

#[tokio::test]
async fn an_unknown_state_is_not_reflected() {
    let stack = Stack::start().await;
    let url = format!("{}/oauth/callback?code=c&state=%3Cscript%3E", stack.server.url());
    let page = stack.browse(&url, None).await.expect(400);
    assert!(!page.text.contains("<script"), "{}", page.text);
    for query in ["", "?", "?state=x", "?code=x"] {
        stack.browse(&format!("{}/oauth/callback{query}", stack.server.url()), None).await.expect(400);
    }
}

#[tokio::test]
async fn a_user_without_the_permission_is_refused_with_the_fix_and_the_tokens_are_revoked() {
    let stack = Stack::start().await;
    stack.org.script().without_permission = true;
    let shown = stack.connect("prod").await;
    assert_eq!(shown["status"], json!("failed"));
    assert_eq!(shown["error"]["id"], json!("authentication_failed"));
    let message = shown["error"]["message"].as_str().unwrap();
    assert!(message.contains(USERNAME) && message.contains("Manage Heroku AppLink"), "{message}");
    assert_eq!(stack.org.script().revoked.len(), 1);
}

#[tokio::test]
async fn an_identity_at_another_host_is_refused() {
    let stack = Stack::start().await;
    stack.org.script().identity = Some(format!("https://evil.my.salesforce.com/id/{ORG_ID}/{USER_ID}"));
    let shown = stack.connect("prod").await;
    assert_eq!(shown["status"], json!("failed"));
    let message = shown["error"]["message"].as_str().unwrap();
    assert!(message.contains("evil.my.salesforce.com"), "{message}");
}

#[tokio::test]
async fn an_identity_of_another_user_than_the_tokens_is_refused() {
    let stack = Stack::start().await;
    let other = "005DS00000yYLD2YAO".parse::<applink_api::ids::RecordId>();
    let other = other.unwrap_or_else(|_| "005DS00000yYLD2".parse().unwrap());
    stack.org.script().identity = Some(format!("{}/id/{ORG_ID}/{other}", stack.org.url()));
    assert_eq!(stack.connect("prod").await["status"], json!("failed"));
}

#[tokio::test]
async fn without_a_refresh_token_the_missing_scope_is_named() {
    let stack = Stack::start().await;
    stack.org.script().without_refresh_token = true;
    let shown = stack.connect("prod").await;
    assert_eq!(shown["status"], json!("failed"));
    assert!(shown["error"]["message"].as_str().unwrap().contains("refresh_token"), "{shown}");
}

#[tokio::test]
async fn a_refused_code_fails_the_row() {
    let stack = Stack::start().await;
    stack.org.script().replies.push_back(Reply::Refuse("invalid_client", "invalid client credentials"));
    let shown = stack.connect("prod").await;
    assert_eq!(shown["status"], json!("failed"));
    assert_eq!(shown["error"]["id"], json!("authentication_failed"));
    assert!(shown["error"]["message"].as_str().unwrap().contains("invalid client credentials"), "{shown}");
}

#[tokio::test]
async fn a_repeated_post_keeps_the_id_and_voids_the_former_link() {
    let stack = Stack::start().await;
    let first = stack.begin_connection("prod").await;
    let again = stack.begin_connection("prod").await;
    assert_eq!(first["id"], again["id"]);
    assert_ne!(first["redirect_uri"], again["redirect_uri"]);
    stack.browse(first["redirect_uri"].as_str().unwrap(), None).await.expect(410);
    let (callback, cookie) = stack.log_in(again["redirect_uri"].as_str().unwrap()).await;
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    assert_eq!(status(&stack, "prod").await.0, "connected");
}

#[tokio::test]
async fn only_a_live_name_is_taken_and_hyphen_and_underscore_are_one_name() {
    let stack = Stack::start().await;
    let connected = stack.connect("my-org").await;
    let body = json!({"connection_name": "my_org"});
    let answer = stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await;
    let message = answer.expect_error(409, "conflict");
    assert!(message.contains("my_org"), "{message}");

    stack.org.script().without_permission = true;
    assert_eq!(stack.connect("other").await["status"], json!("failed"));
    stack.org.script().without_permission = false;
    let again = stack.connect("other").await;
    assert_eq!(again["status"], json!("connected"));
    assert_ne!(again["id"], connected["id"]);
}

#[tokio::test]
async fn a_log_in_that_takes_too_long_fails() {
    let stack = Stack::start().await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    stack.advance(601);
    stack.browse(&callback, Some(&cookie)).await.expect(400);
    stack.reconcile("credentials").await;
    let (status, error) = status(&stack, "prod").await;
    assert_eq!(status, "failed");
    assert!(error.contains("applink salesforce:connect prod"), "{error}");
}

#[tokio::test]
async fn a_person_confirms_before_any_token_is_exchanged() {
    let stack = Stack::with(|config| config.oauth.confirm = Confirm::Always).await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200);
    for shown in ["prod", "my-app", OWNER, stack.org.url()] {
        assert!(page.text.contains(shown), "{shown} is missing in {}", page.text);
    }
    assert_eq!(stack.org.count("exchange"), 0);
    stack.browse(&callback, Some(&cookie)).await.expect(400);

    let ticket =
        page.text.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let confirm = format!("{}/oauth/confirm", stack.server.url());
    let connect = [("ticket", ticket.as_str()), ("decision", "connect")];
    stack.submit(&confirm, None, &connect).await.expect(400);
    stack
        .submit(&confirm, Some(&cookie), &[("ticket", "guessed"), ("decision", "connect")])
        .await
        .expect(400);
    assert_eq!(stack.org.count("exchange"), 0);
    stack.submit(&confirm, Some(&cookie), &connect).await.expect(200);
    assert_eq!(status(&stack, "prod").await.0, "connected");
    stack.submit(&confirm, Some(&cookie), &connect).await.expect(400);
}

#[tokio::test]
async fn cancelling_on_the_confirmation_page_fails_the_row() {
    let stack = Stack::with(|config| config.oauth.confirm = Confirm::Always).await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200);
    let ticket =
        page.text.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let confirm = format!("{}/oauth/confirm", stack.server.url());
    stack.submit(&confirm, Some(&cookie), &[("ticket", &ticket), ("decision", "cancel")]).await.expect(200);
    assert_eq!(status(&stack, "prod").await.0, "failed");
    assert_eq!(stack.org.count("exchange"), 0);
}

#[tokio::test]
async fn a_row_that_was_removed_meanwhile_is_not_connected() {
    let stack = Stack::start().await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.browse(&callback, Some(&cookie)).await.expect(400);
    assert_eq!(status(&stack, "prod").await.0, "disconnected");
    assert_eq!(stack.org.count("exchange"), 0);
}

#[tokio::test]
async fn a_log_in_that_was_superseded_during_its_exchange_connects_nothing() {
    let stack = Stack::start().await;
    let first = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(first["redirect_uri"].as_str().unwrap()).await;
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("exchange", 1).await;
        stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
        let again = stack.begin_connection("prod").await;
        told.notify_one();
        again
    };
    let (page, again) = tokio::join!(stack.browse(&callback, Some(&cookie)), meanwhile);
    assert!(page.expect(409).text.contains("changed meanwhile"));
    assert_eq!(status(&stack, "prod").await.0, "connecting");
    assert_eq!(stack.org.script().revoked.len(), 1, "its tokens are revoked");
    let (callback, cookie) = stack.log_in(again["redirect_uri"].as_str().unwrap()).await;
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    assert_eq!(status(&stack, "prod").await.0, "connected");
}

#[tokio::test]
async fn a_log_in_that_was_superseded_does_not_fail_the_one_that_follows() {
    let stack = Stack::start().await;
    let first = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(first["redirect_uri"].as_str().unwrap()).await;
    let told = Arc::new(Notify::new());
    let reply = Reply::WaitAndRefuse(Arc::clone(&told), "invalid_grant", "expired authorization code");
    stack.org.script().replies.push_back(reply);
    let meanwhile = async {
        stack.org.asked("exchange", 1).await;
        stack.begin_connection("prod").await;
        told.notify_one();
    };
    let (page, ()) = tokio::join!(stack.browse(&callback, Some(&cookie)), meanwhile);
    page.expect(409);
    assert_eq!(status(&stack, "prod").await.0, "connecting");
}

#[tokio::test]
async fn while_a_client_secret_is_rotated_both_are_tried() {
    let stack = Stack::with(|config| {
        let secrets = &mut config.oauth.clients[0].client_secrets;
        secrets.insert(0, "canary-secret-not-valid-yet".into());
        secrets.push("canary-secret-never-needed".into());
    })
    .await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    assert_eq!(stack.org.count("exchange"), 2);
    stack.advance(3600);
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 2);
}
