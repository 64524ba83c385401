//! An ingest job's results: the uploaded rows again, streamed, with what became of them.

use axum::body::{Body, Bytes};
use csv::ByteRecord;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{self, Sender};

use super::job::{Job, State, invalid_state};
use super::store::{self, Outcome};
use super::upload::{Rows, RowsError};
use crate::db::Database;
use crate::rest::RestError;

/// Rows whose outcomes are looked up at once.
const ROWS_AT_ONCE: u32 = 500;
/// How much is sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which of the rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Successful,
    Failed,
    Unprocessed,
}

impl Wanted {
    /// The results a path segment names, in any casing: clients disagree about it.
    pub(super) fn from_segment(segment: &str) -> Option<Self> {
        match segment.to_ascii_lowercase().as_str() {
            "successfulresults" => Some(Self::Successful),
            "failedresults" => Some(Self::Failed),
            "unprocessedrecords" => Some(Self::Unprocessed),
            _ => None,
        }
    }

    /// The columns before the uploaded ones.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Successful => &["sf__Id", "sf__Created"],
            Self::Failed => &["sf__Id", "sf__Error"],
            Self::Unprocessed => &[],
        }
    }

    /// What stands before a row with that outcome; `None` when the row isn't wanted.
    fn values(self, outcome: &Outcome) -> Option<[&str; 2]> {
        let id = outcome.record_id.as_deref().unwrap_or_default();
        match (self, outcome.error.as_deref()) {
            (Self::Successful, None) => Some([id, if outcome.created { "true" } else { "false" }]),
            (Self::Failed, Some(error)) => Some([id, error]),
            _ => None,
        }
    }
}

/// A job's results as the body of an answer.
///
/// # Errors
/// `INVALIDJOBSTATE` while the job is not over.
pub(super) fn stream(db: &Database, job: Job, wanted: Wanted) -> Result<Body, RestError> {
    if !job.state.is_done() {
        let message = format!("Results are there when the job is over; it is {}", job.state.name());
        return Err(invalid_state(message));
    }
    let (sender, mut receiver) = mpsc::channel(4);
    let db = db.clone();
    tokio::task::spawn_blocking(move || {
        let mut output = Output { chunk: Vec::new(), sender };
        match write(&db, &job, wanted, &mut output) {
            Ok(()) => output.flush(),
            Err(error) => output.break_off(&job, error),
        }
    });
    Ok(Body::from_stream(poll_fn(move |context| receiver.poll_recv(context))))
}

struct Output {
    chunk: Vec<u8>,
    sender: Sender<Result<Bytes, RowsError>>,
}

impl Output {
    fn flush_when_full(&mut self) -> bool {
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
        !self.sender.is_closed()
    }

    /// A client that went away is noticed by [`Output::flush_when_full`].
    fn flush(&mut self) {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let _ = self.sender.blocking_send(Ok(chunk));
    }

    /// An answer that can't go on must not look whole.
    fn break_off(&self, job: &Job, error: RowsError) {
        tracing::error!(error = &error as &dyn std::error::Error, job = job.id, "bulk results broke off");
        let _ = self.sender.blocking_send(Err(error));
    }
}

fn write(db: &Database, job: &Job, wanted: Wanted, output: &mut Output) -> Result<(), RowsError> {
    let mut rows = Rows::open(db, job)?;
    let names: Vec<&[u8]> = rows.header().iter().collect();
    let columns = wanted.columns().iter().map(|name| name.as_bytes()).chain(names);
    job.dialect.write(&mut output.chunk, columns);
    if wanted == Wanted::Unprocessed {
        return write_unprocessed(job, &mut rows, output);
    }
    let mut first = 0;
    while first < job.processed {
        let outcomes = db.read(|tx| store::outcomes(tx, &job.id, first, ROWS_AT_ONCE))?;
        for outcome in &outcomes {
            let Some(row) = rows.next_raw()? else { return Ok(()) };
            if let Some(values) = wanted.values(outcome) {
                write_row(job, &values, &row, output);
            }
        }
        if outcomes.is_empty() || !output.flush_when_full() {
            return Ok(());
        }
        first += outcomes.len() as u32;
    }
    Ok(())
}

/// The rows behind the last one that was dealt with: an aborted or failed job has some.
fn write_unprocessed(job: &Job, rows: &mut Rows, output: &mut Output) -> Result<(), RowsError> {
    if job.state == State::JobComplete {
        return Ok(());
    }
    rows.skip(job.processed)?;
    while let Some(row) = rows.next_raw()? {
        write_row(job, &[], &row, output);
        if !output.flush_when_full() {
            return Ok(());
        }
    }
    Ok(())
}

fn write_row(job: &Job, values: &[&str], row: &ByteRecord, output: &mut Output) {
    job.dialect.write(&mut output.chunk, values.iter().map(|value| value.as_bytes()).chain(row));
}
