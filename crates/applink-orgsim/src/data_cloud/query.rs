//! SQL over lake and model objects, on the org's own database.
//!
//! 1. Whoever's token is for queries may read every `__dll` and `__dlm`, and nothing else of the database: SQLite asks us
//!    about each table and function while it reads the statement ([`Fence`]).
//! 2. A statement runs once. Its first batch is the answer; the others are kept under ids of their own for an hour.
//! 3. Version 2 answers rows as lists, version 1 as objects, page by page of the caller's own making.

use std::collections::HashSet;
use std::sync::PoisonError;

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::caller::{json_body, of_tenant};
use super::problem::TenantError;
use super::rows;
use super::streams;
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::state::OrgState;
use crate::{secrets, times};

/// The scope it takes.
pub(super) const SCOPE: &str = "cdp_query_api";
/// How long later batches are kept.
const KEPT_MICROS: i64 = 3600 * MICROS_PER_SECOND;
/// The most rows a page of version 1 may have.
const MOST_ROWS_V1: u64 = 49_999;
/// SQLite's steps between two looks at whether a statement takes too long, and how many looks it gets.
const STEPS: (i32, u32) = (100_000, 1_000);
/// Functions that could take all memory.
const HUNGRY: [&str; 3] = ["randomblob", "zeroblob", "load_extension"];
/// No value of a query grows longer.
const LONGEST_VALUE: i32 = 16 * 1024 * 1024;
/// What a result may take of memory, and roughly what each value takes besides its text.
const LARGEST_RESULT: usize = 256 * 1024 * 1024;
const VALUE: usize = 64;

#[derive(Deserialize)]
struct Asked {
    sql: Value,
}

#[derive(Deserialize)]
pub(super) struct Paging {
    limit: Option<u64>,
    offset: Option<u64>,
    orderby: Option<String>,
}

/// A batch of a result.
struct Batch {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Clone)]
struct Column {
    name: String,
    kind: &'static str,
    code: i32,
}

/// `POST /api/v2/query`.
pub(super) async fn version_2(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            let access = of_tenant(state, &headers, SCOPE)?;
            run(state, &access.user_id, &sql_of(&body)?)
        })
        .await
        .map(Json)
}

/// `{"sql": "…"}`, and `{"sql": {"sql": "…"}}` as one of the official SDKs writes it.
pub(super) fn sql_of(body: &[u8]) -> Result<String, TenantError> {
    let sql = match json_body::<Asked>(body)?.sql {
        Value::Object(mut wrapped) => wrapped.remove("sql").unwrap_or_default(),
        plain => plain,
    };
    match sql {
        Value::String(sql) => Ok(sql),
        _ => Err(TenantError::bad_request(
            "sql: expected a text, as in {\"sql\": \"SELECT page__c FROM ClickEvent__dlm\"}",
        )),
    }
}

/// The first batch; what follows is kept.
pub(super) fn run(state: &OrgState, user_id: &str, sql: &str) -> Result<Value, TenantError> {
    let size = state.limits().data_cloud.batch_rows.max(1);
    let now = times::rfc3339(state.clock().now_micros());
    let query_id = secrets::handle(state.entropy());
    state.db().write(|tx| {
        let mut batches = Vec::new();
        read(tx, sql, size, |batch| {
            batches.push(batch);
            Ok(())
        })?;
        sweep(state, tx)?;
        let count = batches.len();
        let mut first = None;
        for (number, batch) in batches.into_iter().enumerate() {
            let next = (number + 1 < count).then(|| format!("{query_id}-{}", number + 1));
            let body = answer(batch, &query_id, next.as_deref(), &now);
            if number == 0 {
                first = Some(body);
                continue;
            }
            tx.prepare_cached(
                "INSERT INTO _dc_result (id, user_id, body, expires_micros) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                format!("{query_id}-{number}"),
                user_id,
                body.to_string(),
                tx.now_micros() + KEPT_MICROS,
            ))?;
        }
        Ok(first.unwrap_or(Value::Null))
    })
}

fn answer(batch: Batch, query_id: &str, next: Option<&str>, now: &str) -> Value {
    let mut body = json!({
        "startTime": now,
        "endTime": now,
        "rowCount": batch.rows.len(),
        "queryId": query_id,
        "done": next.is_none(),
        "metadata": described(&batch.columns),
        "data": batch.rows,
    });
    if let Some(next) = next {
        body["nextBatchId"] = next.into();
    }
    body
}

