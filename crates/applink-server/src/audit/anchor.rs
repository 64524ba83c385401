//! Anchors: each minute the newest row of this process's segment, in one chain over all processes.

use applink_api::time::Timestamp;

use super::{Tip, store};
use crate::db::{Store, StoreError};

/// How often a number that another process took is tried anew.
const TRIES: u32 = 16;

/// Anchors the newest row of this process's segment, and of former ones that were given up since, unless the newest
/// anchor is of it already. The newest anchor that was written, if any was.
///
/// # Errors
/// [`StoreError`].
pub async fn write(store: &Store, now: Timestamp) -> Result<Option<store::anchors::Model>, StoreError> {
    let mut newest = None;
    for tip in store.journal().tips().await {
        newest = write_next(store, &tip, now).await?.or(newest);
        store.journal().anchored(&tip).await;
    }
    Ok(newest)
}

/// Processes that anchor at once collide on the number; all but one take the next.
async fn write_next(
    store: &Store,
    tip: &Tip,
    now: Timestamp,
) -> Result<Option<store::anchors::Model>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match write_one(store, tip, now).await {
            Err(error) if error.is_duplicate() && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

async fn write_one(
    store: &Store,
    tip: &Tip,
    now: Timestamp,
) -> Result<Option<store::anchors::Model>, StoreError> {
    let Tip { segment, seq, row_mac } = tip.clone();
    let tx = store.database().begin().await?;
    let last = store::last_anchor(&tx).await?;
    if last.as_ref().is_some_and(|last| last.segment == segment && last.seq == seq) {
        return Ok(None);
    }
    let mut anchor = store::anchors::Model {
        number: last.as_ref().map_or(1, |last| last.number + 1),
        at: now.as_micros(),
        segment,
        seq,
        row_mac,
        prev_mac: last.map(|last| last.mac).unwrap_or_default(),
        mac: String::new(),
    };
    anchor.mac = store.journal().keys().current().anchor_mac(&anchor);
    store::insert_anchor(&tx, anchor.clone()).await?;
    tx.commit().await?;
    tracing::info!(number = anchor.number, %segment, seq, mac = %anchor.mac, "audit anchor");
    Ok(Some(anchor))
}

/// Anchors once more and marks the segment as ended.
///
/// # Errors
/// [`StoreError`].
pub async fn close(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    write(store, now).await?;
    if let Some(Tip { segment, .. }) = store.journal().tips().await.pop() {
        let tx = store.database().begin().await?;
        store::close_segment(&tx, segment, now.as_micros()).await?;
        tx.commit().await?;
    }
    Ok(())
}
