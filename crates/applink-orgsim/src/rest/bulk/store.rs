//! Jobs, uploads and results as rows.

use rusqlite::{OptionalExtension, Row, params};

use super::dialect::{Delimiter, Dialect, LineEnding};
use super::job::{Job, Kind, Operation, State};
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::rest::ApiVersion;

/// How long a job that is over is kept.
const KEPT_MICROS: i64 = 7 * 24 * 60 * 60 * MICROS_PER_SECOND;

/// The tables of bulk jobs.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _bulk_job (
        id TEXT PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        operation TEXT NOT NULL,
        object TEXT NOT NULL,
        external_id TEXT,
        query TEXT,
        assignment_rule TEXT,
        delimiter TEXT NOT NULL,
        line_ending TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        error TEXT,
        user_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        modified_micros INTEGER NOT NULL,
        started_micros INTEGER,
        completed_micros INTEGER,
        upload TEXT,
        processed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS _bulk_part (
        upload TEXT NOT NULL,
        number INTEGER NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (upload, number)
    );
    CREATE TABLE IF NOT EXISTS _bulk_outcome (
        job_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        record_id TEXT,
        created INTEGER NOT NULL,
        error TEXT,
        PRIMARY KEY (job_id, number)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _bulk_line (
        job_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        line BLOB NOT NULL,
        PRIMARY KEY (job_id, number)
    );";

const SELECT: &str = "SELECT id, kind, operation, object, external_id, query, assignment_rule, delimiter, line_ending, \
     version, state, error, user_id, session_id, created_micros, modified_micros, started_micros, completed_micros, \
     upload, processed, failed FROM _bulk_job";

/// What became of one row.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) record_id: Option<String>,
    pub(super) created: bool,
    /// `CODE:message:fields --`; none when the row went in.
    pub(super) error: Option<String>,
}

pub(super) fn insert(tx: &Tx<'_>, job: &Job) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO _bulk_job (id, kind, operation, object, external_id, query, assignment_rule, delimiter, \
         line_ending, version, state, user_id, session_id, created_micros, modified_micros) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            job.id,
            job.kind.job_type(),
            job.operation.name(),
            job.object,
            job.external_id,
            job.query,
            job.assignment_rule,
            job.dialect.delimiter.name(),
            job.dialect.line_ending.name(),
            job.version.number(),
            job.state.name(),
            job.user_id,
            job.session_id,
            job.created_micros,
            job.modified_micros,
        ],
    )?;
    Ok(())
}

pub(super) fn find(tx: &Tx<'_>, id: &str) -> Result<Option<Job>, DbError> {
    Ok(tx.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], job).optional()?)
}

/// Jobs of a kind, newest first: one user's, or everybody's.
pub(super) fn list(
    tx: &Tx<'_>,
    kind: Kind,
    user_id: Option<&str>,
    skip: u32,
    most: u32,
) -> Result<Vec<Job>, DbError> {
    let sql = format!(
        "{SELECT} WHERE kind = ?1 AND (?2 IS NULL OR user_id = ?2) ORDER BY created_micros DESC, rowid DESC \
         LIMIT ?3 OFFSET ?4"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params![kind.job_type(), user_id, most, skip], job)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The oldest job that is closed and not over.
pub(super) fn next_due(tx: &Tx<'_>) -> Result<Option<Job>, DbError> {
    let sql = format!(
        "{SELECT} WHERE state IN ('UploadComplete', 'InProgress') ORDER BY modified_micros, rowid LIMIT 1"
    );
    Ok(tx.query_row(&sql, [], job).optional()?)
}

pub(super) fn set_state(tx: &Tx<'_>, id: &str, state: State) -> Result<(), DbError> {
    let now = tx.now_micros();
    let started = (state == State::InProgress).then_some(now);
    let completed = state.is_done().then_some(now);
    tx.execute(
        "UPDATE _bulk_job SET state = ?2, modified_micros = ?3, started_micros = coalesce(?4, started_micros), \
         completed_micros = ?5 WHERE id = ?1",
        params![id, state.name(), now, started, completed],
    )?;
    Ok(())
}

pub(super) fn fail(tx: &Tx<'_>, id: &str, message: &str) -> Result<(), DbError> {
    set_state(tx, id, State::Failed)?;
    tx.execute("UPDATE _bulk_job SET error = ?2 WHERE id = ?1", [id, message])?;
    Ok(())
}

/// Counts rows that were dealt with.
pub(super) fn count(tx: &Tx<'_>, id: &str, processed: u32, failed: u32) -> Result<(), DbError> {
    tx.execute(
        "UPDATE _bulk_job SET processed = processed + ?2, failed = failed + ?3, modified_micros = ?4 WHERE id = ?1",
        params![id, processed, failed, tx.now_micros()],
    )?;
    Ok(())
}

/// Forgets a job with its data.
pub(super) fn delete(tx: &Tx<'_>, job: &Job) -> Result<(), DbError> {
    if let Some(upload) = &job.upload {
        drop_upload(tx, upload)?;
    }
    for table in ["_bulk_outcome", "_bulk_line"] {
        tx.execute(&format!("DELETE FROM {table} WHERE job_id = ?1"), [&job.id])?;
    }
    tx.execute("DELETE FROM _bulk_job WHERE id = ?1", [&job.id])?;
    Ok(())
}

/// Forgets jobs that have been over for a week, and uploads that a crash cut off.
pub(super) fn sweep(tx: &Tx<'_>) -> Result<(), DbError> {
    let sql = format!("{SELECT} WHERE completed_micros < ?1");
    let old: Vec<Job> = tx
        .prepare_cached(&sql)?
        .query_map([tx.now_micros() - KEPT_MICROS], job)?
        .collect::<Result<_, _>>()?;
    for job in &old {
        delete(tx, job)?;
    }
    tx.execute(
        "DELETE FROM _bulk_part WHERE upload NOT IN (SELECT upload FROM _bulk_job WHERE upload IS NOT NULL)",
        [],
    )?;
    Ok(())
}

/// Adds a part of an upload, numbered from 0.
pub(super) fn add_part(tx: &Tx<'_>, upload: &str, number: u32, content: &[u8]) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO _bulk_part (upload, number, content) VALUES (?1, ?2, ?3)")?
        .execute(params![upload, number, content])?;
    Ok(())
}

pub(super) fn part(tx: &Tx<'_>, upload: &str, number: u32) -> Result<Option<Vec<u8>>, DbError> {
    let part = tx
        .prepare_cached("SELECT content FROM _bulk_part WHERE upload = ?1 AND number = ?2")?
        .query_row(params![upload, number], |row| row.get(0))
        .optional()?;
    Ok(part)
}

/// Makes an upload that arrived whole the job's own.
pub(super) fn accept_upload(tx: &Tx<'_>, job_id: &str, upload: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE _bulk_job SET upload = ?2, modified_micros = ?3 WHERE id = ?1",
        params![job_id, upload, tx.now_micros()],
    )?;
    Ok(())
}

