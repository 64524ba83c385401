//! Invocations as rows: opened with their session and elevation, ended with both.

use rusqlite::{OptionalExtension, Row};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Mode;
use super::arguments::OpenCallback;
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::secrets;
use crate::sessions::{self, Kind, NewSession};
use crate::stretch::Stretch;

/// An invocation about to be sent.
pub(super) struct NewInvocation<'a> {
    pub(super) org_id: &'a str,
    pub(super) request_id: &'a str,
    pub(super) service: &'a str,
    pub(super) operation: &'a str,
    pub(super) user_id: &'a str,
    pub(super) mode: Mode,
    pub(super) permission_set_id: Option<&'a str>,
    pub(super) callbacks: &'a [OpenCallback],
    pub(super) lifetime_seconds: i64,
}

/// An invocation as it is kept.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) request_id: String,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) user_id: String,
    pub(crate) username: String,
    pub(crate) mode: String,
    pub(crate) session_id: String,
    /// `calling`, `waiting` or `ended`.
    pub(crate) state: String,
    pub(crate) created_micros: i64,
    pub(crate) expires_micros: i64,
    pub(crate) ended_micros: Option<i64>,
    pub(crate) answer_status: Option<u16>,
}

/// Opens an invocation: its session, the activation of the permission set in it, the callback URLs.
/// The answer is invocation id, session id and the session's token.
pub(super) fn open(tx: &Tx<'_>, new: &NewInvocation<'_>) -> Result<(String, String, SecretString), DbError> {
    let id = tx.new_id("08P")?;
    let (session_id, token) = sessions::open(
        tx,
        &NewSession {
            kind: Kind::Invocation,
            org_id: new.org_id,
            user_id: new.user_id,
            consumer_key: None,
            scopes: "api",
            grant_id: None,
            timeout_seconds: new.lifetime_seconds,
        },
    )?;
    let expires = tx.now_micros() + new.lifetime_seconds * MICROS_PER_SECOND;
    tx.execute(
        "INSERT INTO _invocation (id, request_id, service, operation, user_id, mode, session_id, state, created_micros, expires_micros) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'calling', ?8, ?9)",
        (&id, new.request_id, new.service, new.operation, new.user_id, new.mode.name(), &session_id, tx.now_micros(), expires),
    )?;
    if let Some(permission_set_id) = new.permission_set_id {
        activate(tx, &id, &session_id, permission_set_id, new.user_id, expires)?;
    }
    for callback in new.callbacks {
        tx.execute(
            "INSERT INTO _callback_url (handle, invocation_id, callback, schema) VALUES (?1, ?2, ?3, ?4)",
            (secrets::fingerprint(&callback.handle), &id, &callback.name, callback.schema.to_string()),
        )?;
    }
    if !new.callbacks.is_empty() {
        insert_background_operation(tx, &id, new)?;
    }
    Ok((id, session_id, token))
}

fn activate(
    tx: &Tx<'_>,
    id: &str,
    session_id: &str,
    permission_set_id: &str,
    user_id: &str,
    expires: i64,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO \"SessionPermSetActivation\" (\"Id\", \"AuthSessionId\", \"PermissionSetId\", \"UserId\", \"Description\", \
         \"CreatedDate\", \"LastModifiedDate\", \"SystemModstamp\") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)",
        (tx.new_id("5Pa")?, session_id, permission_set_id, user_id, format!("Invocation {id}"), tx.now_row_micros()),
    )?;
    tx.execute(
        "INSERT INTO _elevation (session_id, permission_set_id, invocation_id, expires_micros) VALUES (?1, ?2, ?3, ?4)",
        (session_id, permission_set_id, id, expires),
    )?;
    Ok(())
}

/// `BackgroundOperation` is where an admin watches for callbacks.
fn insert_background_operation(tx: &Tx<'_>, id: &str, new: &NewInvocation<'_>) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO \"BackgroundOperation\" (\"Id\", \"Name\", \"Status\", \"Type\", \"SubmittedAt\", \"StartedAt\", \"CreatedDate\", \
         \"CreatedById\", \"LastModifiedDate\", \"LastModifiedById\", \"SystemModstamp\") \
         VALUES (?1, ?2, 'Running', 'ExternalServiceCallback', ?3, ?3, ?3, ?4, ?3, ?4, ?3)",
        (id, format!("{}.{}", new.service, new.operation), tx.now_row_micros(), new.user_id),
    )?;
    Ok(())
}

/// Notes the app's answer; the invocation ends unless it waits for callbacks.
pub(super) fn answered(tx: &Tx<'_>, id: &str, status: u16, waits: bool) -> Result<(), DbError> {
    tx.execute(
        "UPDATE _invocation SET answer_status = ?2, state = CASE WHEN state = 'calling' THEN 'waiting' ELSE state END WHERE id = ?1",
        (id, status),
    )?;
    if waits { Ok(()) } else { end(tx, id).map(|_| ()) }
}