fn described(columns: &[Column]) -> Value {
    let each = columns.iter().enumerate().map(|(place, column)| {
        let about = json!({"type": column.kind, "placeInOrder": place, "typeCode": column.code});
        (column.name.clone(), about)
    });
    Value::Object(each.collect())
}

/// `GET /api/v2/query/{batch}`, and POST, as one of the official SDKs asks. A batch may be asked for again.
pub(super) async fn next_batch(
    State(state): State<OrgState>,
    Path(batch): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            let access = of_tenant(state, &headers, SCOPE)?;
            kept(state, &access.user_id, &batch)
        })
        .await
        .map(Json)
}

/// A batch that was kept, for its own user.
pub(super) fn kept(state: &OrgState, user_id: &str, batch: &str) -> Result<Value, TenantError> {
    let body: Option<String> = state.db().read(|tx| {
        let found = tx
            .prepare_cached(
                "SELECT body FROM _dc_result WHERE id = ?1 AND user_id = ?2 AND expires_micros > ?3",
            )?
            .query_row((batch, user_id, tx.now_micros()), |row| row.get(0));
        Ok::<_, DbError>(found.optional()?)
    })?;
    let body = body.ok_or_else(|| {
        TenantError::not_found(
            "There is no such batch of a query, or it is older than an hour; run the query again",
        )
    })?;
    Ok(serde_json::from_str(&body)?)
}

/// Now and then, results nobody asked for are thrown away.
fn sweep(state: &OrgState, tx: &Tx<'_>) -> Result<(), DbError> {
    let mut swept = state.data_cloud().swept_micros.lock().unwrap_or_else(PoisonError::into_inner);
    if tx.now_micros() - *swept > 60 * MICROS_PER_SECOND {
        *swept = tx.now_micros();
        tx.execute("DELETE FROM _dc_result WHERE expires_micros <= ?1", [tx.now_micros()])?;
    }
    Ok(())
}

/// `POST /api/v1/query?limit=&offset=&orderby=`.
pub(super) async fn version_1(
    State(state): State<OrgState>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            page(state, &sql_of(&body)?, &paging)
        })
        .await
        .map(Json)
}

fn page(state: &OrgState, sql: &str, paging: &Paging) -> Result<Value, TenantError> {
    let limit = paging.limit.unwrap_or(MOST_ROWS_V1).min(MOST_ROWS_V1);
    let offset = paging.offset.unwrap_or_default();
    let order = paging.orderby.as_deref().map(ordered_by).transpose()?.unwrap_or_default();
    // A line of its own: the statement may end in a comment.
    let statement =
        format!("SELECT * FROM (\n{}\n) {order} LIMIT {limit} OFFSET {offset}", without_end(sql)?);
    let now = times::rfc3339(state.clock().now_micros());
    let mut page = Batch { columns: Vec::new(), rows: Vec::new() };
    state.db().read(|tx| {
        read(tx, &statement, usize::MAX, |batch| {
            page = batch;
            Ok(())
        })
    })?;
    let named = |row: Vec<Value>| -> Value {
        let names = page.columns.iter().map(|column| column.name.clone());
        Value::Object(names.zip(row).collect::<Map<_, _>>())
    };
    let rows: Vec<Value> = page.rows.into_iter().map(named).collect();
    Ok(json!({
        "startTime": now,
        "endTime": now,
        "rowCount": rows.len(),
        "queryId": secrets::handle(state.entropy()),
        "done": true,
        "metadata": described(&page.columns),
        "data": rows,
    }))
}

/// `column`, `column ASC` or `column DESC`.
fn ordered_by(text: &str) -> Result<String, TenantError> {
    let mut words = text.split_whitespace();
    let (column, direction) = (words.next().unwrap_or_default(), words.next().unwrap_or("ASC"));
    let is_name =
        !column.is_empty() && column.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_direction = ["ASC", "DESC"].iter().any(|known| known.eq_ignore_ascii_case(direction));
    match words.next() {
        // In double quotes what is no column's name would be a text to SQLite, and order nothing.
        None if is_name && is_direction => Ok(format!("ORDER BY [{column}] {direction}")),
        _ => Err(TenantError::bad_request("orderby: expected a column's name, then ASC or DESC or nothing")),
    }
}

