//! Master and data keys are rotated while everything is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_server::audit::verify::verify;
use applink_server::credentials::store as credentials;
use applink_server::db::claim::Claim;
use applink_server::tokens::store as grants;
use applink_server::vault::rotation::{GONE_AFTER, SETTLE};
use applink_server::vault::{KeySource, MasterKey, MasterKeys, Place, rotations, store};
use applink_server::{Server, ServerError};
use applink_testkit::figures::{Figure, Tier};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _};
use serde_json::{Value, json};

use crate::stack::{MASTER_KEY, OPERATOR_KEY, Stack, seeded};

fn old() -> MasterKey {
    MasterKey::from_bytes(MASTER_KEY)
}

fn new() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

async fn rotate(stack: &Stack, kind: &str) -> Value {
    let body = json!({"kind": kind});
    stack.operator(Method::POST, "/operator/vault/rotations", Some(&body)).await.expect(202).json()
}

async fn status(stack: &Stack) -> Value {
    stack.operator(Method::GET, "/operator/vault", None).await.expect(200).json()
}

/// Runs the reconciler until the newest rotation is over.
async fn finish(stack: &Stack) -> Value {
    for _ in 0..100 {
        stack.reconcile("vault").await;
        let status = status(stack).await;
        if status["rotations"][0]["phase"] == json!("done") {
            return status;
        }
        stack.clock.advance(SETTLE + Duration::from_secs(1));
    }
    panic!("the rotation does not end");
}

/// Everything in the database, as bytes.
async fn database_holds(stack: &Stack, bytes: &[u8]) -> bool {
    let app = stack.server.app();
    if stack.backend.is_sqlite {
        let tx_free = app.store.database();
        let writer = tx_free.begin().await.unwrap();
        writer.commit().await.unwrap();
        let folder = std::fs::read_dir(stack.backend.folder()).unwrap().flatten();
        return folder.filter(|entry| entry.path().is_file()).any(|entry| {
            std::fs::read(entry.path()).unwrap().windows(bytes.len()).any(|part| part == bytes)
        });
    }
    // Every column of bytes of every table.
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let columns = "SELECT table_name, column_name FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND data_type = 'bytea'";
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, columns);
    for row in app.store.reader().query_all_raw(statement).await.unwrap() {
        let (table, column): (String, String) =
            (row.try_get("", "table_name").unwrap(), row.try_get("", "column_name").unwrap());
        let sql = format!(
            "SELECT COUNT(*) AS found FROM {table} WHERE position('{hex}' in encode({column}, 'hex')) > 0"
        );
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        let found = app.store.reader().query_one_raw(statement).await.unwrap().unwrap();
        if found.try_get::<i64>("", "found").unwrap() > 0 {
            return true;
        }
    }
    false
}

async fn checkpoint(stack: &Stack) {
    if stack.backend.is_sqlite {
        let database = stack.server.app().store.database();
        database.vacuum().await.unwrap();
    }
}

#[tokio::test]
async fn data_keys_are_rotated_and_the_old_ones_are_nowhere_afterwards() {
    let stack = Stack::start().await;
    for name in ["one", "two", "three"] {
        stack.authorize(name).await;
    }
    stack.begin_connection("pending").await;
    let app = stack.server.app();
    let before = store::Entity::find().all(app.store.reader()).await.unwrap();
    assert!(
        database_holds(&stack, before[0].id.0.as_bytes()).await
            || database_holds(&stack, before[1].id.0.as_bytes()).await
    );
    let begun = rotate(&stack, "data").await;
    assert_eq!(begun["rotations"][0]["phase"], json!("replacing"));
    let body = json!({"kind": "data"});
    let again = stack.operator(Method::POST, "/operator/vault/rotations", Some(&body)).await;
    again.expect_error(409, "conflict");
    let status = finish(&stack).await;
    let after = store::Entity::find().all(app.store.reader()).await.unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|key| key.active && before.iter().all(|old| old.id != key.id)));
    assert_eq!(status["former_data_keys"], json!(0));
    assert_eq!(status["rotations"][0]["damaged"], json!(0));
    // Three grants with two tokens each, and four verifiers or fewer.
    assert!(status["rotations"][0]["done"].as_u64().unwrap() >= 7, "{status}");
    checkpoint(&stack).await;
    for key in &before {
        assert!(!database_holds(&stack, key.id.0.as_bytes()).await, "a column is missing in vault/sealed.rs");
    }
    stack.token_of("one").await;
    stack.advance(3600);
    stack.token_of("two").await;
}

