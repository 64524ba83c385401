//! Walks the ledger and reports every edit, gap and truncation.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::store::{self, anchors, rows, segments};
use super::{ChainKey, ChainKeys};
use crate::db::{RowId, StoreError};

/// Rows read at a time.
const PAGE: u64 = 1000;

/// What is wrong with the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The row's MAC does not fit what it says, or the row before it.
    #[error("row {seq} of segment {segment} was altered")]
    AlteredRow {
        /// The segment.
        segment: RowId,
        /// The row's number.
        seq: i64,
    },
    /// A row is missing.
    #[error("row {seq} of segment {segment} is missing")]
    MissingRow {
        /// The segment.
        segment: RowId,
        /// The missing number.
        seq: i64,
    },
    /// An anchor names a row that is not there, or not so.
    #[error("anchor {number} does not find its row: segment {segment} was cut or rewritten")]
    LostRow {
        /// The anchor.
        number: i64,
        /// The segment.
        segment: RowId,
    },
    /// The anchor itself was altered, or one before it is missing.
    #[error("anchor {number} was altered, or the one before it is missing")]
    AlteredAnchor {
        /// The anchor.
        number: i64,
    },
    /// An anchor kept outside the database is not in it any more.
    #[error("anchor {number}, kept outside, is not in the database: the ledger was cut")]
    Truncated {
        /// The anchor.
        number: i64,
    },
    /// An actor's name is not the one that was written.
    #[error("the name of actor {actor} was altered")]
    AlteredActor {
        /// The opaque id.
        actor: RowId,
    },
    /// Rows carry an actor's id that is in no table any more: erasing a name leaves the id.
    #[error("actor {actor}, who did something, is missing")]
    MissingActor {
        /// The opaque id, as the rows have it.
        actor: String,
    },
    /// The segment was written under a master key that was not given.
    #[error("segment {segment} was written under master key {master_key_id}, which was not given")]
    UnknownKey {
        /// The segment.
        segment: RowId,
        /// The master key's id.
        master_key_id: String,
    },
}

/// An anchor kept outside the database, out of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnchor {
    /// Its number.
    pub number: i64,
    /// Its MAC.
    pub mac: String,
}

/// What was walked and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows walked.
    pub rows: u64,
    /// Segments walked.
    pub segments: u64,
    /// Anchors walked.
    pub anchors: u64,
    /// Empty when all is well.
    pub findings: Vec<Finding>,
}

/// Walks every segment and every anchor. `kept` is an anchor from outside, which shows truncation.
///
/// # Errors
/// [`StoreError`] when the database can't be read.
pub async fn verify(
    connection: &impl ConnectionTrait,
    keys: &ChainKeys,
    kept: Option<&KeptAnchor>,
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let anchors = store::all_anchors(connection).await?;
    let mut wanted: HashMap<(RowId, i64), &anchors::Model> =
        anchors.iter().map(|anchor| ((anchor.segment, anchor.seq), anchor)).collect();
    for segment in store::all_segments(connection).await? {
        walk_segment(connection, keys, &segment, &mut wanted, &mut report).await?;
    }
    let lost = wanted
        .into_values()
        .map(|anchor| Finding::LostRow { number: anchor.number, segment: anchor.segment });
    report.findings.extend(lost);
    walk_anchors(&anchors, keys, &mut report);
    walk_actors(connection, keys, &mut report).await?;
    if let Some(kept) = kept
        && !anchors.iter().any(|anchor| anchor.number == kept.number && anchor.mac == kept.mac)
    {
        report.findings.push(Finding::Truncated { number: kept.number });
    }
    Ok(report)
}

async fn walk_segment(
    connection: &impl ConnectionTrait,
    keys: &ChainKeys,
    segment: &segments::Model,
    wanted: &mut HashMap<(RowId, i64), &anchors::Model>,
    report: &mut Report,
) -> Result<(), StoreError> {
    report.segments += 1;
    let Some(key) = keys.get(&segment.master_key_id) else {
        let master_key_id = segment.master_key_id.clone();
        report.findings.push(Finding::UnknownKey { segment: segment.id, master_key_id });
        return Ok(());
    };
    let (mut next, mut last_mac) = (0, String::new());
    loop {
        let page = store::rows_from(connection, segment.id, next, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in page {
            report.rows += 1;
            check_row(key, &row, next, &last_mac, &mut report.findings);
            if wanted.get(&(row.segment, row.seq)).is_some_and(|anchor| anchor.row_mac == row.mac) {
                wanted.remove(&(row.segment, row.seq));
            }
            next = row.seq + 1;
            last_mac = row.mac;
        }
    }
}

fn check_row(key: &ChainKey, row: &rows::Model, expected: i64, last_mac: &str, findings: &mut Vec<Finding>) {
    let (segment, seq) = (row.segment, row.seq);
    if seq != expected {
        findings.push(Finding::MissingRow { segment, seq: expected });
    } else if row.prev_mac != last_mac || row.mac != key.row_mac(row) {
        findings.push(Finding::AlteredRow { segment, seq });
    }
}

async fn walk_actors(
    connection: &impl ConnectionTrait,
    keys: &ChainKeys,
    report: &mut Report,
) -> Result<(), StoreError> {
    for actor in store::all_actors(connection).await? {
        if !keys.named(&actor) {
            report.findings.push(Finding::AlteredActor { actor: actor.id });
        }
    }
    let missing = store::missing_actors(connection).await?.into_iter();
    report.findings.extend(missing.map(|actor| Finding::MissingActor { actor }));
    Ok(())
}

fn walk_anchors(anchors: &[anchors::Model], keys: &ChainKeys, report: &mut Report) {
    let mut previous = String::new();
    for (index, anchor) in anchors.iter().enumerate() {
        report.anchors += 1;
        let in_order = usize::try_from(anchor.number) == Ok(index + 1) && anchor.prev_mac == previous;
        if !in_order || !keys.made(anchor) {
            report.findings.push(Finding::AlteredAnchor { number: anchor.number });
        }
        previous.clone_from(&anchor.mac);
    }
}
