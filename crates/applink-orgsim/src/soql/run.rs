//! Running a query: results as the REST API shapes them, in batches behind a locator.
//!
//! 1. A statement finds the ids of all matching records; their number is `totalSize`.
//! 2. A second statement fetches the fields of the first batch, with the caller's rights checked again.
//! 3. When more remain, the ids are kept under a locator (`01g…`) that only the same user can use. Each further
//!    batch is step 2 again, so rights that ended meanwhile no longer count.

use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use super::ast::{Query, Selected};
use super::compile::{Context, Sql};
use super::error::SoqlError;
use super::parser;
use crate::db::Tx;
use crate::rest::RestError;
use crate::rights::{Rights, preamble_params};

/// Records per batch unless the caller asks for another number.
pub const DEFAULT_BATCH: usize = 2_000;
/// The smallest batch that can be asked for.
pub const SMALLEST_BATCH: usize = 200;
/// How many locators a user may have open; the oldest goes first, as in a real org.
const MOST_LOCATORS: i64 = 10;
/// The most groups an aggregate query may answer.
const MOST_GROUPS: usize = 2_000;

/// How results are to be shaped.
#[derive(Debug, Clone, Copy)]
pub struct QueryOptions<'o> {
    /// The start of record and locator URLs, such as `/services/data/v66.0`.
    pub base_url: &'o str,
    /// Records per batch.
    pub batch_size: usize,
    /// Whether deleted records count.
    pub all_rows: bool,
}

/// Runs a query with a caller's rights.
///
/// # Errors
/// Salesforce's errors for a query that is malformed or names what the caller may not read.
pub fn run(
    tx: &Tx<'_>,
    rights: &Rights,
    source: &str,
    options: QueryOptions<'_>,
) -> Result<Value, RestError> {
    let refuse = |error: SoqlError| RestError::from_soql(&error, source);
    let query = parser::parse(source).map_err(refuse)?;
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, options.all_rows, &preamble);
    if let [Selected::CountRows(_)] = query.select.as_slice()
        && query.group_by.is_empty()
    {
        let count = context.count(&query).map_err(refuse)?;
        let total: i64 =
            tx.query_row(&count.text, rusqlite::params_from_iter(count.params), |row| row.get(0))?;
        return Ok(json!({"totalSize": total, "done": true, "records": []}));
    }
    if query.is_aggregate() {
        return groups(tx, &context, &query, options, source);
    }
    let ids = ids(tx, &context.ids(&query).map_err(refuse)?)?;
    let page = Page { tx, context: &context, query: &query, ids: &ids, options };
    page.answer(source, 0, None)
}

/// Answers the next batch of a query, named by the last part of its `nextRecordsUrl`.
///
/// # Errors
/// `INVALID_QUERY_LOCATOR` when it isn't the caller's or is no longer kept.
pub fn run_more(
    tx: &Tx<'_>,
    rights: &Rights,
    locator: &str,
    options: QueryOptions<'_>,
) -> Result<Value, RestError> {
    let invalid = || RestError::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let (id, start) = locator.split_once('-').ok_or_else(invalid)?;
    let start: usize = start.parse().map_err(|_| invalid())?;
    let user = rights.caller().user_id().unwrap_or_default();
    let kept: Option<(String, bool, String)> = tx
        .query_row(
            "SELECT soql, all_rows, record_ids FROM _query_locators WHERE id = ?1 AND user_id = ?2",
            [id, user],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let (source, all_rows, ids) = kept.ok_or_else(invalid)?;
    let ids: Vec<String> = serde_json::from_str(&ids).map_err(|_| invalid())?;
    if start >= ids.len() {
        return Err(invalid());
    }
    let query = parser::parse(&source).map_err(|error| RestError::from_soql(&error, &source))?;
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, all_rows, &preamble);
    Page { tx, context: &context, query: &query, ids: &ids, options }.answer(&source, start, Some(id))
}

/// A stretch of a query's records, `most` after the first `skipped`, and how many it has in all.
pub(crate) fn stretch(
    tx: &Tx<'_>,
    rights: &Rights,
    source: &str,
    (skipped, most): (usize, usize),
) -> Result<(usize, Vec<Value>), RestError> {
    let refuse = |error: SoqlError| RestError::from_soql(&error, source);
    let query = parser::parse(source).map_err(refuse)?;
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, false, &preamble);
    let ids = ids(tx, &context.ids(&query).map_err(refuse)?)?;
    let options = QueryOptions { base_url: "", batch_size: most, all_rows: false };
    let page = Page { tx, context: &context, query: &query, ids: &ids, options };
    let wanted = ids.get(skipped.min(ids.len())..ids.len().min(skipped + most)).unwrap_or_default();
    Ok((ids.len(), page.records(source, wanted)?))
}