/// Bytes that are not sealed under a data key.
const NOT_SEALED: [(&str, &str); 4] = [
    ("data_keys", "sealed"),
    ("publication_deploys", "document"),
    ("publication_deploys", "package"),
    ("vault_kept_keys", "sealed"),
];

#[tokio::test]
async fn every_column_of_bytes_is_known_to_the_rotation() {
    let stack = Stack::start().await;
    let sql = if stack.backend.is_sqlite {
        "SELECT t.name AS table_name, c.name AS column_name FROM sqlite_master t, pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND lower(c.type) LIKE '%blob%'"
    } else {
        "SELECT table_name, column_name FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type = 'bytea'"
    };
    let reader = stack.server.app().store.reader();
    let statement = sea_orm::Statement::from_string(reader.get_database_backend(), sql);
    let mut found = Vec::new();
    for row in reader.query_all_raw(statement).await.unwrap() {
        let (table, column): (String, String) =
            (row.try_get("", "table_name").unwrap(), row.try_get("", "column_name").unwrap());
        found.push((table, column));
    }
    let known: Vec<_> = applink_server::vault::sealed_columns().chain(NOT_SEALED).collect();
    for (table, column) in &found {
        let is_known = known.contains(&(table.as_str(), column.as_str()));
        assert!(
            is_known,
            "{table}.{column}: is it sealed? Then it belongs into vault/sealed.rs, else into NOT_SEALED"
        );
    }
    for (table, column) in known {
        let exists = found.iter().any(|(t, c)| t == table && c == column);
        assert!(exists, "{table}.{column} is not there, or holds no bytes");
    }
}

