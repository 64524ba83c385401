//! Secrets planted everywhere are found nowhere: not in logs at trace level, not in the database or its WAL, not in
//! answers that should not hold them.

use applink_server::config::Confirm;
use reqwest::Method;
use serde_json::json;

use crate::fake_org::{CONSUMER_KEY, CONSUMER_SECRET, Reply, SigningPair, USERNAME};
use crate::logs;
use crate::stack::{OPERATOR_KEY, Stack};

/// Everything a stack does with secrets. Returns them all.
async fn use_every_secret(stack: &Stack) -> Vec<String> {
    let begun = stack.begin_connection("prod").await;
    let link = begun["redirect_uri"].as_str().unwrap().to_owned();
    let (callback, cookie) = stack.log_in(&link).await;
    let page = stack.browse(&callback, Some(&cookie)).await.expect(200);
    let ticket =
        page.text.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let confirm = format!("{}/oauth/confirm", stack.server.url());
    stack.submit(&confirm, Some(&cookie), &[("ticket", &ticket), ("decision", "connect")]).await.expect(200);

    let key = SigningPair::generate("k");
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": key.pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
    stack.token_of("worker").await;
    stack.advance(3600);
    stack.token_of("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "canary described"));
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    stack
        .manager(Method::POST, "/connections/salesforce/jwt", Some(&json!({"jwt_private_key": 7})))
        .await
        .expect(422);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.reconcile("grants").await;

    let mut secrets = stack.org.script().secrets.clone();
    let pem_line = key.pem.lines().nth(3).unwrap().trim().to_owned();
    let state = callback.split("state=").nth(1).unwrap().to_owned();
    let cookie = cookie.split('=').nth(1).unwrap().to_owned();
    let one_time = link.rsplit('/').next().unwrap().to_owned();
    secrets.extend([pem_line, state, cookie, one_time, ticket]);
    secrets.extend([stack.tenant.token.clone(), stack.tenant.api_key.clone()]);
    secrets.extend([CONSUMER_SECRET.to_owned(), OPERATOR_KEY.to_owned()]);
    secrets
}

#[tokio::test]
async fn no_secret_is_in_the_logs_or_in_the_database() {
    logs::record();
    let stack = Stack::with(|config| config.oauth.confirm = Confirm::Always).await;
    let secrets = use_every_secret(&stack).await;
    assert!(secrets.len() > 12, "{}", secrets.len());
    let folder = stack.backend.folder().to_owned();
    let (while_running, is_sqlite) = (files(&folder), stack.backend.is_sqlite);
    stack.server.stop().await;

    let logs = logs::recorded();
    assert!(
        logs.contains("request") && logs.lines().count() > 1000,
        "{} lines were captured",
        logs.lines().count()
    );
    let deep = logs.lines().find(|line| line.contains("a token refresh failed")).expect("a refused refresh");
    assert!(deep.contains("request_id="), "a line from a task behind a request says which: {deep}");
    for secret in &secrets {
        assert!(secret.len() >= 8);
        assert!(
            !logs.contains(secret.as_str()),
            "{} is in the logs: {}",
            kind(secret),
            line_with(&logs, secret)
        );
    }
    if is_sqlite {
        assert!(while_running.iter().any(|(name, _)| name.ends_with("-wal")), "{:?}", names(&while_running));
    }
    for (name, content) in while_running.into_iter().chain(files(&folder)) {
        for secret in &secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} is in {name}", kind(secret));
        }
    }
}

fn kind(secret: &str) -> &str {
    secret.split('-').nth(1).unwrap_or("a secret")
}

fn line_with(logs: &str, secret: &str) -> String {
    logs.lines().find(|line| line.contains(secret)).unwrap_or_default().chars().take(200).collect()
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}
