//! The ledger: edits, gaps and truncations show.

use std::sync::Arc;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_server::audit::verify::{Finding, KeptAnchor, Report, verify};
use applink_server::audit::{Actor, ActorKind, Entry, Journal, anchor, store};
use applink_server::db::Store;
use applink_server::vault::rotation::GONE_AFTER;
use applink_server::vault::store as vault;
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
    // One with the first rows, one that was asked for.
    assert_eq!(report, Report { rows: 20, segments: 1, anchors: 2, findings: Vec::new() });
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
        findings.iter().any(|finding| matches!(finding, Finding::LostRow { number: 2, .. })),
        "{findings:?}"
    );
    tamper(&fixture.store, "DELETE FROM audit_anchors").await;
    assert_eq!(
        check(&fixture.store, None).await.findings,
        [],
        "a thief who cuts both leaves no trace inside"
    );
    let kept = KeptAnchor { number: written.number, mac: written.mac };
    assert_eq!(check(&fixture.store, Some(&kept)).await.findings, [Finding::Truncated { number: 2 }]);
}

#[tokio::test]
async fn a_segment_is_anchored_by_its_first_commit_so_it_can_not_be_taken_out_whole() {
    let fixture = Fixture::start().await;
    record(&fixture, 1).await;
    assert_eq!(check(&fixture.store, None).await.anchors, 1);
    tamper(&fixture.store, "DELETE FROM audit_rows").await;
    tamper(&fixture.store, "DELETE FROM audit_segments").await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(findings.iter().any(|finding| matches!(finding, Finding::LostRow { .. })), "{findings:?}");
}

#[tokio::test]
async fn an_altered_anchor_is_found() {
    for change in ["seq = 0", "row_mac = '7'", "at = 7", "prev_mac = '7'", "mac = '7'", "number = 9"] {
        let fixture = Fixture::start().await;
        record(&fixture, 3).await;
        anchor::write(&fixture.store, START).await.unwrap();
        tamper(&fixture.store, &format!("UPDATE audit_anchors SET {change} WHERE number = 2")).await;
        let findings = check(&fixture.store, None).await.findings;
        assert!(
            findings.iter().any(|finding| matches!(finding, Finding::AlteredAnchor { .. })),
            "{change}: {findings:?}"
        );
    }
}

#[tokio::test]
async fn somebody_elses_name_on_what_was_done_is_found() {
    let fixture = Fixture::start().await;
    record(&fixture, 3).await;
    tamper(&fixture.store, "UPDATE audit_actors SET name = 'mallory' WHERE name = 'person1@acme.example'")
        .await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(matches!(findings.as_slice(), [Finding::AlteredActor { .. }]), "{findings:?}");
    tamper(&fixture.store, "DELETE FROM audit_actors WHERE name = 'mallory'").await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(matches!(findings.as_slice(), [Finding::MissingActor { .. }]), "{findings:?}");
}

/// Another process's journal on the same database.
fn process(fixture: &Fixture, name: &str, seed: u64) -> Store {
    let (clock, _hand) = Clock::mock(START);
    let journal = Journal::new(&masters(), name.to_owned(), clock, seeded(seed));
    Store::new(fixture.store.database().clone(), Arc::new(journal))
}

async fn record_one(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    let id = store.journal().process().len() as u128;
    let addon = uuid::Uuid::from_u128(id).into();
    tx.audit(Entry::new(&Actor::system(), "test.happened", addon, uuid::Uuid::from_u128(id)));
    tx.commit().await.unwrap();
}

