//! Many rows as CSV: `POST jobs` → `PUT jobs/{id}/batches`, once or more → `PATCH` with `UploadComplete` → the worker
//! takes it through `InProgress` to `JobComplete`, or to `Failed` at the first row that is none. `Aborted` ends it.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use csv::StringRecord;
use http::{HeaderMap, StatusCode};
use rusqlite::{OptionalExtension, Row as SqlRow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{json_body, of_tenant};
use super::events;
use super::ingest::SCOPE;
use super::problem::TenantError;
use super::rows::{self, Operation, Row};
use super::streams::{self, Stream};
use crate::db::{DbError, Tx};
use crate::state::OrgState;
use crate::{secrets, times};

/// Batches a job may have, as documented.
const MOST_PARTS: i64 = 100;
/// Rows of one transaction.
const STRIDE: usize = 500;

/// A job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: String,
    connector: String,
    pub(super) object: String,
    operation: Operation,
    state: String,
    created_by: String,
    created_micros: i64,
    changed_micros: i64,
    /// The part that is being applied, and how many of its rows were.
    part: i64,
    rows: i64,
    applied: i64,
    failed: i64,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewJob {
    object: String,
    source_name: String,
    operation: Operation,
}

#[derive(Deserialize)]
struct NewState {
    state: String,
}

/// `POST /api/v1/ingest/jobs`.
pub(super) async fn create(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TenantError> {
    state
        .call(move |state| {
            let access = of_tenant(state, &headers, SCOPE)?;
            let new: NewJob = json_body(&body)?;
            let job = state.db().write(|tx| {
                let stream = streams::of_source(tx, &new.source_name, &new.object)?;
                let id = secrets::handle(tx.entropy());
                tx.execute(
                    "INSERT INTO _dc_job (id, connector, object, operation, state, created_by, created_micros, changed_micros) \
                     VALUES (?1, ?2, ?3, ?4, 'Open', ?5, ?6, ?6)",
                    (&id, &stream.connector, &stream.object, new.operation.name(), &access.user_id, tx.now_micros()),
                )?;
                find(tx, &id)
            })?;
            Ok((StatusCode::CREATED, Json(job.to_json())).into_response())
        })
        .await
}

/// `GET /api/v1/ingest/jobs`.
pub(super) async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            let jobs = state.db().read(all)?;
            Ok(Json(json!({"done": true, "data": jobs.iter().map(Job::to_json).collect::<Vec<_>>()})))
        })
        .await
}

/// `GET /api/v1/ingest/jobs/{id}`.
pub(super) async fn show(
    State(state): State<OrgState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            Ok(Json(state.db().read(|tx| find(tx, &id))?.to_json()))
        })
        .await
}

/// `PUT /api/v1/ingest/jobs/{id}/batches`.
pub(super) async fn upload(
    State(state): State<OrgState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            state.db().write(|tx| {
                find(tx, &id)?.ensure_open()?;
                let number: i64 =
                    tx.query_row("SELECT COUNT(*) FROM _dc_job_part WHERE job_id = ?1", [&id], |row| {
                        row.get(0)
                    })?;
                if number >= MOST_PARTS {
                    return Err(TenantError::bad_request("A job takes 100 batches at most"));
                }
                tx.execute(
                    "INSERT INTO _dc_job_part (job_id, number, content) VALUES (?1, ?2, ?3)",
                    (&id, number, body.as_ref()),
                )?;
                Ok(())
            })?;
            Ok((StatusCode::ACCEPTED, Json(json!({"accepted": true}))).into_response())
        })
        .await
}

/// `PATCH /api/v1/ingest/jobs/{id}` with `{"state": "UploadComplete"}` or `Aborted`.
pub(super) async fn change(
    State(state): State<OrgState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            let wanted: NewState = json_body(&body)?;
            let job = state.db().write(|tx| {
                let job = find(tx, &id)?;
                match wanted.state.as_str() {
                    "UploadComplete" => job.ensure_open()?,
                    "Aborted" if !job.is_over() => {}
                    "Aborted" => {
                        return Err(TenantError::bad_request(format!("The job is {} already", job.state)));
                    }
                    _ => return Err(TenantError::bad_request("state: expected UploadComplete or Aborted")),
                }
                set_state(tx, &id, &wanted.state, None)?;
                find(tx, &id)
            })?;
            state.data_cloud().due.notify_one();
            Ok(Json(job.to_json()))
        })
        .await
}

