//! The background of Data Cloud: each step does the one thing that is due longest, of these in this order: rows that
//! came in, bulk jobs, new targets, deliveries. Deliveries have a loop of their own, and each target its turn: an app that
//! takes its time keeps nothing waiting but what is for itself.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::problem::TenantError;
use super::rows::{Operation, Row};
use super::{deliver, events, jobs, streams, targets};
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::state::OrgState;
use rusqlite::OptionalExtension;
use serde_json::Value;

/// After a step that failed inside the org, the worker tries again by itself.
const RETRY: Duration = Duration::from_secs(1);
/// The org's clock may be moved by hand: no wait for a delivery's time is longer.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// To so many targets something is sent at once.
const AT_ONCE: usize = 16;

/// Does what is due until the org stops.
pub(crate) async fn work(state: OrgState, stop: CancellationToken) {
    let apply = async {
        loop {
            let moved = apply_one(&state).await;
            pause(moved, &state.data_cloud().due).await;
        }
    };
    let send = send_all(&state);
    tokio::select! {
        () = apply => {}
        () = send => {}
        () = stop.cancelled() => {}
    }
}

/// Until there may be something to do again.
async fn pause(moved: Result<bool, Failure>, due: &Notify) {
    match moved {
        Ok(true) => {}
        Ok(false) => due.notified().await,
        Err(failure) => {
            let retry = failed(&failure);
            tokio::select! {
                () = due.notified() => {}
                () = tokio::time::sleep(retry) => {}
            }
        }
    }
}

/// Sends what is due, to several targets at once, for ever.
async fn send_all(state: &OrgState) {
    let mut under_way = FuturesUnordered::new();
    loop {
        let may_begin = under_way.len() < AT_ONCE;
        let begun = if may_begin { deliver::begin(state).await } else { Ok(None) };
        let wait = match begun {
            Ok(Some(begun)) => {
                under_way.push(deliver::deliver(begun));
                continue;
            }
            Ok(None) if may_begin => deliver::wait(state).await,
            Ok(None) => None,
            Err(failure) => {
                tokio::time::sleep(failed(&failure)).await;
                continue;
            }
        };
        // The org's clock may be moved by hand.
        let wait = wait.map(|wait| wait.clamp(Duration::from_millis(1), LOOK_AGAIN));
        tokio::select! {
            Some(sent) = under_way.next() => {
                if let Err(error) = sent {
                    tokio::time::sleep(failed(&into_failure(error))).await;
                }
            }
            () = state.data_cloud().to_send.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or(LOOK_AGAIN)), if wait.is_some() => {}
        }
    }
}

/// Until it is tried again.
fn failed(failure: &Failure) -> Duration {
    tracing::error!(error = failure as &dyn std::error::Error, "a step of Data Cloud failed");
    RETRY
}

/// Does one thing; `false` when nothing is due.
pub(crate) async fn step(state: &OrgState) -> Result<bool, Failure> {
    Ok(apply_one(state).await? || send_one(state).await?)
}

/// Does one thing that needs no call to an app.
async fn apply_one(state: &OrgState) -> Result<bool, Failure> {
    let _one_at_a_time = state.data_cloud().turn.lock().await;
    let moved = state.call(inside).await.map_err(into_failure)?;
    if moved {
        state.data_cloud().to_send.notify_one();
    }
    Ok(moved)
}

/// Tries the delivery that is due, or waits for the end of one that is being tried.
async fn send_one(state: &OrgState) -> Result<bool, Failure> {
    let sending = &state.data_cloud().sending;
    let mut freed = pin!(sending.freed());
    freed.as_mut().enable();
    if let Some(begun) = deliver::begin(state).await? {
        deliver::deliver(begun).await.map_err(into_failure)?;
        return Ok(true);
    }
    let is_any = sending.is_any();
    if is_any {
        freed.await;
    }
    Ok(is_any)
}

/// Nobody waits for an answer here.
fn into_failure(error: TenantError) -> Failure {
    match error {
        TenantError::Failed(failure) => failure,
        TenantError::Refused { message, .. } => {
            Failure::Row(<serde_json::Error as serde::de::Error>::custom(message))
        }
    }
}

fn inside(state: &OrgState) -> Result<bool, TenantError> {
    if state.db().write(|tx| next_batch(state, tx))? {
        return Ok(true);
    }
    if let Some(job) = state.db().read(jobs::next_due)? {
        jobs::step(state, &job)?;
        return Ok(true);
    }
    state.db().write(targets::set_up)
}

struct Batch {
    id: i64,
    object: String,
    operation: String,
    rows: String,
}

/// Applies the oldest rows that came in, and forgets them, in one transaction.
fn next_batch(state: &OrgState, tx: &Tx<'_>) -> Result<bool, TenantError> {
    let found = tx
        .prepare_cached("SELECT id, object, operation, rows FROM _dc_batch ORDER BY id LIMIT 1")?
        .query_row([], |row| {
            Ok(Batch { id: row.get(0)?, object: row.get(1)?, operation: row.get(2)?, rows: row.get(3)? })
        })
        .optional()
        .map_err(DbError::from)?;
    let Some(batch) = found else { return Ok(false) };
    if let Some(stream) = streams::of_object(tx, &batch.object)? {
        match Operation::from_name(&batch.operation) {
            Some(Operation::Delete) => {
                let keys: Vec<Value> = serde_json::from_str(&batch.rows)?;
                events::delete(state, tx, &stream, keys)?;
            }
            _ => {
                let rows: Vec<Row> = serde_json::from_str(&batch.rows)?;
                events::apply(state, tx, &stream, Operation::Upsert, &rows)?;
            }
        }
    }
    tx.execute("DELETE FROM _dc_batch WHERE id = ?1", [batch.id])?;
    Ok(true)
}
