//! Starting, and refusing to start.

use applink_server::vault::{MasterKey, MasterKeys, store};
use applink_server::{Config, Server, ServerError};

use sea_orm::EntityTrait as _;

use crate::backends::Backend;
use crate::stack::{MASTER_KEY, Stack};

fn config(backend: &Backend) -> Config {
    Config::local(backend.url.clone(), MasterKey::from_bytes(MASTER_KEY))
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_setting_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let backend = Backend::fresh().await;
    let mut config = config(&backend);
    config.bind = taken.local_addr().unwrap();
    let error = Server::start(config).await.unwrap_err();
    assert!(error.is_port_taken());
    let text = error.to_string();
    assert!(
        text.contains(&taken.local_addr().unwrap().to_string()) && text.contains("APPLINK_BIND"),
        "{text}"
    );
}

#[tokio::test]
async fn another_master_key_is_refused_with_both_ids_and_nothing_is_written() {
    let stack = Stack::start().await;
    stack.server.stop().await;
    let before = written(&stack.backend).await;
    let mut other = config(&stack.backend);
    let (right, wrong) = (MasterKey::from_bytes(MASTER_KEY), MasterKey::from_bytes([9; 32]));
    other.master_keys = MasterKeys::new(wrong.clone(), Vec::new());
    let error = Server::start(other.clone()).await.unwrap_err();
    assert!(matches!(error, ServerError::Vault(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(right.id()) && text.contains(wrong.id()), "{text}");
    assert_eq!(written(&stack.backend).await, before, "nothing was written");
    other.master_keys = MasterKeys::new(wrong, vec![right]);
    Server::start(other).await.expect("the old key is given beside the new one").stop().await;
}

/// What a start writes first.
async fn written(backend: &Backend) -> (usize, usize) {
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::stack::START);
    let database = applink_server::db::Database::open(&backend.url, clock).await.unwrap();
    let processes = store::processes::Entity::find().all(database.reader()).await.unwrap();
    let keys = store::Entity::find().all(database.reader()).await.unwrap();
    database.close().await;
    (processes.len(), keys.len())
}

#[tokio::test]
async fn what_was_connected_is_there_after_a_restart() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    let path = stack.path("/authorizations/worker");
    let token = stack.tenant.token.clone();
    let (org, backend) = (stack.org.clone(), stack.backend);
    stack.server.stop().await;
    let mut config = config(&backend);
    config.org_hosts = config.org_hosts.list(org.url()).unwrap();
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::stack::START);
    config.clock = clock;
    let server = Server::start(config).await.unwrap();
    let url = format!("{}{path}", server.url());
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_second_process_on_one_sqlite_file_is_refused_by_name() {
    let backend = Backend::fresh().await;
    if !backend.is_sqlite {
        let (one, two) =
            (Server::start(config(&backend)).await.unwrap(), Server::start(config(&backend)).await.unwrap());
        one.stop().await;
        two.stop().await;
        return;
    }
    let running = Server::start(config(&backend)).await.unwrap();
    let text = Server::start(config(&backend)).await.unwrap_err().to_string();
    assert!(text.contains("applink.db") && text.contains(&std::process::id().to_string()), "{text}");
    running.stop().await;
    Server::start(config(&backend)).await.unwrap().stop().await;
}
