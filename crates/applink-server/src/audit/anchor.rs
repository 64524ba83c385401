//! Anchors: each minute the newest row of this process's segment, in one chain over all processes.

use applink_api::time::Timestamp;

use super::store;
use crate::db::{Store, StoreError};

/// Anchors the segment's newest row unless the newest anchor is of it already. Two processes that anchor at once
/// collide on the number; the later one tries again next minute.
///
/// # Errors
/// [`StoreError`].
pub async fn write(store: &Store, now: Timestamp) -> Result<Option<store::anchors::Model>, StoreError> {
    let Some((segment, seq, row_mac)) = store.journal().tip().await else { return Ok(None) };
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
    if let Some((segment, ..)) = store.journal().tip().await {
        let tx = store.database().begin().await?;
        store::close_segment(&tx, segment, now.as_micros()).await?;
        tx.commit().await?;
    }
    Ok(())
}