/// Ends an invocation with its session and elevation; `false` when it had ended before.
pub(crate) fn end(tx: &Tx<'_>, id: &str) -> Result<bool, DbError> {
    let session_id: Option<String> = tx
        .query_row(
            "UPDATE _invocation SET state = 'ended', ended_micros = ?2 WHERE id = ?1 AND state <> 'ended' RETURNING session_id",
            (id, tx.now_micros()),
            |row| row.get(0),
        )
        .optional()?;
    let Some(session_id) = session_id else { return Ok(false) };
    sessions::end(tx, &session_id)?;
    tx.execute(
        "UPDATE \"BackgroundOperation\" SET \"Status\" = 'Complete', \"FinishedAt\" = ?2, \"LastModifiedDate\" = ?2, \
         \"SystemModstamp\" = ?2 WHERE \"Id\" = ?1",
        (id, tx.now_row_micros()),
    )?;
    Ok(true)
}

/// Ends a session, and the invocation it was opened for if there is one.
pub(crate) fn end_of_session(tx: &Tx<'_>, session_id: &str) -> Result<(), DbError> {
    for id in ids(tx, "SELECT id FROM _invocation WHERE session_id = ?1 AND state <> 'ended'", session_id)? {
        end(tx, &id)?;
    }
    sessions::end(tx, session_id)
}

/// Ends every session and invocation of a user.
pub(crate) fn end_of_user(tx: &Tx<'_>, user_id: &str) -> Result<(), DbError> {
    for id in ids(tx, "SELECT id FROM _session WHERE user_id = ?1", user_id)? {
        end_of_session(tx, &id)?;
    }
    Ok(())
}

fn ids(tx: &Tx<'_>, sql: &str, parameter: &str) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([parameter], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const SELECT: &str = "SELECT i.id, i.request_id, i.service, i.operation, i.user_id, u.\"Username\", i.mode, i.session_id, i.state, \
    i.created_micros, i.expires_micros, i.ended_micros, i.answer_status FROM _invocation i LEFT JOIN \"User\" u ON u.\"Id\" = i.user_id";

pub(crate) fn find(tx: &Tx<'_>, id: &str) -> Result<Option<Invocation>, DbError> {
    Ok(tx.query_row(&format!("{SELECT} WHERE i.id = ?1"), [id], from_row).optional()?)
}

/// A user's, or all, with what is searched for in the operation, the username, the state or the id.
const FOUND: &str = "(?1 IS NULL OR i.user_id = ?1) \
    AND has_words(?2, i.service || '.' || i.operation, u.\"Username\", i.state, i.id)";

/// The newest invocations, newest first: a user's, or all.
pub(crate) fn newest(
    tx: &Tx<'_>,
    user_id: Option<&str>,
    stretch: Stretch<'_>,
) -> Result<Vec<Invocation>, DbError> {
    let limit = stretch.limit();
    let mut statement = tx.prepare_cached(&format!(
        "{SELECT} WHERE {FOUND} ORDER BY i.created_micros DESC, i.rowid DESC {limit}"
    ))?;
    let rows = statement.query_map((user_id, stretch.find), from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many are found.
pub(crate) fn count(tx: &Tx<'_>, user_id: Option<&str>, find: &str) -> Result<usize, DbError> {
    let sql = format!(
        "SELECT count(*) FROM _invocation i LEFT JOIN \"User\" u ON u.\"Id\" = i.user_id WHERE {FOUND}"
    );
    let count: i64 = tx.prepare_cached(&sql)?.query_row((user_id, find), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The ids of invocations whose time is over; `interrupted` adds those a dead process was calling.
pub(super) fn overdue(tx: &Tx<'_>, interrupted: bool) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT id FROM _invocation WHERE state <> 'ended' AND (expires_micros <= ?1 OR (?2 AND state = 'calling'))",
    )?;
    let rows = statement.query_map((tx.now_micros(), interrupted), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes activations whose time is over, whatever became of their invocation.
pub(super) fn drop_expired_elevations(tx: &Tx<'_>) -> Result<usize, DbError> {
    tx.execute(
        "DELETE FROM \"SessionPermSetActivation\" WHERE EXISTS (SELECT 1 FROM _elevation e WHERE e.expires_micros <= ?1 \
         AND e.session_id = \"AuthSessionId\" AND e.permission_set_id = \"PermissionSetId\")",
        [tx.now_micros()],
    )?;
    Ok(tx.execute("DELETE FROM _elevation WHERE expires_micros <= ?1", [tx.now_micros()])?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Invocation> {
    Ok(Invocation {
        id: row.get(0)?,
        request_id: row.get(1)?,
        service: row.get(2)?,
        operation: row.get(3)?,
        user_id: row.get(4)?,
        username: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        mode: row.get(6)?,
        session_id: row.get(7)?,
        state: row.get(8)?,
        created_micros: row.get(9)?,
        expires_micros: row.get(10)?,
        ended_micros: row.get(11)?,
        answer_status: row.get(12)?,
    })
}

impl Invocation {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "invocation_id": self.id,
            "request_id": self.request_id,
            "service": self.service,
            "operation": self.operation,
            "user_id": self.user_id,
            "username": self.username,
            "mode": self.mode,
            "session_id": self.session_id,
            "state": self.state,
            "created_at": crate::times::rfc3339(self.created_micros),
            "expires_at": crate::times::rfc3339(self.expires_micros),
            "ended_at": self.ended_micros.map(crate::times::rfc3339),
            "status": self.answer_status,
        })
    }
}
