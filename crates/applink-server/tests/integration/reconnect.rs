//! `PATCH`: logging in again in place, rotating a JWT key, renaming.

use std::sync::Arc;

use applink_api::connection::ConnectionMethod;
use applink_server::addons::{self, provision};
use applink_server::audit::Actor;
use applink_server::credentials::change::{Change, Wishes};
use applink_server::credentials::{self, Kind};
use applink_server::oauth;
use applink_server::web::auth::RequireManager;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fake_org::{CONSUMER_KEY, Reply, SigningPair, USERNAME};
use crate::stack::{Answer, Stack};

async fn patch(stack: &Stack, path: &str, body: Value) -> Answer {
    stack.manager(Method::PATCH, path, Some(&body)).await
}

async fn show(stack: &Stack, path: &str) -> Value {
    stack.manager(Method::GET, path, None).await.expect(200).json()
}

async fn log_in(stack: &Stack, link: &Value) -> Answer {
    let (callback, cookie) = stack.log_in(link.as_str().expect("a link")).await;
    stack.browse(&callback, Some(&cookie)).await.expect(200)
}

async fn actions(stack: &Stack) -> Vec<String> {
    let app = stack.server.app();
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100);
    rows.await.unwrap().into_iter().map(|row| row.action).collect()
}

#[tokio::test]
async fn a_live_row_logs_in_again_while_its_old_grant_works() {
    let stack = Stack::start().await;
    let before = stack.authorize("worker").await;
    let old = stack.token_of("worker").await;
    let asked = patch(&stack, "/authorizations/worker", json!({"reconnect": true})).await.expect(202).json();
    assert_eq!((&asked["id"], &asked["status"]), (&before["id"], &json!("authorized")));
    assert_eq!(asked["last_modified_at"], before["last_modified_at"], "nothing has changed yet");
    assert_eq!(stack.token_of("worker").await, old);

    stack.advance(1);
    log_in(&stack, &asked["redirect_uri"]).await;
    let after = show(&stack, "/authorizations/worker").await;
    assert_eq!((&after["id"], &after["status"]), (&before["id"], &json!("authorized")));
    assert_ne!(after["last_modified_at"], before["last_modified_at"]);
    assert_ne!(stack.token_of("worker").await, old);
    assert!(stack.org.script().revoked.is_empty(), "the old grant is revoked once the new one is there");
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 1);
    assert_ne!(stack.token_of("worker").await, old);
}

#[tokio::test]
async fn a_log_in_that_fails_costs_a_live_row_nothing() {
    let stack = Stack::start().await;
    let before = stack.connect("prod").await;
    let asked = patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect(202).json();
    stack.org.script().without_permission = true;
    let page = log_in(&stack, &asked["redirect_uri"]).await;
    assert!(page.text.contains("Manage Heroku AppLink"), "{}", page.text);
    assert_eq!(show(&stack, "/connections/prod").await, before);
    assert!(actions(&stack).await.contains(&"connection.reconnect_failed".to_owned()));
    stack.reconcile("grants").await;
    // The tokens nobody will use, and nothing else.
    assert_eq!(stack.org.script().revoked.len(), 1);

    stack.org.script().without_permission = false;
    stack.org.script().org_id = Some("00DSG00000DGEIr2AP");
    let asked = patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect(202).json();
    let page = log_in(&stack, &asked["redirect_uri"]).await;
    assert!(page.text.contains("00DSG00000DGEIr2AP"), "another org does not take its place: {}", page.text);
    assert_eq!(show(&stack, "/connections/prod").await, before);
}

#[tokio::test]
async fn a_second_link_voids_the_first_and_a_disconnect_voids_both() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    let first = patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect(202).json();
    let second = patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect(202).json();
    stack.browse(first["redirect_uri"].as_str().unwrap(), None).await.expect(410);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.browse(second["redirect_uri"].as_str().unwrap(), None).await.expect(410);
    patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect_error(409, "conflict");
}

#[tokio::test]
async fn what_is_not_live_waits_for_the_person_as_after_a_post() {
    let stack = Stack::start().await;
    let before = stack.connect("prod").await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.reconcile("grants").await;
    let asked = patch(&stack, "/connections/prod", json!({"reconnect": true})).await.expect(202).json();
    assert_eq!((&asked["id"], &asked["status"]), (&before["id"], &json!("connecting")));
    log_in(&stack, &asked["redirect_uri"]).await;
    assert_eq!(show(&stack, "/connections/prod").await["status"], json!("connected"));
}

