//! A spool file that can't be read whole, and a database that does not answer while a spool is replayed: nothing that was
//! acknowledged is thrown away, and refreshes go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use applink_api::time::Timestamp;
use applink_server::spool::outage::OutageConfig;
use applink_server::spool::{RefreshAnswer, Spool, SpoolConfig};
use applink_server::tokens::store as grants;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::Value;
use uuid::Uuid;

use crate::backends::{self, Backend};
use crate::stack::Stack;

const NAMES: [&str; 3] = ["first", "second", "third"];
/// Header, then a length before each record.
const HEADER: usize = 48;

/// A stack with three authorizations whose spool is in this folder.
async fn stack(folder: &Path) -> (Stack, [Uuid; 3]) {
    let spool = folder.to_owned();
    let stack = Stack::on(Backend::fresh().await, |config| config.spool.folder = Some(spool)).await;
    let mut ids = Vec::new();
    for name in NAMES {
        let credential: Value = stack.authorize(name).await;
        ids.push(credential["id"].as_str().expect("an id").parse().expect("a UUID"));
    }
    (stack, ids.try_into().expect("three"))
}

/// The version of each authorization's tokens.
async fn versions(stack: &Stack, credentials: [Uuid; 3]) -> Vec<i64> {
    let mut versions = Vec::new();
    for credential in credentials {
        let reader = stack.server.app().store.reader();
        let grant = grants::live(reader, stack.tenant.addon, credential).await.expect("a query");
        versions.push(grant.expect("a grant").token_version);
    }
    versions
}

/// A process that is gone left a refresh answer for each. Where they are.
async fn leave_answers(stack: &Stack, folder: &Path, credentials: [Uuid; 3]) -> PathBuf {
    let app = stack.server.app();
    let config = SpoolConfig { folder: Some(folder.to_owned()), limit: 1024 * 1024 };
    let keys = app.vault.derived("applink spool v1").await.expect("keys");
    let gone = Spool::open(&config, OutageConfig::default(), keys, app.clock.clone(), app.entropy.clone());
    let gone = gone.expect("a spool");
    for credential in credentials {
        let grant = grants::live(app.store.reader(), stack.tenant.addon, credential).await.expect("a query");
        let grant = grant.expect("a grant");
        gone.keep_answer(RefreshAnswer {
            grant: grant.id.0,
            addon: stack.tenant.addon,
            credential,
            replaced: grant.token_version,
            at: app.clock.now(),
            expires_at: Timestamp::from_micros(grant.expires_at).plus(Duration::from_secs(60)),
            access_token: format!("canary-late-{credential}").into(),
            refresh_token: None,
            instance_url: grant.instance_url.clone(),
        });
    }
    folder.join("1.spool")
}

/// Changes a byte in the middle of a record; the whole file.
fn damage(path: &Path, record: usize) -> Vec<u8> {
    let mut bytes = std::fs::read(path).expect("the file");
    let mut begin = HEADER;
    let length = |bytes: &[u8], begin: usize| {
        let length: [u8; 4] = bytes[begin..begin + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(length)).expect("a length")
    };
    for _ in 0..record {
        begin += 4 + length(&bytes, begin);
    }
    let middle = begin + 4 + length(&bytes, begin) / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, &bytes).expect("the file");
    bytes
}

/// What is kept under another name.
fn kept_aside(folder: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let aside = files.filter(|path| path.to_string_lossy().contains("1.spool.damaged-"));
    aside.map(|path| std::fs::read(path).expect("the file")).collect()
}

/// Each version is one further, but that of the damaged answer.
fn but(damaged: usize, before: &[i64]) -> Vec<i64> {
    before.iter().enumerate().map(|(index, version)| version + i64::from(index != damaged)).collect()
}

#[tokio::test]
async fn a_damaged_spool_is_replayed_as_far_as_it_can_be_read_and_kept() {
    for damaged in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let (stack, credentials) = stack(folder.path()).await;
        let before = versions(&stack, credentials).await;
        let path = leave_answers(&stack, folder.path(), credentials).await;
        let bytes = damage(&path, damaged);
        stack.reconcile("spool").await;
        assert_eq!(versions(&stack, credentials).await, but(damaged, &before), "record {damaged}");
        assert!(stack.server.app().spool.is_empty() && !path.exists());
        assert_eq!(kept_aside(folder.path()), [bytes], "record {damaged}");
        stack.advance(3600);
        for name in NAMES {
            stack.token_of(name).await;
        }
    }
}

#[tokio::test]
async fn a_spool_whose_first_record_is_damaged_is_kept_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (stack, credentials) = stack(folder.path()).await;
    let before = versions(&stack, credentials).await;
    let path = leave_answers(&stack, folder.path(), credentials).await;
    let bytes = damage(&path, 0);
    let Stack { server, org, clock, tenant, backend, .. } = stack;
    server.stop().await;
    let (time, _hand) = applink_api::clock::Clock::mock(clock.now());
    let mut config = Stack::config(&backend, &org, time);
    config.entropy = crate::stack::seeded(1234);
    config.spool.folder = Some(folder.path().to_owned());
    let server = applink_server::Server::start(config).await.unwrap();
    assert!(server.app().spool.is_empty(), "replayed at the start");
    assert_eq!(kept_aside(folder.path()), [bytes]);
    for (credential, version) in credentials.into_iter().zip(but(0, &before)) {
        let grant = grants::live(server.app().store.reader(), tenant.addon, credential).await.unwrap();
        assert_eq!(grant.unwrap().token_version, version);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_table_that_is_locked_ends_a_replay_in_time() {
    if backends::server().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (stack, credentials) = stack(folder.path()).await;
    let before = versions(&stack, credentials).await;
    leave_answers(&stack, folder.path(), credentials).await;
    let admin = sea_orm::Database::connect(stack.backend.text()).await.unwrap();
    for table in ["grants", "spool_progress"] {
        let locking = admin.begin().await.unwrap();
        locking.execute_unprepared(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await.unwrap();
        let spool = applink_server::reconcilers::ALL.iter().find(|one| one.name == "spool").unwrap();
        let run = tokio::time::timeout(Duration::from_secs(15), spool.run(stack.server.app()));
        run.await.expect("in time").expect_err("the database does not answer");
        locking.rollback().await.unwrap();
    }
    stack.reconcile("spool").await;
    assert_eq!(versions(&stack, credentials).await, but(3, &before));
    assert!(stack.server.app().spool.is_empty() && !stack.server.app().spool.outage().is_on());
}
