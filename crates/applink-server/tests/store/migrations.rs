//! The schema comes about once, whoever starts first, and a newer one is left alone.

use applink_api::clock::Clock;
use applink_server::db::{Database, OpenError};
use sea_orm::ConnectionTrait as _;

use crate::backends::Backend;
use crate::support::START;

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let backend = Backend::fresh().await;
    let (clock, _hand) = Clock::mock(START);
    let database = Database::open(&backend.url, clock.clone()).await.unwrap();
    let tx = database.begin().await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_future', 0)";
    tx.execute_unprepared(newer).await.unwrap();
    tx.commit().await.unwrap();
    database.close().await;
    drop(database);
    let error = Database::open(&backend.url, clock).await.unwrap_err();
    assert!(matches!(&error, OpenError::Newer { unknown } if unknown.contains("future")), "{error:?}");
    assert!(error.to_string().contains("newer AppLink"), "{error}");
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_once() {
    let backend = Backend::fresh().await;
    let (clock, _hand) = Clock::mock(START);
    if backend.is_sqlite {
        let first = Database::open(&backend.url, clock.clone()).await.unwrap();
        let error = Database::open(&backend.url, clock).await.unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        first.close().await;
        return;
    }
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (url, clock) = (backend.url.clone(), clock.clone());
        starts.spawn(async move { Database::open(&url, clock).await.map(drop) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
}

#[tokio::test]
async fn an_unusable_url_says_so_without_its_password() {
    for url in [
        "mysql://u:canary@h/d",
        "postgres://u:canary@h:port/d",
        "sqlite::memory:",
        "sqlite:///no/such/folder/x.db",
    ] {
        let (clock, _hand) = Clock::mock(START);
        let text = match url.parse() {
            Ok(url) => Database::open(&url, clock).await.unwrap_err().to_string(),
            Err(error) => OpenError::to_string(&error),
        };
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.is_empty());
    }
}
