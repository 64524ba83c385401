//! The background step of bulk jobs: each call moves the oldest unfinished one by one state.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ingest::{self, RunError};
use super::job::{Job, Kind, State};
use super::{query, store};
use crate::db::{Database, DbError};
use crate::rest::RestHost;

/// What a client is told when the org itself failed.
const BROKE_OFF: &str = "InternalServerError : The org failed while running the job; its log has the cause";

/// How long a step that failed waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Runs due jobs until the org stops.
pub(crate) async fn work<H: RestHost>(host: H, stop: CancellationToken) {
    report(&host.database().call(|db| db.write(store::sweep)).await);
    loop {
        let moved = tokio::select! {
            moved = step_in_background(&host) => moved,
            () = stop.cancelled() => return host.bulk_work().stopping.store(true, Ordering::Relaxed),
        };
        report(&moved);
        if matches!(moved, Ok(true)) {
            continue;
        }
        tokio::select! {
            () = host.bulk_work().due.notified() => {}
            () = tokio::time::sleep(RETRY), if moved.is_err() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn report<R>(done: &Result<R, DbError>) {
    if let Err(error) = done {
        tracing::error!(error = error as &dyn std::error::Error, "the worker of bulk jobs failed");
    }
}

async fn step_in_background<H: RestHost>(host: &H) -> Result<bool, DbError> {
    let stepped = host.clone();
    host.database().call(move |_| step(&stepped)).await
}

/// Moves the oldest unfinished bulk job on by one state: `UploadComplete → InProgress`, then to its end. `false` when
/// there is none. It reads and writes the database, so it blocks.
///
/// # Errors
/// When the database refuses.
pub fn step<H: RestHost>(host: &H) -> Result<bool, DbError> {
    let _one_at_a_time = host.bulk_work().turn.lock().unwrap_or_else(PoisonError::into_inner);
    let db = host.database();
    let Some(due) = db.read(store::next_due)? else { return Ok(false) };
    match due.state {
        State::UploadComplete => db.write(|tx| store::set_state(tx, &due.id, State::InProgress))?,
        _ => run(db, &host.bulk_work().stopping, &due)?,
    }
    Ok(true)
}

fn run(db: &Database, stopping: &AtomicBool, job: &Job) -> Result<(), DbError> {
    let outcome = match job.kind {
        Kind::Ingest => ingest::run(db, stopping, job),
        Kind::Query => query::run(db, job),
    };
    let message = match outcome {
        Ok(()) => return Ok(()),
        Err(RunError::Unusable(message)) => message,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, job = job.id, "a bulk job broke off");
            BROKE_OFF.to_owned()
        }
    };
    db.write(|tx| store::fail(tx, &job.id, &message))
}