/// `GET /api/v1/metadata`: the objects that can be queried, with their columns.
pub(super) async fn metadata(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            let streams = state.db().read(streams::all)?;
            let about = |name: String, stream: &streams::Stream| {
                let fields: Vec<Value> = stream
                    .fields
                    .iter()
                    .map(|field| json!({"name": streams::column(&field.name), "displayName": field.name, "type": field.kind.column_type()}))
                    .collect();
                json!({"name": name, "displayName": stream.label, "category": stream.category, "fields": fields})
            };
            let objects: Vec<Value> = streams
                .iter()
                .flat_map(|(stream, _)| {
                    [about(stream.lake_object(), stream), about(stream.model_object(), stream)]
                })
                .collect();
            Ok(Json(json!({"metadata": objects})))
        })
        .await
}

/// Runs one statement, batch by batch; there is one batch at least.
fn read(
    tx: &Tx<'_>,
    sql: &str,
    size: usize,
    mut take: impl FnMut(Batch) -> Result<(), TenantError>,
) -> Result<(), TenantError> {
    let sql = without_end(sql)?;
    let refused = |error: rusqlite::Error| refused(&error);
    let _fence = Fence::around(tx)?;
    let mut statement = tx.prepare(sql).map_err(refused)?;
    if !statement.readonly() {
        return Err(TenantError::bad_request("Only queries are taken here: SELECT, or WITH … SELECT"));
    }
    let mut columns: Vec<Column> =
        statement.columns().iter().map(|column| of_declared(column.name(), column.decl_type())).collect();
    let booleans: Vec<bool> = columns.iter().map(|column| column.kind == "BOOLEAN").collect();
    let mut found = statement.query([]).map_err(refused)?;
    let (mut batch, mut batches, mut held) = (Vec::new(), 0, 0);
    while let Some(row) = found.next().map_err(refused)? {
        if held > LARGEST_RESULT {
            return Err(TenantError::bad_request(
                "The result is larger than 256 MiB; ask for fewer rows or columns, with LIMIT for example",
            ));
        }
        if batch.len() == size {
            take(Batch { columns: columns.clone(), rows: std::mem::take(&mut batch) })?;
            batches += 1;
        }
        let values = booleans
            .iter()
            .enumerate()
            .map(|(index, is_boolean)| Ok(rows::to_json(row.get_ref(index)?, *is_boolean)))
            .collect::<rusqlite::Result<Vec<Value>>>()
            .map_err(refused)?;
        held += values.iter().map(|value| VALUE + value.as_str().map_or(0, str::len)).sum::<usize>();
        if batches == 0 && batch.is_empty() {
            columns.iter_mut().zip(&values).for_each(|(column, value)| column.learn(value));
        }
        batch.push(values);
    }
    if !batch.is_empty() || batches == 0 {
        take(Batch { columns, rows: batch })?;
    }
    Ok(())
}

/// The statement without its `;`. It begins as a query does: SQLite counts other things as reading too.
fn without_end(sql: &str) -> Result<&str, TenantError> {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let begin = sql.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    if ["select", "with"].iter().any(|known| known.eq_ignore_ascii_case(begin)) {
        return Ok(sql);
    }
    Err(TenantError::bad_request("Only queries are taken here: SELECT, or WITH … SELECT"))
}

fn refused(error: &rusqlite::Error) -> TenantError {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::OperationInterrupted => {
            TenantError::new(StatusCode::BAD_REQUEST, "The query takes too long and was ended")
        }
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::TooBig => {
            TenantError::bad_request("A value of the query grows longer than 16 MiB")
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if failure.code == ErrorCode::AuthorizationForStatementDenied =>
        {
            TenantError::bad_request(
                "Only objects whose names end in __dll or __dlm can be queried; GET /api/v1/metadata lists them",
            )
        }
        error => {
            let said = error.to_string();
            let next = match said.starts_with("no such table") {
                true => "; GET /api/v1/metadata lists what there is",
                false => "",
            };
            TenantError::bad_request(format!("The query can't be run: {said}{next}"))
        }
    }
}