#[tokio::test]
async fn a_new_master_key_takes_over_and_the_old_one_can_be_removed() {
    let stack = Stack::with(|config| config.master_keys = MasterKeys::new(new(), vec![old()])).await;
    // The database began with the preferred key, so this one began with the new one: rotate to the old and back.
    stack.authorize("worker").await;
    let refused =
        stack.operator(Method::POST, "/operator/vault/rotations", Some(&json!({"kind": "master"}))).await;
    let message = refused.expect_error(409, "conflict");
    assert!(message.contains("no other master key"), "{message}");
    let (org, backend, now) = (stack.org.clone(), stack.backend, stack.clock.now());
    stack.server.stop().await;

    let (clock, hand) = Clock::mock(now);
    let mut config = Stack::config(&backend, &org, clock);
    config.master_keys = MasterKeys::new(old(), vec![new()]);
    config.entropy = seeded(77);
    let server = Server::start(config).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/operator/vault", server.url());
    let rotate =
        http.post(format!("{url}/rotations")).bearer_auth(OPERATOR_KEY).json(&json!({"kind": "master"}));
    assert_eq!(rotate.send().await.unwrap().status().as_u16(), 202);
    let run = applink_server::reconcilers::ALL.iter().find(|one| one.name == "vault").unwrap();
    let mut last = Value::Null;
    for _ in 0..10 {
        run.run(server.app()).await.unwrap();
        last = http.get(&url).bearer_auth(OPERATOR_KEY).send().await.unwrap().json().await.unwrap();
        hand.advance(SETTLE + Duration::from_secs(1));
    }
    assert_eq!(last["rotations"][0]["phase"], json!("done"), "{last}");
    assert_eq!(last["master_key_id"], json!(old().id()));
    let seals = |id: &str| {
        let all = last["master_keys"].as_array().unwrap();
        all.iter().find(|key| key["id"] == json!(id)).unwrap()["seals"].as_u64().unwrap()
    };
    assert_eq!(seals(new().id()), 0, "it may be removed");
    // Two data keys, and what either master key left behind for the ledger and the spool.
    assert_eq!(seals(old().id()), 2 + 4);
    let after = hand.now();
    server.stop().await;

    let (clock, _hand) = Clock::mock(after);
    let mut config = Stack::config(&backend, &org, clock);
    config.entropy = seeded(78);
    let server = Server::start(config).await.expect("the old master key alone is enough");
    let app = server.app();
    let report = verify(app.store.reader(), app.store.journal().keys(), None).await.unwrap();
    assert_eq!(report.findings, [], "what the removed key signed still verifies");
    assert!(report.segments >= 2);
    server.stop().await;

    let (clock, _hand) = Clock::mock(after);
    let mut config = Stack::config(&backend, &org, clock);
    config.master_keys = MasterKeys::new(new(), Vec::new());
    let refused = Server::start(config).await.unwrap_err();
    assert!(matches!(refused, ServerError::Vault(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains(old().id()) && text.contains(new().id()), "{text}");
}

#[tokio::test]
async fn a_key_file_is_read_again_while_the_server_runs() {
    use base64::Engine as _;
    let encode = |bytes: [u8; 32]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("master.key");
    std::fs::write(&file, encode(MASTER_KEY)).unwrap();
    let source = file.clone();
    let stack = Stack::with(move |config| config.key_source = KeySource::File(source)).await;
    stack.authorize("worker").await;
    std::fs::write(&file, format!("{}\n{}\n", encode([9; 32]), encode(MASTER_KEY))).unwrap();
    stack.reconcile("vault").await;
    rotate(&stack, "master").await;
    let status = finish(&stack).await;
    assert_eq!(status["master_key_id"], json!(new().id()));
    stack.token_of("worker").await;
    // A file that became unreadable stops nobody: the process still says that it lives, and rotations go on.
    for broken in ["nonsense", ""] {
        std::fs::write(&file, broken).unwrap();
        stack.clock.advance(GONE_AFTER + Duration::from_secs(1));
        stack.reconcile("vault").await;
        let alive = self::status(&stack).await;
        assert_eq!(alive["processes"].as_array().unwrap().len(), 1, "{alive}");
        stack.token_of("worker").await;
    }
    std::fs::remove_file(&file).unwrap();
    rotate(&stack, "data").await;
    finish(&stack).await;
}

#[tokio::test]
async fn a_rotation_waits_for_every_process_and_they_agree() {
    let stack = Stack::start().await;
    if stack.backend.is_sqlite {
        return;
    }
    stack.authorize("worker").await;
    let (clock, _hand) = Clock::mock(stack.clock.now());
    let mut config = Stack::config(&stack.backend, &stack.org, clock);
    config.master_keys = MasterKeys::new(new(), vec![old()]);
    config.entropy = seeded(100);
    let second = Server::start(config).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/operator/vault", second.url());
    let rotate =
        http.post(format!("{url}/rotations")).bearer_auth(OPERATOR_KEY).json(&json!({"kind": "master"}));
    assert_eq!(rotate.send().await.unwrap().status().as_u16(), 202);
    let run = applink_server::reconcilers::ALL.iter().find(|one| one.name == "vault").unwrap();
    run.run(second.app()).await.unwrap();
    let status: Value = http.get(&url).bearer_auth(OPERATOR_KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        status["rotations"][0]["phase"],
        json!("waiting"),
        "the first process lacks the new key: {status}"
    );
    assert_eq!(status["master_key_id"], json!(old().id()));
    assert_eq!(status["processes"].as_array().unwrap().len(), 2, "{status}");
    stack.token_of("worker").await;
    stack.server.stop().await;
    _hand.advance(Duration::from_secs(3));
    run.run(second.app()).await.unwrap();
    let status: Value = http.get(&url).bearer_auth(OPERATOR_KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["master_key_id"], json!(new().id()), "{status}");
    second.stop().await;
}

/// Hands out without a pause until told to stop; how often, and what was answered instead.
async fn load(stack: Arc<Stack>, names: Arc<Vec<String>>, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut count, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let path = format!("/authorizations/{}", names[count % names.len()]);
        let answer = stack.app(Method::GET, &path, None).await;
        if !answer.status.is_success() {
            failed.push(format!("{} at {}: {}", answer.status, stack.clock.now(), answer.text));
        }
        count += 1;
    }
    (count, failed)
}

/// Authorizations that live for days, straight into the database.
async fn plant(stack: &Stack, count: usize) -> Vec<String> {
    stack.authorize("first").await;
    let app = stack.server.app();
    let credential = credentials::Entity::find().one(app.store.reader()).await.unwrap().unwrap();
    let grant = grants::Entity::find().one(app.store.reader()).await.unwrap().unwrap();
    let addon = stack.tenant.addon;
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for number in 0..count {
        let name = format!("user{number}");
        let (row, of) = (app.entropy.uuid(), app.entropy.uuid());
        let place = |column| Place { addon, table: grants::TABLE, row, column };
        let mut credential = credential.clone();
        (credential.id, credential.name, credential.name_key) = (of.into(), name.clone(), name.clone());
        (credential.alias, credential.alias_key) = (None, None);
        let mut grant = grant.clone();
        (grant.id, grant.credential_id) = (row.into(), of.into());
        grant.expires_at += 10 * 86_400 * 1_000_000;
        grant.access_token = Some(app.vault.seal(place("access_token"), &"canary".into()).await.unwrap());
        grant.refresh_token = Some(app.vault.seal(place("refresh_token"), &"canary".into()).await.unwrap());
        rows.push((credential, grant));
        names.push(name);
    }
    let tx = app.store.begin().await.unwrap();
    for (credential, grant) in rows {
        let insert = credentials::Entity::insert(credential.into_active_model());
        insert.exec_without_returning(&*tx).await.unwrap();
        grants::Entity::insert(grant.into_active_model()).exec_without_returning(&*tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    names
}

#[tokio::test]
async fn every_row_is_sealed_anew_under_load_and_no_hand_out_fails() {
    let rows = Tier::current().pick(50, 2000);
    let stack = Stack::with(|config| config.limits.run_time_per_second = 0).await;
    let names = Arc::new(plant(&stack, rows).await);
    let stack = Arc::new(stack);
    let app = stack.server.app().clone();
    let before = store::Entity::find().all(app.store.reader()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(Arc::clone(&stack), Arc::clone(&names), Arc::clone(&stop))))
        .collect();
    rotate(&stack, "data").await;
    let status = finish(&stack).await;
    stop.store(true, Ordering::SeqCst);
    let (mut handed_out, mut failed) = (0, Vec::new());
    for load in loads {
        let (count, bad) = load.await.unwrap();
        handed_out += count;
        failed.extend(bad);
    }
    let mut left = 0;
    for grant in grants::Entity::find().all(app.store.reader()).await.unwrap() {
        for sealed in [grant.access_token, grant.refresh_token].into_iter().flatten() {
            let sea_orm::Value::Bytes(Some(bytes)) = sealed.into() else { panic!("bytes") };
            left += usize::from(before.iter().any(|key| bytes[1..17] == *key.id.0.as_bytes()));
        }
    }
    let resealed = status["rotations"][0]["done"].as_u64().unwrap();
    Figure {
        promise: "37",
        what: format!("data keys rotated during {handed_out} hand-outs, with {rows} authorizations"),
        measured: format!(
            "{} errors {failed:?}, {resealed} values sealed anew, {left} under a former key",
            failed.len()
        ),
        promised: "0 errors, 100 % sealed anew".to_owned(),
        kept: failed.is_empty() && left == 0 && resealed >= 2 * rows as u64 && handed_out > 0,
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn keys_are_rotated_under_load_without_an_error_and_resumed_by_another_process() {
    let stack = Arc::new(
        Stack::with(|config| {
            config.master_keys = MasterKeys::new(old(), vec![new()]);
            config.limits.run_time_per_second = 0;
        })
        .await,
    );
    stack.org.script().rotate = true;
    for name in ["one", "two", "three"] {
        stack.authorize(name).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let names = Arc::new(["one", "two", "three"].map(str::to_owned).to_vec());
    let loads: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(Arc::clone(&stack), Arc::clone(&names), Arc::clone(&stop))))
        .collect();
    rotate(&stack, "data").await;
    let app = stack.server.app();
    // One step only, and then the process is as good as killed: the lease runs out, another goes on.
    applink_server::vault::rotation::step(&app.store, &app.vault).await.unwrap();
    let half = rotations::under_way(app.store.reader()).await.unwrap().unwrap();
    assert_ne!(half.phase, "done");
    // Another took it up and was killed there and then: nobody else has it until the lease is over.
    let claim = Claim { owner: "killed", lease: Duration::from_secs(30), limit: 1 };
    let held: Vec<rotations::Model> = app.store.database().claim_due(rotations::DUE, claim).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(applink_server::vault::rotation::step(&app.store, &app.vault).await.unwrap(), None);
    for round in 0..6 {
        stack.advance(1200);
        stack.reconcile("vault").await;
        tokio::task::yield_now().await;
        let _ = round;
    }
    finish(&stack).await;
    stop.store(true, Ordering::SeqCst);
    for load in loads {
        let (count, failed) = load.await.unwrap();
        assert!(count > 0 && failed.is_empty(), "of {count} hand-outs these failed: {failed:?}");
    }
    let keys = store::Entity::find().all(app.store.reader()).await.unwrap();
    assert!(keys.iter().all(|key| key.active));
}
