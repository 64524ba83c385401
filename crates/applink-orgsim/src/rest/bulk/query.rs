//! Query jobs: the whole answer is written down as CSV lines when the job runs, and handed out in pages.
//!
//! A locator is the number of the next line in Base64: `MTAwMDA` is line 10000.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::ingest::RunError;
use super::job::{Job, Operation, State, invalid_state};
use super::store;
use crate::db::{Database, Tx};
use crate::rest::RestError;
use crate::rights::Rights;
use crate::soql;

/// Records per page unless the caller asks for another number, and at most.
const MOST_RECORDS: u32 = 10_000;

/// A page of results.
#[derive(Debug)]
pub(super) struct Page {
    /// The header line and the records' lines.
    pub(super) csv: Vec<u8>,
    pub(super) records: usize,
    /// Leads to the next page; `None` when this is the last.
    pub(super) locator: Option<String>,
}

/// Runs a job that is `InProgress` to its end.
pub(super) fn run(db: &Database, job: &Job) -> Result<(), RunError> {
    db.write(|tx| {
        let rights = Rights::load(tx, &job.caller())?;
        let source = job.query.as_deref().unwrap_or_default();
        let all_rows = job.operation == Operation::QueryAll;
        let mut number = 0;
        soql::table(tx, &rights, source, all_rows, |values| {
            let mut line = Vec::new();
            job.dialect.write(&mut line, values);
            store::add_line(tx, &job.id, number, &line)?;
            number += 1;
            Ok(())
        })
        .map_err(failed)?;
        store::count(tx, &job.id, number.saturating_sub(1), 0)?;
        Ok(store::set_state(tx, &job.id, State::JobComplete)?)
    })
}

/// A query that was fine when the job was made may no longer be: rights end.
fn failed(error: RestError) -> RunError {
    if error.status >= 500 {
        return RunError::Org(error);
    }
    RunError::Unusable(format!("InvalidBatch : Failed to process query: {}: {}", error.code, error.message))
}

/// A page of a job's results.
///
/// # Errors
/// `INVALIDJOBSTATE` until the job is complete, `INVALIDLOCATOR` for one that leads nowhere.
pub(super) fn page(
    tx: &Tx<'_>,
    job: &Job,
    locator: Option<&str>,
    most: Option<&str>,
) -> Result<Page, RestError> {
    if job.state != State::JobComplete {
        let message = format!("Results are there when the job is JobComplete; it is {}", job.state.name());
        return Err(invalid_state(message));
    }
    let first = first_line(job, locator)?;
    let most = most.map(records_per_page).transpose()?.unwrap_or(MOST_RECORDS);
    let mut csv = store::lines(tx, &job.id, 0, 1)?.concat();
    let lines = store::lines(tx, &job.id, first, most)?;
    csv.extend(lines.iter().flatten());
    let next = first + lines.len() as u32;
    let locator = (next <= job.processed).then(|| STANDARD_NO_PAD.encode((next - 1).to_string()));
    Ok(Page { csv, records: lines.len(), locator })
}

fn first_line(job: &Job, locator: Option<&str>) -> Result<u32, RestError> {
    let Some(locator) = locator.filter(|locator| !locator.is_empty()) else { return Ok(1) };
    let bytes = STANDARD_NO_PAD.decode(locator.trim_end_matches('=')).ok();
    let number = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u32>().ok());
    number.filter(|number| *number < job.processed).map(|number| number + 1).ok_or_else(|| {
        RestError::new(400, "INVALIDLOCATOR", "The locator is none that this job's results named")
    })
}

fn records_per_page(text: &str) -> Result<u32, RestError> {
    let number = text
        .parse::<u32>()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| RestError::new(400, "INVALIDJOB", "maxRecords: a number of records, 1 or more"))?;
    Ok(number.min(MOST_RECORDS))
}