/// SQLite's type names and their numbers in JDBC.
fn of_declared(name: &str, declared: Option<&str>) -> Column {
    let known =
        [("VARCHAR", 12), ("DECIMAL", 3), ("DATE", 91), ("TIMESTAMP WITH TIME ZONE", 2014), ("BOOLEAN", 16)];
    let found = known
        .into_iter()
        .find(|(kind, _)| declared.is_some_and(|declared| declared.eq_ignore_ascii_case(kind)));
    let (kind, code) = found.unwrap_or(("", 0));
    Column { name: name.to_owned(), kind, code }
}

impl Column {
    /// An expression has no declared type: its first value shows it.
    fn learn(&mut self, value: &Value) {
        if self.code == 0 {
            (self.kind, self.code) = match value {
                Value::Number(number) if number.is_i64() => ("BIGINT", -5),
                Value::Number(_) => ("DOUBLE", 8),
                _ => ("VARCHAR", 12),
            };
        }
    }
}

/// While it stands, only lake and model objects can be read, and nothing runs for long or grows without end.
struct Fence<'c> {
    connection: &'c Connection,
    longest_value: i32,
}

impl<'c> Fence<'c> {
    fn around(connection: &'c Connection) -> Result<Self, DbError> {
        let tables: HashSet<String> = connection
            .prepare_cached("SELECT lower(name) FROM sqlite_master")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        connection.authorizer(Some(move |context: AuthContext<'_>| allowed(context, &tables)))?;
        let (steps, mut left) = STEPS;
        connection.progress_handler(
            steps,
            Some(move || {
                left = left.saturating_sub(1);
                left == 0
            }),
        )?;
        let longest_value = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
        Ok(Self { connection, longest_value })
    }
}

impl Drop for Fence<'_> {
    fn drop(&mut self) {
        let opened = self
            .connection
            .authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
            .and_then(|()| self.connection.progress_handler(0, None::<fn() -> bool>))
            .and_then(|()| self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, self.longest_value));
        if let Err(error) = opened {
            tracing::error!(error = &error as &dyn std::error::Error, "the fence around a query stays up");
        }
    }
}

/// Counting the rows of a common table expression is reading no column of its name, which is no table's then.
fn allowed(context: AuthContext<'_>, tables: &HashSet<String>) -> Authorization {
    let is_made_up = |name: &str| {
        let name = name.to_ascii_lowercase();
        !name.starts_with("sqlite_") && !name.starts_with("pragma_") && !tables.contains(&name)
    };
    let yes = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, column_name } => {
            is_lake_or_model(table_name) || (column_name.is_empty() && is_made_up(table_name))
        }
        AuthAction::Function { function_name } => {
            !HUNGRY.iter().any(|hungry| hungry.eq_ignore_ascii_case(function_name))
        }
        _ => false,
    };
    if yes { Authorization::Allow } else { Authorization::Deny }
}

fn is_lake_or_model(name: &str) -> bool {
    let end = name.len().checked_sub(5).and_then(|at| name.get(at..)).unwrap_or_default();
    !name.starts_with('_') && ["__dll", "__dlm"].iter().any(|known| known.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_statement_begins_as_a_query_does() {
        for good in ["select 1", " WITH a AS (select 1) SELECT * FROM a ; ", "SELECT\n1;"] {
            assert!(without_end(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ";",
            "-- x\nselect 1",
            "PRAGMA user_version",
            "ATTACH 'x' AS y",
            "selected",
            "EXPLAIN select 1",
        ] {
            assert!(without_end(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_lake_and_model_objects_are_named_so() {
        assert!(is_lake_or_model("AcmeWeb_ClickEvent__dll") && is_lake_or_model("ClickEvent__DLM"));
        for bad in ["_dc_token", "User", "__dll", "_x__dll", "sqlite_master", "ü__dl"] {
            assert!(!is_lake_or_model(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(sql in "\\PC{0,60}", by in "\\PC{0,30}") {
            let _ = without_end(&sql);
            let _ = is_lake_or_model(&sql);
            if let Ok(order) = ordered_by(&by) {
                prop_assert_eq!(order.matches(['[', ']']).count(), 2);
            }
        }
    }
}
