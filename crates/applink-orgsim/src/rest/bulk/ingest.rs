//! Running an ingest job: 200 rows a transaction, each row with what became of it.
//!
//! The rows, their outcomes and the count of them are written together, so that a job that a stop of the org cut
//! off goes on with the next row. Each transaction looks first whether the job was aborted.

use std::sync::atomic::{AtomicBool, Ordering};

use csv::ByteRecord;

use super::job::{Job, State};
use super::row::Plan;
use super::store;
use super::upload::{Rows, RowsError, ensure_line_ending};
use crate::db::{Database, Tx};
use crate::records::Records;
use crate::rest::RestError;
use crate::schema::SObject;

/// Rows per transaction, as many as a real org gives its triggers at once.
const ROWS_AT_ONCE: usize = 200;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// The job fails with this `errorMessage`.
    #[error("{0}")]
    Unusable(String),
    /// The org failed.
    #[error(transparent)]
    Org(#[from] RestError),
    /// The org failed.
    #[error(transparent)]
    Rows(RowsError),
}

impl From<RowsError> for RunError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Unusable(message) => Self::Unusable(message),
            other => Self::Rows(other),
        }
    }
}

impl From<crate::db::DbError> for RunError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Org(error.into())
    }
}

/// Runs a job that is `InProgress` to its end, or until the org stops, from the first row that was not dealt with yet.
pub(super) fn run(db: &Database, stopping: &AtomicBool, job: &Job) -> Result<(), RunError> {
    ensure_line_ending(db, job, job.dialect)?;
    let mut rows = Rows::open(db, job)?;
    let header = rows.header().clone();
    rows.skip(job.processed)?;
    let mut first = job.processed;
    loop {
        let (batch, end) = take(&mut rows);
        let goes_on = db.write(|tx| write(tx, job, &header, first, &batch))?;
        first += batch.len() as u32;
        match end {
            _ if !goes_on => return Ok(()),
            Some(end) => return finish(db, job, end),
            None if stopping.load(Ordering::Relaxed) => return Ok(()),
            None => {}
        }
    }
}

/// The next rows, and how the upload ended when it did.
fn take(rows: &mut Rows) -> (Vec<ByteRecord>, Option<Result<(), RowsError>>) {
    let mut batch = Vec::new();
    while batch.len() < ROWS_AT_ONCE {
        match rows.next() {
            Ok(Some(row)) => batch.push(row),
            Ok(None) => return (batch, Some(Ok(()))),
            Err(error) => return (batch, Some(Err(error))),
        }
    }
    (batch, None)
}

fn finish(db: &Database, job: &Job, end: Result<(), RowsError>) -> Result<(), RunError> {
    end?;
    Ok(db.write(|tx| match is_running(tx, job)? {
        true => store::set_state(tx, &job.id, State::JobComplete),
        false => Ok(()),
    })?)
}

/// Puts rows into the org; `false` when the job was aborted or deleted meanwhile.
fn write(
    tx: &Tx<'_>,
    job: &Job,
    header: &ByteRecord,
    first: u32,
    rows: &[ByteRecord],
) -> Result<bool, RunError> {
    if !is_running(tx, job)? {
        return Ok(false);
    }
    let records = Records::new(tx, &job.caller())?;
    let plan =
        Plan::new(&records, job.operation, object(&records, job)?, job.external_id.as_deref(), header)?;
    let mut failed = 0;
    for (number, row) in (first..).zip(rows) {
        let outcome = plan.apply(tx, &records, row)?;
        failed += u32::from(outcome.error.is_some());
        store::add_outcome(tx, &job.id, number, &outcome)?;
    }
    store::count(tx, &job.id, rows.len() as u32, failed)?;
    Ok(true)
}

fn is_running(tx: &Tx<'_>, job: &Job) -> Result<bool, crate::db::DbError> {
    Ok(store::find(tx, &job.id)?.is_some_and(|job| job.state == State::InProgress))
}

/// The creator's rights may have ended since.
fn object<'t>(records: &Records<'t>, job: &Job) -> Result<&'t SObject, RunError> {
    records
        .object(&job.object)
        .map_err(|_| RunError::Unusable(format!("InvalidJob : Unable to find object: {}", job.object)))
}
