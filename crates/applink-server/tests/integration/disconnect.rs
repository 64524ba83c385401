//! Removing what was connected: revoked at the org, erased here, listed for a while.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify;

use crate::fake_org::Reply;
use crate::stack::Stack;

#[tokio::test]
async fn a_disconnect_revokes_erases_and_stays_listed_for_thirty_days() {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    let gone = stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202).json();
    assert_eq!(gone["status"], json!("disconnecting"));
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 1);
    assert!(stack.org.script().revoked[0].starts_with("canary-refresh"));
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("disconnected"));
    assert_eq!(shown["error"], json!(null));

    stack.advance(30 * 24 * 3600 - 10);
    stack.reconcile("credentials").await;
    stack.manager(Method::GET, "/connections/prod", None).await.expect(200);
    stack.advance(20);
    stack.reconcile("credentials").await;
    stack.manager(Method::GET, "/connections/prod", None).await.expect_error(404, "record_not_found");
    assert_ne!(stack.connect("prod").await["id"], connected["id"]);
}

#[tokio::test]
async fn the_name_of_a_disconnected_row_is_taken_up_under_the_same_id() {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    let body = json!({"connection_name": "prod"});
    let early = stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await;
    early.expect_error(409, "conflict");
    stack.reconcile("grants").await;
    let again = stack.connect("prod").await;
    assert_eq!((&again["id"], &again["status"]), (&connected["id"], &json!("connected")));
}

#[tokio::test]
async fn an_authorization_gives_no_token_from_the_moment_it_is_removed() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.token_of("worker").await;
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect_error(422, "reauth_required");
}

#[tokio::test]
async fn a_revocation_that_fails_is_tried_again() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.org.script().replies.push_back(Reply::Fail);
    stack.reconcile("grants").await;
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("disconnecting"));
    stack.advance(3);
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 1);
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("disconnected"));
}

#[tokio::test]
async fn removing_what_is_not_there_is_404() {
    let stack = Stack::start().await;
    for path in ["/connections/nothing", "/authorizations/nothing"] {
        stack.manager(Method::DELETE, path, None).await.expect_error(404, "record_not_found");
    }
}

#[tokio::test]
async fn slow_orgs_hold_up_no_other_revocation() {
    let stack = Stack::start().await;
    for name in ["one", "two", "three"] {
        stack.connect(name).await;
        stack.manager(Method::DELETE, &format!("/connections/{name}"), None).await.expect(202);
    }
    let told = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    stack.org.script().replies.extend(told.iter().cloned().map(Reply::Wait));
    let all_asked = async {
        stack.org.asked("revoke", 3).await;
        told.iter().for_each(|told| told.notify_one());
    };
    tokio::join!(stack.reconcile("grants"), all_asked);
    assert_eq!(stack.org.script().revoked.len(), 3);
}

#[tokio::test]
async fn a_revocation_that_outlived_its_lease_leaves_the_grant_to_the_next_holder() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let next_holder = async {
        stack.org.asked("revoke", 1).await;
        stack.advance(61);
        stack.reconcile("grants").await;
        told.notify_one();
    };
    tokio::join!(stack.reconcile("grants"), next_holder);
    let app = stack.server.app();
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100);
    let erased = rows.await.unwrap().iter().filter(|row| row.action == "grant.erased").count();
    assert_eq!(erased, 1);
}

/// Promise 56: after a disconnect nothing of the grant is left, sealed or not, once the file is packed; the row stays,
/// and the audit log says what happened.
#[tokio::test]
async fn a_disconnect_leaves_no_secret_in_the_database_file() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    let grants = sealed_grants(&stack).await;
    assert_eq!(grants.len(), 4, "an access and a refresh token for each");
    for path in ["/connections/prod", "/authorizations/worker"] {
        stack.manager(Method::DELETE, path, None).await;
    }
    stack.reconcile("grants").await;
    stack.reconcile("credentials").await;
    assert!(sealed_grants(&stack).await.is_empty(), "the ciphertext is gone");
    for path in ["/connections/prod", "/authorizations/worker"] {
        let shown = stack.manager(Method::GET, path, None).await.expect(200).json();
        assert_eq!(shown["status"], json!("disconnected"));
    }
    let app = stack.server.app();
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100);
    let erased = rows.await.unwrap().iter().filter(|row| row.action == "grant.erased").count();
    assert_eq!(erased, 2, "the tombstones");
    if !stack.backend.is_sqlite {
        return;
    }
    let tokens = stack.org.script().secrets.clone();
    let folder = stack.backend.folder().to_owned();
    stack.server.stop().await;
    let file = std::fs::read(folder.join("applink.db")).unwrap();
    let packed = packed(&folder.join("applink.db")).await;
    for (what, content) in [("file", &file), ("packed file", &packed)] {
        let holds = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
        assert!(tokens.iter().all(|token| !holds(token.as_bytes())), "a token is in the {what}");
    }
    let holds = |needle: &[u8]| packed.windows(needle.len()).any(|window| window == needle);
    assert!(grants.iter().all(|sealed| !holds(sealed)), "a ciphertext is in the packed file");
}

/// Every sealed value of every grant.
async fn sealed_grants(stack: &Stack) -> Vec<Vec<u8>> {
    use sea_orm::{ConnectionTrait as _, Statement};
    let reader = stack.server.app().store.reader();
    let sql = "SELECT access_token, refresh_token FROM grants";
    let statement = Statement::from_string(reader.get_database_backend(), sql);
    let rows = reader.query_all_raw(statement).await.unwrap();
    let columns = ["access_token", "refresh_token"];
    let values = rows.iter().flat_map(|row| {
        columns.map(|column| row.try_get::<Option<Vec<u8>>>("", column).unwrap().unwrap_or_default())
    });
    values.filter(|value| !value.is_empty()).collect()
}

/// The file's content after VACUUM.
async fn packed(path: &std::path::Path) -> Vec<u8> {
    use sea_orm::ConnectionTrait as _;
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let connection = sea_orm::Database::connect(url).await.unwrap();
    connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    connection.execute_unprepared("VACUUM").await.unwrap();
    connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    connection.close().await.unwrap();
    std::fs::read(path).unwrap()
}