async fn by_jwt(stack: &Stack) -> Value {
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202).json()
}

#[tokio::test]
async fn a_jwt_key_is_swapped_only_once_the_org_takes_it() {
    let stack = Stack::start().await;
    let made = by_jwt(&stack).await;
    let old = stack.token_of("worker").await;
    let key = SigningPair::generate("k2").pem;
    let new_key = json!({"jwt_private_key": key});
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "invalid assertion"));
    patch(&stack, "/authorizations/worker", new_key.clone()).await.expect_error(422, "authentication_failed");
    let wrong = json!({"client_id": "3MVG9other"});
    patch(&stack, "/authorizations/worker", wrong).await.expect_error(422, "authentication_failed");
    let no_key = json!({"jwt_private_key": "canary"});
    let refused = patch(&stack, "/authorizations/worker", no_key).await;
    assert!(!refused.text.contains("canary"));
    refused.expect_error(422, "validation_failed");
    assert_eq!(stack.token_of("worker").await, old, "what was stored still works");

    stack.advance(1);
    let swapped = patch(&stack, "/authorizations/worker", new_key).await.expect(200).json();
    assert_eq!((&swapped["id"], &swapped["status"]), (&made["id"], &json!("authorized")));
    assert_eq!(swapped["redirect_uri"], Value::Null);
    let new = stack.token_of("worker").await;
    assert_ne!(new, old);
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked, [old]);
    // Asserted again with the new key, also later on.
    stack.advance(3600);
    assert_ne!(stack.token_of("worker").await, new);
}

#[tokio::test]
async fn a_session_the_org_gives_again_is_not_revoked_with_the_old_grant() {
    let stack = Stack::start().await;
    stack.org.script().same_session = true;
    by_jwt(&stack).await;
    let old = stack.token_of("worker").await;
    let key = json!({"jwt_private_key": SigningPair::generate("k2").pem});
    patch(&stack, "/authorizations/worker", key).await.expect(200);
    stack.reconcile("grants").await;
    assert!(stack.org.script().revoked.is_empty());
    assert_eq!(stack.token_of("worker").await, old);
}

#[tokio::test]
async fn a_session_that_is_in_use_outlives_an_assertion_nothing_comes_of() {
    let stack = Stack::start().await;
    stack.org.script().same_session = true;
    by_jwt(&stack).await;
    stack.authorize("second").await;
    let old = stack.token_of("worker").await;
    let key = json!({"jwt_private_key": SigningPair::generate("k2").pem});
    stack.org.script().without_permission = true;
    patch(&stack, "/authorizations/worker", key.clone()).await.expect_error(422, "authentication_failed");
    stack.org.script().without_permission = false;

    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let mut both = key;
    both["developer_name"] = json!("third");
    let meanwhile = async {
        stack.org.asked("assertion", 3).await;
        patch(&stack, "/authorizations/second", json!({"developer_name": "third"})).await.expect(200);
        told.notify_one();
    };
    let (late, ()) = tokio::join!(patch(&stack, "/authorizations/worker", both), meanwhile);
    late.expect_error(409, "conflict");
    stack.reconcile("grants").await;
    assert!(stack.org.script().revoked.is_empty());
    assert_eq!(stack.token_of("worker").await, old);
}

#[tokio::test]
async fn a_log_in_by_jwt_does_not_undo_one_that_was_faster() {
    let stack = Stack::start().await;
    by_jwt(&stack).await;
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("assertion", 2).await;
        let key = json!({"jwt_private_key": SigningPair::generate("k2").pem});
        patch(&stack, "/authorizations/worker", key).await.expect(200);
        let token = stack.token_of("worker").await;
        told.notify_one();
        token
    };
    // This one asserts with the key that was stored before.
    let late = patch(&stack, "/authorizations/worker", json!({"username": USERNAME}));
    let (late, token) = tokio::join!(late, meanwhile);
    late.expect_error(409, "conflict");
    assert_eq!(stack.token_of("worker").await, token);
}