async fn beat(fixture: &Fixture, name: &str) {
    let tx = fixture.store.begin().await.unwrap();
    let seen_at = fixture.store.database().lease_now(&*tx).await.unwrap();
    let (id, name) = (fixture.entropy.uuid().into(), name.to_owned());
    let row = vault::processes::Model { id, name, master_key_ids: String::new(), seen_at };
    vault::beat(&*tx, row).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_process_wrote_last_is_anchored_by_one_that_lives() {
    let fixture = Fixture::start().await;
    let killed = process(&fixture, "killed", 50);
    beat(&fixture, "killed").await;
    for _ in 0..3 {
        record_one(&killed).await;
    }
    let close = async || anchor::close_abandoned(&fixture.store, START).await.unwrap();
    assert_eq!(close().await, 0, "it may live");
    assert_eq!(check(&fixture.store, None).await.anchors, 1, "of its first row");
    fixture.clock.advance(GONE_AFTER + Duration::from_secs(1));
    assert_eq!(close().await, 1);
    assert_eq!(close().await, 0, "once");
    let report = check(&fixture.store, None).await;
    assert_eq!((report.anchors, report.findings), (2, Vec::new()));

    // It only stalled: what it writes from now on is anchored by itself, and by others once more when it is gone.
    record_one(&killed).await;
    anchor::write(&killed, START).await.unwrap().expect("an anchor");
    record_one(&killed).await;
    assert_eq!(close().await, 1);
    let report = check(&fixture.store, None).await;
    assert_eq!((report.rows, report.anchors, report.findings), (5, 4, Vec::new()));
    tamper(&fixture.store, "DELETE FROM audit_rows WHERE seq = 4").await;
    let findings = check(&fixture.store, None).await.findings;
    assert!(matches!(findings.as_slice(), [Finding::LostRow { number: 4, .. }]), "{findings:?}");
}

#[tokio::test]
async fn a_forged_end_of_a_killed_processs_segment_is_not_anchored() {
    let fixture = Fixture::start().await;
    let killed = process(&fixture, "killed", 50);
    record_one(&killed).await;
    record_one(&killed).await;
    tamper(&fixture.store, "UPDATE audit_rows SET detail = 'forged' WHERE seq = 1").await;
    assert_eq!(anchor::close_abandoned(&fixture.store, START).await.unwrap(), 1);
    let report = check(&fixture.store, None).await;
    assert_eq!(report.anchors, 1);
    assert!(matches!(report.findings.as_slice(), [Finding::AlteredRow { seq: 1, .. }]), "{report:?}");
}

#[tokio::test]
async fn processes_that_begin_at_once_all_anchor_their_segments() {
    let fixture = Fixture::start().await;
    let mut processes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = process(&fixture, &format!("process-{number}"), 100 + number);
        processes.spawn(async move { record_one(&store).await });
    }
    processes.join_all().await;
    let report = check(&fixture.store, None).await;
    assert_eq!((report.segments, report.anchors, report.findings), (8, 8, Vec::new()));
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

/// Reads that nothing else is committed with.
fn reads(fixture: &Fixture, count: usize) -> Vec<Entry> {
    let addon = fixture.entropy.uuid().into();
    let actor = |number| Actor::new(ActorKind::App, format!("app-{}", number % 5));
    let entry = |number| Entry::new(&actor(number), "test.read", addon, fixture.entropy.uuid());
    (0..count).map(entry).collect()
}

#[tokio::test]
async fn reads_in_groups_of_any_size_and_changes_stay_in_one_chain() {
    const SIZES: [usize; 8] = [0, 1, 2, 5, 63, 64, 65, 128];
    let fixture = Arc::new(Fixture::start().await);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let fixture = Arc::clone(&fixture);
        writers.spawn(async move {
            for size in SIZES {
                fixture.store.record(&reads(&fixture, size)).await.unwrap();
                record(&fixture, 1).await;
                fixture.store.record(&reads(&fixture, size)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let report = check(&fixture.store, None).await;
    let rows = 4 * (2 * SIZES.iter().sum::<usize>() + 2 * SIZES.len()) as u64;
    assert_eq!((report.rows, report.segments, report.findings), (rows, 1, Vec::new()));
}

#[tokio::test]
async fn a_reader_that_goes_away_while_it_is_recorded_wedges_nobody() {
    let fixture = Fixture::start().await;
    let entries = reads(&fixture, 7);
    fixture.store.record(&entries).await.unwrap();
    for polls in 1.. {
        assert!(polls < 100, "a commit takes few steps");
        let done = give_up_after(polls, fixture.store.record(&entries)).await;
        fixture.store.record(&entries).await.unwrap();
        anchor::write(&fixture.store, START).await.unwrap();
        assert_eq!(check(&fixture.store, None).await.findings, [], "given up after {polls} polls");
        if done.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn a_number_of_a_read_that_is_taken_after_all_costs_one_commit_and_not_the_process() {
    let fixture = Fixture::start().await;
    for _ in 0..2 {
        fixture.store.record(&reads(&fixture, 2)).await.unwrap();
    }
    tamper(
        &fixture.store,
        "INSERT INTO audit_rows (segment, seq, at, actor, action, detail, prev_mac, mac) \
         SELECT segment, 4, at, actor, action, detail, prev_mac, mac FROM audit_rows WHERE seq = 3",
    )
    .await;
    assert!(fixture.store.record(&reads(&fixture, 2)).await.unwrap_err().is_duplicate());
    fixture.store.record(&reads(&fixture, 2)).await.unwrap();
    anchor::write(&fixture.store, START).await.unwrap();
    let report = check(&fixture.store, None).await;
    assert_eq!((report.segments, report.anchors), (2, 3), "the segment that was given up is anchored too");
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
    record(&fixture, 2).await;
    tamper(
        &fixture.store,
        "INSERT INTO audit_rows (segment, seq, at, actor, action, detail, prev_mac, mac) \
         SELECT segment, 4, at, actor, action, detail, prev_mac, mac FROM audit_rows WHERE seq = 3",
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
    assert_eq!((report.segments, report.anchors), (2, 3), "the segment that was given up is anchored too");
}

#[tokio::test]
async fn processes_that_end_at_once_all_close_their_segments() {
    let fixture = Fixture::start().await;
    let mut processes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = process(&fixture, &format!("process-{number}"), 100 + number);
        record_one(&store).await;
        record_one(&store).await;
        processes.spawn(async move { anchor::close(&store, START).await });
    }
    for closed in processes.join_all().await {
        closed.unwrap();
    }
    let report = check(&fixture.store, None).await;
    // Each with its first row and at its end.
    assert_eq!((report.segments, report.anchors, report.findings), (8, 16, Vec::new()));
}