/// The records with these ids that the caller may read, by id, shaped by a query's `SELECT`.
pub(crate) fn fetch(
    tx: &Tx<'_>,
    rights: &Rights,
    query: &Query,
    ids: &[String],
    base_url: &str,
) -> Result<Vec<(Option<String>, Value)>, RestError> {
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, false, &preamble);
    let plan = context
        .page(query, json!(ids).to_string())
        .map_err(|error| RestError::from_soql(&error, &query.to_string()))?;
    Ok(plan.records(tx, base_url)?)
}

pub(super) fn context<'a>(
    tx: &Tx<'a>,
    rights: &'a Rights,
    all_rows: bool,
    preamble: &'a [SqlValue],
) -> Context<'a> {
    let now = jiff::Timestamp::from_microsecond(tx.now_micros()).unwrap_or_default();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    Context { schema: tx.schema(), rights, today, all_rows, preamble }
}

pub(super) fn ids(tx: &Tx<'_>, sql: &Sql) -> Result<Vec<String>, RestError> {
    let mut statement = tx.prepare_cached(&sql.text)?;
    let rows = statement.query_map(rusqlite::params_from_iter(&sql.params), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn groups(
    tx: &Tx<'_>,
    context: &Context<'_>,
    query: &Query,
    options: QueryOptions<'_>,
    source: &str,
) -> Result<Value, RestError> {
    let plan = context.groups(query).map_err(|error| RestError::from_soql(&error, source))?;
    let records: Vec<Value> =
        plan.records(tx, options.base_url)?.into_iter().map(|(_, record)| record).collect();
    if records.len() > MOST_GROUPS {
        let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch";
        return Err(RestError::new(400, "EXCEEDED_ID_LIMIT", message));
    }
    Ok(json!({"totalSize": records.len(), "done": true, "records": records}))
}

struct Page<'p> {
    tx: &'p Tx<'p>,
    context: &'p Context<'p>,
    query: &'p Query,
    ids: &'p [String],
    options: QueryOptions<'p>,
}

impl Page<'_> {
    fn answer(&self, source: &str, start: usize, locator: Option<&str>) -> Result<Value, RestError> {
        let end = self.ids.len().min(start + self.options.batch_size);
        let wanted = self.ids.get(start..end).unwrap_or_default();
        let records = self.records(source, wanted)?;
        let done = end == self.ids.len();
        let mut answer = json!({"totalSize": self.ids.len(), "done": done});
        if !done {
            let id = match locator {
                Some(id) => id.to_owned(),
                None => self.keep(source)?,
            };
            answer["nextRecordsUrl"] = json!(format!("{}/query/{id}-{end}", self.options.base_url));
        }
        answer["records"] = Value::Array(records);
        Ok(answer)
    }

    /// The records in the order of their ids; one that meanwhile can't be read is left out.
    fn records(&self, source: &str, wanted: &[String]) -> Result<Vec<Value>, RestError> {
        let plan = self
            .context
            .page(self.query, json!(wanted).to_string())
            .map_err(|error| RestError::from_soql(&error, source))?;
        let mut found: std::collections::HashMap<String, Value> = plan
            .records(self.tx, self.options.base_url)?
            .into_iter()
            .filter_map(|(id, record)| Some((id?, record)))
            .collect();
        Ok(wanted.iter().filter_map(|id| found.remove(id)).collect())
    }

    fn keep(&self, source: &str) -> Result<String, RestError> {
        let tx = self.tx;
        let id = tx.new_id("01g")?;
        let user = self.context.rights.caller().user_id().unwrap_or_default();
        tx.execute(
            "INSERT INTO _query_locators (id, user_id, soql, all_rows, record_ids, created_micros) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, user, source, self.context.all_rows, json!(self.ids).to_string(), tx.now_micros()],
        )?;
        tx.execute(
            "DELETE FROM _query_locators WHERE user_id = ?1 AND id NOT IN \
             (SELECT id FROM _query_locators WHERE user_id = ?1 ORDER BY created_micros DESC, id DESC LIMIT ?2)",
            params![user, MOST_LOCATORS],
        )?;
        Ok(id)
    }
}
