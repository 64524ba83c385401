//! The CSV of an ingest job: taken in part by part, and read again as rows.
//!
//! An upload becomes the job's own in one step when its last byte is there, so a broken one leaves nothing.

use std::io::{self, Read};

use axum::body::Body;
use csv::ByteRecord;
use futures_util::StreamExt;

use super::dialect::{Dialect, LineEnding};
use super::job::{Job, State, invalid_job, invalid_state};
use super::store;
use crate::db::{Database, DbError};
use crate::rest::RestError;

/// The most bytes a job's CSV may have, as Salesforce has it.
const MOST_BYTES: u64 = 150 * 1024 * 1024;
/// How much is kept in memory at once.
const PART_BYTES: usize = 1024 * 1024;
/// The prefix of upload ids; real orgs number batches with it.
const UPLOAD_PREFIX: &str = "751";

/// Takes a job's CSV in.
///
/// # Errors
/// `INVALIDJOBSTATE` when the job takes none, `REQUEST_TOO_LARGE` beyond 150 MB.
pub(super) async fn receive(db: Database, job: Job, body: Body) -> Result<(), RestError> {
    ensure_open(&job)?;
    let upload = db.call(|db| db.write(|tx| tx.new_id(UPLOAD_PREFIX))).await?;
    let received = receive_parts(&db, &upload, body).await;
    db.call(move |db| {
        let accepted = received.and_then(|()| accept(db, &job.id, &upload));
        if accepted.is_err() {
            db.write(|tx| store::drop_upload(tx, &upload))?;
        }
        accepted
    })
    .await
}

fn ensure_open(job: &Job) -> Result<(), RestError> {
    if job.state != State::Open {
        let message = format!("Data can be uploaded only to an Open job; this one is {}", job.state.name());
        return Err(invalid_state(message));
    }
    if job.upload.is_some() {
        return Err(invalid_job(format!(
            "Found multiple contents for job: <{}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a \
             new Job and make sure you only do 'PUT' once on a given Job.",
            job.id
        )));
    }
    Ok(())
}

async fn receive_parts(db: &Database, upload: &str, body: Body) -> Result<(), RestError> {
    let mut chunks = body.into_data_stream();
    let (mut part, mut number, mut total) = (Vec::new(), 0, 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|_| RestError::new(400, "CLIENTINPUTERROR", "The upload broke off before its end"))?;
        total += chunk.len() as u64;
        if total > MOST_BYTES {
            let message = "The CSV of a job may have at most 150 MB; split it over several jobs";
            return Err(RestError::new(413, "REQUEST_TOO_LARGE", message));
        }
        part.extend_from_slice(&chunk);
        if part.len() >= PART_BYTES {
            keep(db, upload, number, std::mem::take(&mut part)).await?;
            number += 1;
        }
    }
    keep(db, upload, number, part).await
}

async fn keep(db: &Database, upload: &str, number: u32, part: Vec<u8>) -> Result<(), RestError> {
    let upload = upload.to_owned();
    Ok(db.call(move |db| db.write(|tx| store::add_part(tx, &upload, number, &part))).await?)
}

/// The job may have been closed, or have got another upload, while this one was coming in.
fn accept(db: &Database, job_id: &str, upload: &str) -> Result<(), RestError> {
    db.write(|tx| {
        let job = store::find(tx, job_id)?.ok_or_else(RestError::not_found)?;
        ensure_open(&job)?;
        Ok(store::accept_upload(tx, job_id, upload)?)
    })
}

/// Why rows can't be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    /// The CSV can't be used; the message is the job's `errorMessage`.
    #[error("{0}")]
    Unusable(String),
    /// The database failed.
    #[error("an upload could not be read back")]
    Broken(#[source] csv::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The rows of an upload, behind its header line.
#[derive(Debug)]
pub(super) struct Rows {
    reader: csv::Reader<Parts>,
    header: ByteRecord,
}

impl Rows {
    /// Opens a job's upload and reads its header line, which is empty when nothing was uploaded.
    pub(super) fn open(db: &Database, job: &Job) -> Result<Self, RowsError> {
        let parts = Parts::of(db, job);
        let mut reader = job.dialect.reader(parts);
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header).map_err(RowsError::Broken)?;
        Ok(Self { reader, header })
    }

    /// The names in the header line.
    pub(super) fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// The next row, with as many values as the header has names.
    pub(super) fn next(&mut self) -> Result<Option<ByteRecord>, RowsError> {
        let Some(row) = self.next_raw()? else { return Ok(None) };
        if row.len() == self.header.len() {
            return Ok(Some(row));
        }
        let line = row.position().map_or(0, csv::Position::line);
        let (values, names) = (row.len(), self.header.len());
        let message =
            format!("InvalidBatch : line {line} has {values} values where the header line has {names} names");
        Err(RowsError::Unusable(message))
    }

    /// The next row as it was uploaded.
    pub(super) fn next_raw(&mut self) -> Result<Option<ByteRecord>, RowsError> {
        let mut row = ByteRecord::new();
        let found = self.reader.read_byte_record(&mut row).map_err(RowsError::Broken)?;
        Ok(found.then_some(row))
    }

    /// Passes over rows that were dealt with before.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), RowsError> {
        for _ in 0..count {
            self.next_raw()?;
        }
        Ok(())
    }
}

/// Salesforce refuses a file whose lines don't end as the job says.
pub(super) fn ensure_line_ending(db: &Database, job: &Job, dialect: Dialect) -> Result<(), RowsError> {
    let Some(upload) = &job.upload else { return Ok(()) };
    let first = db.read(|tx| store::part(tx, upload, 0))?.unwrap_or_default();
    match LineEnding::of(&first) {
        Some(found) if found != dialect.line_ending => Err(RowsError::Unusable(format!(
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {}",
            dialect.line_ending.name()
        ))),
        _ => Ok(()),
    }
}

/// The bytes of an upload, one part in memory at a time.
#[derive(Debug)]
struct Parts {
    db: Database,
    upload: Option<String>,
    next: u32,
    current: io::Cursor<Vec<u8>>,
}

impl Parts {
    fn of(db: &Database, job: &Job) -> Self {
        Self { db: db.clone(), upload: job.upload.clone(), next: 0, current: io::Cursor::default() }
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            let Some(upload) = self.upload.as_ref().filter(|_| read == 0 && !buffer.is_empty()) else {
                return Ok(read);
            };
            let part = self.db.read(|tx| store::part(tx, upload, self.next)).map_err(io::Error::other)?;
            let Some(part) = part else { return Ok(0) };
            self.next += 1;
            self.current = io::Cursor::new(part);
        }
    }
}