#[tokio::test]
async fn a_row_that_is_taken_up_keeps_its_alias_unless_another_is_asked_for() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    patch(&stack, "/authorizations/worker", json!({"alias": "nightly.batch"})).await.expect(200);
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    let again = stack.begin_authorization("worker").await;
    assert_eq!(again["alias"], json!("nightly.batch"));
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    let post = async |body: &Value| {
        stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(body)).await.expect(202).json()
    };
    assert_eq!(post(&body).await["alias"], json!("nightly.batch"));
    stack.token_of("nightly.batch").await;
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    let mut other = body;
    other["alias"] = json!("weekly");
    assert_eq!(post(&other).await["alias"], json!("weekly"));
}

#[tokio::test]
async fn an_alias_never_stands_in_the_way_of_an_id() {
    let stack = Stack::start().await;
    let worker = stack.authorize("worker").await;
    let id = worker["id"].as_str().unwrap();
    let token = stack.token_of("worker").await;
    stack.authorize("second").await;
    for alias in [id.to_owned(), id.replace('-', "_")] {
        let refused =
            patch(&stack, "/authorizations/second", json!({"alias": alias})).await.expect(422).json();
        assert_eq!(refused["problems"][0]["place"], json!("$.alias"), "{refused}");
    }
    // One that was given before this was refused.
    let app = stack.server.app();
    let found =
        credentials::store::find(app.store.reader(), stack.tenant.addon, Kind::Authorization, "second");
    let mut second = found.await.unwrap().unwrap();
    second.alias = Some(id.to_owned());
    let tx = app.store.begin().await.unwrap();
    credentials::store::save(&*tx, &second).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        show(&stack, &format!("/authorizations/{id}")).await["org"]["developer_name"],
        json!("worker")
    );
    assert_eq!(stack.token_of(id).await, token);
    assert_ne!(stack.token_of("second").await, token);
}

#[tokio::test]
async fn a_row_made_in_the_browser_needs_all_of_a_jwt() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let answer = patch(&stack, "/authorizations/worker", json!({"username": USERNAME})).await;
    let body = answer.expect(422).json();
    assert_eq!(body["problems"][0]["place"], json!("$.client_id"), "{body}");
    let all = json!({"client_id": CONSUMER_KEY, "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    let swapped = patch(&stack, "/authorizations/worker", all).await.expect(200).json();
    assert_eq!(swapped["connection_method"], json!("JWT"));
}

#[tokio::test]
async fn a_name_changes_and_nothing_else() {
    let stack = Stack::start().await;
    let before = stack.connect("prod").await;
    stack.connect("other").await;
    stack.advance(1);
    let renamed = patch(&stack, "/connections/prod", json!({"connection_name": "live-org"})).await;
    let renamed = renamed.expect(200).json();
    assert_eq!(renamed["id"], before["id"]);
    assert_eq!(renamed["org"]["connection_name"], json!("live-org"));
    assert_eq!((&renamed["status"], &renamed["org"]["id"]), (&before["status"], &before["org"]["id"]));
    stack.manager(Method::GET, "/connections/prod", None).await.expect(404);
    assert_eq!(show(&stack, "/connections/live_org").await["id"], before["id"]);
    // Its own name in another spelling is free, another's is not.
    let own = json!({"connection_name": "live_org"});
    patch(&stack, "/connections/live-org", own).await.expect(200);
    for taken in ["other", "live_org"] {
        let body = json!({"connection_name": taken});
        let answer = patch(
            &stack,
            if taken == "other" { "/connections/live_org" } else { "/connections/other" },
            body,
        );
        answer.await.expect_error(409, "conflict");
    }
    for (bad, rule) in [("ab", "3 to 30"), ("a__b", "follow each other")] {
        let body = json!({"connection_name": bad});
        let refused = patch(&stack, "/connections/other", body).await.expect(422).json();
        assert_eq!(refused["problems"][0]["place"], json!("$.connection_name"));
        assert!(refused["message"].as_str().unwrap().contains(rule), "{refused}");
    }
    assert!(actions(&stack).await.contains(&"connection.renamed".to_owned()));
}

#[tokio::test]
async fn developer_name_and_alias_change_together_or_apart() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.authorize("second").await;
    let token = stack.token_of("worker").await;
    let body = json!({"developer_name": "batch"});
    let renamed = patch(&stack, "/authorizations/worker", body).await.expect(200).json();
    assert_eq!(renamed["alias"], json!("applink:batch"), "a default alias follows");
    assert_eq!(stack.token_of("applink:batch").await, token);
    patch(&stack, "/authorizations/batch", json!({"alias": "nightly.batch"})).await.expect(200);
    assert_eq!(stack.token_of("nightly.batch").await, token);
    let body = json!({"developer_name": "renamed"});
    let renamed = patch(&stack, "/authorizations/batch", body).await.expect(200).json();
    assert_eq!(renamed["alias"], json!("nightly.batch"), "one that was chosen stays");
    for taken in
        [json!({"developer_name": "second"}), json!({"alias": "second"}), json!({"alias": "applink:second"})]
    {
        patch(&stack, "/authorizations/renamed", taken).await.expect_error(409, "conflict");
    }
    assert_eq!(show(&stack, "/authorizations/renamed").await, renamed);
}

