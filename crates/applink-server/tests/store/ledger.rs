//! The ledger: edits, gaps and truncations show.

use std::sync::Arc;

use applink_api::clock::Clock;
use applink_server::audit::verify::{Finding, KeptAnchor, Report, verify};
use applink_server::audit::{Actor, ActorKind, Entry, Journal, anchor, store};
use applink_server::db::Store;
use sea_orm::ConnectionTrait as _;

use crate::support::{Fixture, START, masters, seeded};

async fn record(fixture: &Fixture, count: usize) {
    let addon = fixture.entropy.uuid().into();
    for number in 0..count {
        let actor = Actor::new(ActorKind::ApiKey, format!("person{}@acme.example", number % 3));
        let mut tx = fixture.store.begin().await.unwrap();
        tx.audit(
            Entry::new(&actor, "test.happened", addon, fixture.entropy.uuid())
                .with_detail(number.to_string()),
        );
        tx.audit(Entry::new(&actor, "test.followed", addon, fixture.entropy.uuid()));
        tx.commit().await.unwrap();
    }
}

async fn check(store: &Store, kept: Option<&KeptAnchor>) -> Report {
    verify(store.reader(), store.journal().keys(), kept).await.unwrap()
}

async fn tamper(store: &Store, sql: &str) {
    let tx = store.begin().await.unwrap();
    tx.execute_unprepared(sql).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_untouched_ledger_is_whole() {
    let fixture = Fixture::start().await;
    record(&fixture, 10).await;
    let written = anchor::write(&fixture.store, START).await.unwrap().expect("an anchor");
    assert!(anchor::write(&fixture.store, START).await.unwrap().is_none(), "nothing new to anchor");
    let kept = KeptAnchor { number: written.number, mac: written.mac };
    let report = check(&fixture.store, Some(&kept)).await;
    assert_eq!(report, Report { rows: 20, segments: 1, anchors: 1, findings: Vec::new() });
}

#[tokio::test]
async fn an_edit_is_found() {
    for column in ["detail", "action", "at", "actor", "prev_mac", "mac"] {
        let fixture = Fixture::start().await;
        record(&fixture, 3).await;
        let value = if column == "at" { "7" } else { "'7'" };
        tamper(&fixture.store, &format!("UPDATE audit_rows SET {column} = {value} WHERE seq = 2")).await;
        let findings = check(&fixture.store, None).await.findings;
        assert!(
            findings.iter().any(|finding| matches!(finding, Finding::AlteredRow { .. })),
            "{column}: {findings:?}"
        );
    }
}

#[tokio::test]
async fn a_gap_is_found() {
    let fixture = Fixture::start().await;
    record(&fixture, 3).await;
    tamper(&fixture.store, "DELETE FROM audit_rows WHERE seq = 2").await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(
        findings.iter().any(|finding| matches!(finding, Finding::MissingRow { seq: 2, .. })),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_truncation_is_found_by_an_anchor_in_the_database_or_outside() {
    let fixture = Fixture::start().await;
    record(&fixture, 3).await;
    let written = anchor::write(&fixture.store, START).await.unwrap().expect("an anchor");
    tamper(&fixture.store, "DELETE FROM audit_rows WHERE seq >= 4").await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(
        findings.iter().any(|finding| matches!(finding, Finding::LostRow { number: 1, .. })),
        "{findings:?}"
    );
    tamper(&fixture.store, "DELETE FROM audit_anchors").await;
    assert_eq!(
        check(&fixture.store, None).await.findings,
        [],
        "a thief who cuts both leaves no trace inside"
    );
    let kept = KeptAnchor { number: written.number, mac: written.mac };
    assert_eq!(check(&fixture.store, Some(&kept)).await.findings, [Finding::Truncated { number: 1 }]);
}

#[tokio::test]
async fn a_dropped_transaction_takes_no_number() {
    let fixture = Fixture::start().await;
    record(&fixture, 1).await;
    let mut tx = fixture.store.begin().await.unwrap();
    tx.audit(Entry::new(
        &Actor::system(),
        "test.undone",
        fixture.entropy.uuid().into(),
        fixture.entropy.uuid(),
    ));
    drop(tx);
    record(&fixture, 1).await;
    let report = check(&fixture.store, None).await;
    assert_eq!((report.rows, report.findings), (4, Vec::new()));
}

#[tokio::test]
async fn concurrent_changes_stay_in_one_chain() {
    let fixture = std::sync::Arc::new(Fixture::start().await);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let fixture = std::sync::Arc::clone(&fixture);
        writers.spawn(async move { record(&fixture, 5).await });
    }
    writers.join_all().await;
    let report = check(&fixture.store, None).await;
    assert_eq!((report.rows, report.segments, report.findings), (80, 1, Vec::new()));
}

#[tokio::test]
async fn a_name_can_be_erased_and_the_ledger_stays_whole() {
    let fixture = Fixture::start().await;
    record(&fixture, 3).await;
    let tx = fixture.store.begin().await.unwrap();
    assert_eq!(store::erase_actor(&*tx, "person1@acme.example").await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(check(&fixture.store, None).await.findings, []);
}

/// Polls a future this often, then drops it.
async fn give_up_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        polled += 1;
        match work.as_mut().poll(context) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending if polled >= polls => std::task::Poll::Ready(None),
            std::task::Poll::Pending => std::task::Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn a_caller_that_goes_away_during_its_commit_wedges_nobody() {
    let fixture = Fixture::start().await;
    record(&fixture, 1).await;
    for polls in 1.. {
        assert!(polls < 100, "a commit takes few steps");
        let mut tx = fixture.store.begin().await.unwrap();
        let addon = fixture.entropy.uuid().into();
        tx.audit(Entry::new(&Actor::system(), "test.abandoned", addon, fixture.entropy.uuid()));
        let done = give_up_after(polls, tx.commit()).await;
        record(&fixture, 1).await;
        anchor::write(&fixture.store, START).await.unwrap();
        assert_eq!(check(&fixture.store, None).await.findings, [], "given up after {polls} polls");
        if done.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn a_number_that_is_taken_after_all_costs_one_commit_and_not_the_process() {
    let fixture = Fixture::start().await;
    record(&fixture, 1).await;
    tamper(
        &fixture.store,
        "INSERT INTO audit_rows (segment, seq, at, actor, action, detail, prev_mac, mac) \
         SELECT segment, 2, at, actor, action, detail, prev_mac, mac FROM audit_rows WHERE seq = 1",
    )
    .await;
    let mut tx = fixture.store.begin().await.unwrap();
    tx.audit(Entry::new(
        &Actor::system(),
        "test.twice",
        fixture.entropy.uuid().into(),
        fixture.entropy.uuid(),
    ));
    assert!(tx.commit().await.unwrap_err().is_duplicate());
    record(&fixture, 1).await;
    anchor::write(&fixture.store, START).await.unwrap();
    let report = check(&fixture.store, None).await;
    assert_eq!((report.segments, report.anchors), (2, 2), "the segment that was given up is anchored too");
}

#[tokio::test]
async fn processes_that_end_at_once_all_close_their_segments() {
    let fixture = Fixture::start().await;
    let mut processes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (clock, _hand) = Clock::mock(START);
        let journal = Journal::new(&masters(), format!("process-{number}"), clock, seeded(100 + number));
        let store = Store::new(fixture.store.database().clone(), Arc::new(journal));
        let mut tx = store.begin().await.unwrap();
        let addon = fixture.entropy.uuid().into();
        tx.audit(Entry::new(&Actor::system(), "test.happened", addon, fixture.entropy.uuid()));
        tx.commit().await.unwrap();
        processes.spawn(async move { anchor::close(&store, START).await });
    }
    for closed in processes.join_all().await {
        closed.unwrap();
    }
    let report = check(&fixture.store, None).await;
    assert_eq!((report.segments, report.anchors, report.findings), (8, 8, Vec::new()));
}