/// `DELETE /api/v1/ingest/jobs/{id}`.
pub(super) async fn remove(
    State(state): State<OrgState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            state.db().write(|tx| {
                let job = find(tx, &id)?;
                if !job.is_over() {
                    return Err(TenantError::bad_request(format!(
                        "The job is {}; abort it first",
                        job.state
                    )));
                }
                tx.execute("DELETE FROM _dc_job_part WHERE job_id = ?1", [&id])?;
                tx.execute("DELETE FROM _dc_job WHERE id = ?1", [&id])?;
                Ok(())
            })?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

impl Job {
    fn ensure_open(&self) -> Result<(), TenantError> {
        match self.state.as_str() {
            "Open" => Ok(()),
            state => {
                Err(TenantError::bad_request(format!("The job is {state}; only an Open job takes data")))
            }
        }
    }

    fn is_over(&self) -> bool {
        ["JobComplete", "Failed", "Aborted"].contains(&self.state.as_str())
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": self.object,
            "sourceName": self.connector,
            "operation": self.operation,
            "state": self.state,
            "contentType": "CSV",
            "apiVersion": "v1",
            "createdById": self.created_by,
            "createdDate": times::rfc3339(self.created_micros),
            "systemModstamp": times::rfc3339(self.changed_micros),
            "numberRecordsProcessed": self.applied,
            "numberRecordsFailed": self.failed,
            "errorMessage": self.message,
        })
    }
}

const SELECT: &str = "SELECT id, connector, object, operation, state, created_by, created_micros, changed_micros, part, \
    rows, applied, failed, message FROM _dc_job";

fn from_row(row: &SqlRow<'_>) -> rusqlite::Result<Job> {
    let operation: String = row.get(3)?;
    Ok(Job {
        id: row.get(0)?,
        connector: row.get(1)?,
        object: row.get(2)?,
        operation: Operation::from_name(&operation).unwrap_or(Operation::Upsert),
        state: row.get(4)?,
        created_by: row.get(5)?,
        created_micros: row.get(6)?,
        changed_micros: row.get(7)?,
        part: row.get(8)?,
        rows: row.get(9)?,
        applied: row.get(10)?,
        failed: row.get(11)?,
        message: row.get(12)?,
    })
}

fn find(tx: &Tx<'_>, id: &str) -> Result<Job, TenantError> {
    let found = tx.query_row(&format!("{SELECT} WHERE id = ?1"), [id], from_row).optional()?;
    found.ok_or_else(|| TenantError::not_found("There is no such job"))
}

/// All jobs, the newest first.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Job>, DbError> {
    let mut statement =
        tx.prepare_cached(&format!("{SELECT} ORDER BY created_micros DESC, rowid DESC LIMIT 200"))?;
    let jobs = statement.query_map([], from_row)?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}

/// The oldest job that is not over and whose data is there.
pub(super) fn next_due(tx: &Tx<'_>) -> Result<Option<Job>, DbError> {
    let sql = format!(
        "{SELECT} WHERE state IN ('UploadComplete', 'InProgress') ORDER BY created_micros, rowid LIMIT 1"
    );
    Ok(tx.query_row(&sql, [], from_row).optional()?)
}

/// Whatever ended it, nothing else does.
fn set_state(tx: &Tx<'_>, id: &str, state: &str, message: Option<&str>) -> Result<(), DbError> {
    tx.execute(
        "UPDATE _dc_job SET state = ?2, message = ?3, changed_micros = ?4 \
         WHERE id = ?1 AND state NOT IN ('JobComplete', 'Failed', 'Aborted')",
        (id, state, message, tx.now_micros()),
    )?;
    if state != "UploadComplete" && state != "InProgress" {
        tx.execute("DELETE FROM _dc_job_part WHERE job_id = ?1", [id])?;
    }
    Ok(())
}