#[tokio::test]
async fn a_name_and_a_log_in_change_in_one_step_or_not_at_all() {
    let stack = Stack::start().await;
    by_jwt(&stack).await;
    stack.authorize("second").await;
    let key = SigningPair::generate("k2").pem;
    let both = |name: &str| json!({"developer_name": name, "jwt_private_key": key});
    patch(&stack, "/authorizations/worker", both("second")).await.expect_error(409, "conflict");
    stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200);
    assert_eq!(stack.org.count("assertion"), 1, "the org is not asked for a name that can't be had");
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "invalid assertion"));
    patch(&stack, "/authorizations/worker", both("third")).await.expect(422);
    stack.manager(Method::GET, "/authorizations/third", None).await.expect(404);
    let done = patch(&stack, "/authorizations/worker", both("third")).await.expect(200).json();
    assert_eq!(done["org"]["developer_name"], json!("third"));
    stack.token_of("third").await;
}

#[tokio::test]
async fn a_patch_needs_something_to_change_a_right_and_a_row() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    let message = patch(&stack, "/connections/prod", json!({})).await.expect_error(422, "validation_failed");
    assert!(message.contains("connection_name") && message.contains("reconnect"), "{message}");
    let body = json!({"reconnect": true});
    stack.app(Method::PATCH, "/connections/prod", Some(&body)).await.expect_error(401, "unauthorized");
    patch(&stack, "/connections/nothing", body).await.expect_error(404, "record_not_found");
    let elsewhere = json!({"login_url": "https://evil.example"});
    let refused = patch(&stack, "/connections/prod", elsewhere).await.expect(422).json();
    assert_eq!(refused["problems"][0]["place"], json!("$.login_url"));
}

#[tokio::test]
async fn a_log_in_that_ends_after_the_add_on_began_to_go_leaves_nothing_live() {
    let stack = Stack::start().await;
    let mut all = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": SigningPair::generate("k").pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&all)).await.expect(202);
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 1);
    all.as_object_mut().unwrap().remove("developer_name");
    let (app, addon) = (stack.server.app(), stack.tenant.addon);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("assertion", 2).await;
        provision::destroy(app, &Actor::system(), &addon.to_string()).await.unwrap();
        told.notify_one();
    };
    let (late, ()) = tokio::join!(patch(&stack, "/authorizations/worker", all), meanwhile);
    late.expect_error(404, "record_not_found");
    assert_eq!(stack.org.script().revoked.len(), 2, "the session nobody will use");
    let found = credentials::store::list(app.store.reader(), addon, Kind::Authorization).await.unwrap();
    assert!(found.iter().all(|row| row.live().is_none()), "{found:?}");

    // In a browser it does not even begin.
    let addon = addons::store::find_addon_named(app.store.reader(), &addon.to_string()).await.unwrap();
    let manager = RequireManager { addon: addon.unwrap(), app: None, actor: Actor::system(), person: None };
    let wishes = Wishes { reconnect: true, ..Wishes::default() };
    let connection =
        credentials::store::find(app.store.reader(), manager.addon.id, Kind::Authorization, "worker");
    let mut row = connection.await.unwrap().unwrap();
    row.method = ConnectionMethod::OAuth;
    let tx = app.store.begin().await.unwrap();
    credentials::store::save(&*tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    let change = Change::check(app, Kind::Authorization, wishes).unwrap();
    let begun = oauth::again::change(app, manager, Kind::Authorization, "worker", change).await;
    assert_eq!(begun.unwrap_err().status(), StatusCode::NOT_FOUND);
}