pub(super) fn drop_upload(tx: &Tx<'_>, upload: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM _bulk_part WHERE upload = ?1", [upload])?;
    Ok(())
}

/// Writes down what became of the row with that number, counted from 0 behind the header line.
pub(super) fn add_outcome(tx: &Tx<'_>, job_id: &str, number: u32, outcome: &Outcome) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO _bulk_outcome (job_id, number, record_id, created, error) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![job_id, number, outcome.record_id, outcome.created, outcome.error])?;
    Ok(())
}

/// What became of the rows from `first` on, `most` of them.
pub(super) fn outcomes(tx: &Tx<'_>, job_id: &str, first: u32, most: u32) -> Result<Vec<Outcome>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT record_id, created, error FROM _bulk_outcome WHERE job_id = ?1 AND number >= ?2 \
         ORDER BY number LIMIT ?3",
    )?;
    let rows = statement.query_map(params![job_id, first, most], |row| {
        Ok(Outcome { record_id: row.get(0)?, created: row.get(1)?, error: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a line of a query's results; number 0 is the header.
pub(super) fn add_line(tx: &Tx<'_>, job_id: &str, number: u32, line: &[u8]) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO _bulk_line (job_id, number, line) VALUES (?1, ?2, ?3)")?
        .execute(params![job_id, number, line])?;
    Ok(())
}

/// The lines of a query's results from `first` on, `most` of them.
pub(super) fn lines(tx: &Tx<'_>, job_id: &str, first: u32, most: u32) -> Result<Vec<Vec<u8>>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT line FROM _bulk_line WHERE job_id = ?1 AND number >= ?2 ORDER BY number LIMIT ?3",
    )?;
    let rows = statement.query_map(params![job_id, first, most], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let text = |index: usize| row.get::<_, String>(index);
    let operation = known(2, Operation::from_name(&text(2)?))?;
    Ok(Job {
        id: row.get(0)?,
        kind: operation.kind(),
        operation,
        object: row.get(3)?,
        external_id: row.get(4)?,
        query: row.get(5)?,
        assignment_rule: row.get(6)?,
        dialect: Dialect {
            delimiter: known(7, Delimiter::from_name(&text(7)?))?,
            line_ending: known(8, LineEnding::from_name(&text(8)?))?,
        },
        version: ApiVersion::new(row.get(9)?),
        state: known(10, State::from_name(&text(10)?))?,
        error: row.get(11)?,
        user_id: row.get(12)?,
        session_id: row.get(13)?,
        created_micros: row.get(14)?,
        modified_micros: row.get(15)?,
        started_micros: row.get(16)?,
        completed_micros: row.get(17)?,
        upload: row.get(18)?,
        processed: row.get(19)?,
        failed: row.get(20)?,
    })
}

/// A stored name that this program knows.
fn known<T>(column: usize, value: Option<T>) -> rusqlite::Result<T> {
    value.ok_or_else(|| {
        let reason = "a name this program doesn't know".into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason)
    })
}
