//! Anchors: the newest row of a segment at some time, in one chain over all processes.
//!
//! 1. A segment's first rows are committed with one ([`append`]).
//! 2. Each minute every process anchors what it wrote since ([`write()`]).
//! 3. A process that ends anchors once more and closes its segment ([`close`]). For one that was killed, a process that
//!    lives does that, once its beat has stopped ([`close_abandoned`]).
//!
//! Who writes an anchor holds a lock until the commit, so numbers have no gaps and nobody fails over one.

use std::collections::HashSet;

use applink_api::time::Timestamp;
use sea_orm::DatabaseTransaction;

use super::store::{self, anchors, segments};
use super::{ChainKey, Tip};
use crate::db::claim::lock_anchors;
use crate::db::{Store, StoreError};
use crate::vault::rotation::GONE_AFTER;
use crate::vault::store::processes_since;

/// How often a number is tried anew that a process of an older version, which holds no lock, took.
const TRIES: u32 = 16;
/// Abandoned segments that are closed in one run.
const ABANDONED: u64 = 100;

/// Adds an anchor in a transaction that commits at once.
pub(super) async fn append(
    tx: &DatabaseTransaction,
    key: &ChainKey,
    tip: &Tip,
    now: Timestamp,
) -> Result<anchors::Model, StoreError> {
    lock_anchors(tx).await?;
    let last = store::last_anchor(tx).await?;
    let mut anchor = anchors::Model {
        number: last.as_ref().map_or(1, |last| last.number + 1),
        at: now.as_micros(),
        segment: tip.segment,
        seq: tip.seq,
        row_mac: tip.row_mac.clone(),
        prev_mac: last.map(|last| last.mac).unwrap_or_default(),
        mac: String::new(),
    };
    anchor.mac = key.anchor_mac(&anchor);
    store::insert_anchor(tx, anchor.clone()).await?;
    Ok(anchor)
}

/// Puts a committed anchor into the log.
pub(super) fn tell(anchor: &anchors::Model) {
    let anchors::Model { number, segment, seq, mac, .. } = anchor;
    tracing::info!(number, %segment, seq, %mac, "audit anchor");
}

/// Anchors the newest row of this process's segment, and of former ones that were given up since, where that is not
/// done yet. The newest anchor that was written, if any was.
///
/// # Errors
/// [`StoreError`].
pub async fn write(store: &Store, now: Timestamp) -> Result<Option<anchors::Model>, StoreError> {
    let mut newest = None;
    for tip in store.journal().tips().await {
        newest = Some(write_next(store, &tip, now).await?);
        store.journal().anchored(&tip).await;
    }
    Ok(newest)
}

async fn write_next(store: &Store, tip: &Tip, now: Timestamp) -> Result<anchors::Model, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match write_one(store, tip, now).await {
            Err(error) if error.is_duplicate() && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

async fn write_one(store: &Store, tip: &Tip, now: Timestamp) -> Result<anchors::Model, StoreError> {
    let tx = store.database().begin().await?;
    let anchor = append(&tx, store.journal().keys().current(), tip, now).await?;
    // Somebody may have thought that this process is gone.
    store::reopen_segment(&tx, tip.segment).await?;
    tx.commit().await?;
    tell(&anchor);
    Ok(anchor)
}

/// Anchors once more and marks the segment as ended.
///
/// # Errors
/// [`StoreError`].
pub async fn close(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    write(store, now).await?;
    if let Some(segment) = store.journal().open_segment().await {
        let tx = store.database().begin().await?;
        store::close_segment(&tx, segment, now.as_micros()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Anchors and closes the segments of processes whose beat stopped. How many there were.
///
/// # Errors
/// [`StoreError`]; what is left is closed with the next run.
pub async fn close_abandoned(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let reader = store.reader();
    let lease_now = Timestamp::from_micros(store.database().lease_now(reader).await?);
    let alive = processes_since(reader, lease_now.minus(GONE_AFTER).as_micros()).await?;
    let mut alive: HashSet<String> = alive.into_iter().map(|process| process.name).collect();
    alive.insert(store.journal().process().to_owned());
    let mut closed = 0;
    for segment in store::unclosed_segments(reader, &alive, ABANDONED).await? {
        closed += u64::from(close_one(store, &segment, now).await?);
    }
    Ok(closed)
}

/// `false` when another process was quicker.
async fn close_one(store: &Store, segment: &segments::Model, now: Timestamp) -> Result<bool, StoreError> {
    let tx = store.database().begin().await?;
    lock_anchors(&tx).await?;
    if !store::close_segment(&tx, segment.id, now.as_micros()).await? {
        return Ok(false);
    }
    let anchor = anchor_tail(store, &tx, segment, now).await?;
    tx.commit().await?;
    anchor.iter().for_each(tell);
    tracing::warn!(segment = %segment.id, process = segment.process,
        "a process ended without closing its audit segment; what it wrote last is anchored now");
    Ok(true)
}

async fn anchor_tail(
    store: &Store,
    tx: &DatabaseTransaction,
    segment: &segments::Model,
    now: Timestamp,
) -> Result<Option<anchors::Model>, StoreError> {
    let Some(last) = store::last_row(tx, segment.id).await? else { return Ok(None) };
    let anchored = store::anchored_to(tx, segment.id).await?;
    if anchored.is_some_and(|anchored| anchored >= last.seq) {
        return Ok(None);
    }
    let keys = store.journal().keys();
    if keys.get(&segment.master_key_id).is_none_or(|key| key.row_mac(&last) != last.mac) {
        // An anchor would make it look better than it is.
        tracing::error!(segment = %segment.id, seq = last.seq,
            "the last row of a process that is gone is not as it was written: run `applink audit verify`");
        return Ok(None);
    }
    let tip = Tip { segment: last.segment, seq: last.seq, row_mac: last.mac };
    append(tx, keys.current(), &tip, now).await.map(Some)
}
