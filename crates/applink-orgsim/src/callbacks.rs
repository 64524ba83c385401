//! Where apps post their callbacks.
//!
//! 1. The URL's unguessable end names invocation and callback.
//! 2. The bearer token must be that invocation's own session: the callback's handler runs as its user.
//! 3. The body must be JSON; what doesn't fit the declared schema is kept with a finding.
//! 4. It is kept and listeners are woken. Any number may come; none of them ends the invocation.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};

use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::invoke::store::{self, Invocation};
use crate::services::schema::{self, Unnamed};
use crate::sessions::{self, Session};
use crate::state::{OrgState, bearer};
use crate::stretch::Stretch;
use crate::{secrets, times};

/// A callback URL that was handed out.
struct Expected {
    invocation: Invocation,
    callback: String,
    schema: Value,
}

/// A callback as it is kept.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) invocation_id: String,
    pub(crate) callback: String,
    user_id: String,
    pub(crate) username: Option<String>,
    pub(crate) session_ok: bool,
    pub(crate) received_micros: i64,
    pub(crate) body: Value,
    pub(crate) finding: Option<String>,
}

/// `POST /services/data/{version}/externalServices/callbacks/{handle}`.
pub(crate) async fn receive(
    State(state): State<OrgState>,
    Path((_, handle)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    state.call(move |state| take(state, &handle, &headers, &body)).await
}

fn take(state: &OrgState, handle: &str, headers: &HeaderMap, body: &[u8]) -> Result<Response, Failure> {
    let Some(expected) = state.db().read(|tx| expected(tx, handle))? else {
        return Ok(refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist"));
    };
    let Ok(content) = serde_json::from_slice::<Value>(body) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", "The callback's body is not JSON"));
    };
    let session =
        bearer(headers).map(|token| state.db().read(|tx| sessions::find(tx, token))).transpose()?.flatten();
    let session_ok = session.as_ref().is_some_and(|session| session.id == expected.invocation.session_id);
    let finding = check(&expected.schema, &content);
    let received = state
        .db()
        .write(|tx| keep(tx, &expected, session.as_ref(), session_ok, &content, finding.as_deref()))?;
    state.callbacks_seen().send_modify(|seen| *seen += 1);
    tracing::info!(
        invocation = expected.invocation.id,
        callback = expected.callback,
        session_ok,
        "callback received"
    );
    if !session_ok {
        return Ok(refusal(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid"));
    }
    Ok(Json(json!({"id": received, "success": true, "errors": []})).into_response())
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!([{"errorCode": code, "message": message}]))).into_response()
}

/// Step 1.
fn expected(tx: &Tx<'_>, handle: &str) -> Result<Option<Expected>, Failure> {
    let row: Option<(String, String, String)> = tx
        .query_row(
            "SELECT invocation_id, callback, schema FROM _callback_url WHERE handle = ?1",
            [secrets::fingerprint(handle)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((invocation_id, callback, schema)) = row else { return Ok(None) };
    let schema = serde_json::from_str(&schema)?;
    Ok(store::find(tx, &invocation_id)?.map(|invocation| Expected { invocation, callback, schema }))
}

/// Step 3. The kept schema carries the components it refers to.
fn check(kept: &Value, content: &Value) -> Option<String> {
    let schema = kept.get("schema").unwrap_or(&Value::Null);
    schema::check(kept, schema, content, "body", Unnamed::Taken).err().map(|fault| fault.to_string())
}

/// Step 4.
fn keep(
    tx: &Tx<'_>,
    expected: &Expected,
    session: Option<&Session>,
    session_ok: bool,
    content: &Value,
    finding: Option<&str>,
) -> Result<String, DbError> {
    let user_id = session.map_or("", |session| session.user_id.as_str());
    tx.execute(
        "INSERT INTO _callback (invocation_id, callback, user_id, session_ok, received_micros, body, finding) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (&expected.invocation.id, &expected.callback, user_id, session_ok, tx.now_micros(), content.to_string(), finding),
    )?;
    Ok(tx.last_insert_rowid().to_string())
}

const SELECT: &str = "SELECT c.invocation_id, c.callback, c.user_id, u.\"Username\", c.session_ok, c.received_micros, c.body, \
    c.finding FROM _callback c LEFT JOIN \"User\" u ON u.\"Id\" = c.user_id";

/// Of a user's invocations, or of all, with what is searched for in the name, the username or the invocation's id.
const FOUND: &str = "JOIN _invocation i ON i.id = c.invocation_id WHERE (?1 IS NULL OR i.user_id = ?1) \
    AND has_words(?2, c.callback, u.\"Username\", i.id)";

/// The newest callbacks, newest first: of a user's invocations, or of all.
pub(crate) fn newest(
    tx: &Tx<'_>,
    user_id: Option<&str>,
    stretch: Stretch<'_>,
) -> Result<Vec<Received>, DbError> {
    let limit = stretch.limit();
    let mut statement = tx.prepare_cached(&format!("{SELECT} {FOUND} ORDER BY c.id DESC {limit}"))?;
    let rows = statement.query_map((user_id, stretch.find), from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many are found.
pub(crate) fn count(tx: &Tx<'_>, user_id: Option<&str>, find: &str) -> Result<usize, DbError> {
    let sql =
        format!("SELECT count(*) FROM _callback c LEFT JOIN \"User\" u ON u.\"Id\" = c.user_id {FOUND}");
    let count: i64 = tx.prepare_cached(&sql)?.query_row((user_id, find), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The callbacks of an invocation, or of all, in the order they came.
pub(crate) fn list(tx: &Tx<'_>, invocation_id: Option<&str>) -> Result<Vec<Received>, Failure> {
    let mut statement =
        tx.prepare_cached(&format!("{SELECT} WHERE ?1 IS NULL OR c.invocation_id = ?1 ORDER BY c.id"))?;
    let rows = statement.query_map([invocation_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Received> {
    let body: String = row.get(6)?;
    Ok(Received {
        invocation_id: row.get(0)?,
        callback: row.get(1)?,
        user_id: row.get(2)?,
        username: row.get(3)?,
        session_ok: row.get(4)?,
        received_micros: row.get(5)?,
        body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        finding: row.get(7)?,
    })
}

impl Received {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "invocation_id": self.invocation_id,
            "callback": self.callback,
            "user_id": self.user_id,
            "username": self.username,
            "session_ok": self.session_ok,
            "received_at": times::rfc3339(self.received_micros),
            "body": self.body,
            "finding": self.finding,
        })
    }
}