/// Moves a job on: to `InProgress`, then stride by stride, each with the place it reached, to its end.
pub(super) fn step(state: &OrgState, job: &Job) -> Result<(), TenantError> {
    if job.state == "UploadComplete" {
        return Ok(state.db().write(|tx| set_state(tx, &job.id, "InProgress", None))?);
    }
    let part: Option<Vec<u8>> = state.db().read(|tx| {
        let sql = "SELECT content FROM _dc_job_part WHERE job_id = ?1 AND number = ?2";
        Ok::<_, DbError>(tx.query_row(sql, (&job.id, job.part), |row| row.get(0)).optional()?)
    })?;
    let Some(part) = part else {
        return Ok(state.db().write(|tx| set_state(tx, &job.id, "JobComplete", None))?);
    };
    match apply_part(state, job, &part) {
        Err(TenantError::Refused { message, .. }) => Ok(state.db().write(|tx| {
            // It ends at the first row that is none.
            tx.execute(
                "UPDATE _dc_job SET failed = failed + 1 WHERE id = ?1 AND state = 'InProgress'",
                [&job.id],
            )?;
            set_state(tx, &job.id, "Failed", Some(&message))
        })?),
        done => done,
    }
}

fn apply_part(state: &OrgState, job: &Job, part: &[u8]) -> Result<(), TenantError> {
    let stream = state.db().read(|tx| streams::of_source(tx, &job.connector, &job.object))?;
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(part);
    let headers = reader.headers().map_err(|error| unreadable(&error))?.clone();
    let mut applied = 0;
    let mut records = reader.records().skip(usize::try_from(job.rows).unwrap_or_default());
    loop {
        let stride: Vec<StringRecord> =
            records.by_ref().take(STRIDE).collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
        if stride.is_empty() {
            break;
        }
        let first = usize::try_from(job.rows).unwrap_or_default() + applied;
        let rows = stride
            .iter()
            .enumerate()
            .map(|(index, record)| {
                row(&stream, job.operation, &headers, record)
                    .map_err(|fault| TenantError::bad_request(format!("row {}{fault}", first + index + 1)))
            })
            .collect::<Result<Vec<Row>, _>>()?;
        applied += rows.len();
        let reached = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let is_wanted = state.db().write(|tx| {
            let changed = tx.execute(
                "UPDATE _dc_job SET rows = rows + ?2, applied = applied + ?2, changed_micros = ?3 \
                 WHERE id = ?1 AND state = 'InProgress'",
                (&job.id, reached, tx.now_micros()),
            )?;
            if changed > 0 {
                events::apply(state, tx, &stream, job.operation, &rows)?;
            }
            Ok::<_, TenantError>(changed > 0)
        })?;
        // It was aborted.
        if !is_wanted {
            return Ok(());
        }
    }
    state.db().write(|tx| {
        tx.execute("UPDATE _dc_job SET part = part + 1, rows = 0 WHERE id = ?1", [&job.id])?;
        Ok::<_, TenantError>(())
    })
}

fn unreadable(error: &csv::Error) -> TenantError {
    TenantError::bad_request(format!("The CSV can't be read: {error}"))
}

fn row(
    stream: &Stream,
    operation: Operation,
    headers: &StringRecord,
    record: &StringRecord,
) -> Result<Row, String> {
    let mut row = Row::new();
    for (name, text) in headers.iter().zip(record) {
        let kind = stream.field(name).map(|field| field.kind);
        let kind =
            kind.ok_or_else(|| format!(".{name}: the schema of {} has no such field", stream.object))?;
        row.insert(name.to_owned(), rows::of_text(kind, text));
    }
    match operation {
        Operation::Upsert => rows::check(stream, Value::Object(row)),
        Operation::Delete if row.contains_key(&stream.primary_key) => Ok(row),
        Operation::Delete => Err(format!(".{}: the primary key is missing", stream.primary_key)),
    }
}
