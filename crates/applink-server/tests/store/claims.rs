//! Due rows are claimed by one worker at a time, and a worker that stalled changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use applink_server::credentials::store::{self as credentials, DUE, Model};
use applink_server::db::claim::Claim;

use crate::support::{Fixture, START};

const LEASE: Duration = Duration::from_secs(30);

fn claim(owner: &str) -> Claim<'_> {
    Claim { owner, lease: LEASE, limit: 10 }
}

#[tokio::test]
async fn only_due_rows_are_claimed_and_only_once_per_lease() {
    let fixture = Fixture::start().await;
    let addon = fixture.addon("one").await;
    fixture.pending(addon, "due", START).await;
    fixture.pending(addon, "later", START.plus(Duration::from_secs(3600))).await;
    fixture.clock.advance(Duration::from_secs(1));
    let database = fixture.store.database();
    let first: Vec<Model> = database.claim_due(DUE, claim("a")).await.unwrap();
    assert_eq!(first.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["due"]);
    assert_eq!((first[0].fence, first[0].lease_owner.as_deref()), (1, Some("a")));
    assert!(database.claim_due::<Model>(DUE, claim("b")).await.unwrap().is_empty());
    fixture.clock.advance(LEASE + Duration::from_secs(1));
    let again: Vec<Model> = database.claim_due(DUE, claim("b")).await.unwrap();
    assert_eq!((again[0].fence, again[0].lease_owner.as_deref()), (2, Some("b")));
}

#[tokio::test]
async fn many_workers_never_get_the_same_row() {
    let fixture = Fixture::start().await;
    let addon = fixture.addon("one").await;
    for number in 0..40 {
        fixture.pending(addon, &format!("row{number}"), START).await;
    }
    fixture.clock.advance(Duration::from_secs(1));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let database = fixture.store.database().clone();
        workers.spawn(async move {
            let owner = format!("worker-{worker}");
            let mut mine = Vec::new();
            loop {
                let claim = Claim { owner: &owner, lease: LEASE, limit: 3 };
                let rows: Vec<Model> = database.claim_due(DUE, claim).await.unwrap();
                if rows.is_empty() {
                    return mine;
                }
                mine.extend(rows.into_iter().map(|row| row.id));
            }
        });
    }
    let all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 40);
}

#[tokio::test]
async fn saving_a_row_frees_its_lease_and_keeps_its_fence() {
    let fixture = Fixture::start().await;
    let addon = fixture.addon("one").await;
    let row = fixture.pending(addon, "due", START).await;
    fixture.clock.advance(Duration::from_secs(1));
    let database = fixture.store.database();
    database.claim_due::<Model>(DUE, claim("a")).await.unwrap();
    let tx = fixture.store.begin().await.unwrap();
    credentials::save(&*tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    let again: Vec<Model> = database.claim_due(DUE, claim("b")).await.unwrap();
    assert_eq!(again[0].fence, 2);
}

#[tokio::test]
async fn names_are_unique_within_an_add_on_and_a_kind() {
    let fixture = Fixture::start().await;
    let (one, two) = (fixture.addon("one").await, fixture.addon("two").await);
    let row = fixture.pending(one, "my-org", START).await;
    fixture.pending(two, "my-org", START).await;
    let mut twin = row.clone();
    twin.id = fixture.entropy.uuid();
    twin.name = "my_org".to_owned();
    let tx = fixture.store.begin().await.unwrap();
    let error = credentials::insert(&*tx, &twin).await.unwrap_err();
    assert!(error.is_duplicate(), "{error:?}");
    drop(tx);
    let found = credentials::find(fixture.store.reader(), one, row.kind, "my_org").await.unwrap();
    assert_eq!(found, Some(row.clone()));
    let foreign =
        credentials::find(fixture.store.reader(), two, row.kind, &row.id.to_string()).await.unwrap();
    assert_eq!(foreign, None, "the tenant comes first");
}

#[tokio::test]
async fn the_lease_clock_follows_the_injected_offset() {
    let fixture = Fixture::start().await;
    let database = fixture.store.database();
    let before = database.lease_now(database.reader()).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1000));
    let after = database.lease_now(database.reader()).await.unwrap();
    let passed = after - before;
    assert!((1_000_000_000 - 100_000..1_030_000_000).contains(&passed), "{passed}");
    assert!((before - START.as_micros()).abs() < 30_000_000, "{before}");
    assert!(fixture.backend.folder().exists());
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let fixture = Fixture::start().await;
    let addon = fixture.addon("one").await;
    let row = fixture.pending(addon, "kept", START).await;
    let tx = fixture.store.begin().await.unwrap();
    credentials::delete(&*tx, addon, row.id).await.unwrap();
    drop(tx);
    assert!(credentials::find_by_id(fixture.store.reader(), addon, row.id).await.unwrap().is_some());
}
