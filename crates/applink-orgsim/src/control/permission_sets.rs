//! Permission sets: what there is, who has it, giving and taking it.

use axum::Json;
use axum::extract::State;
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::db::{DbError, Tx};
use crate::state::OrgState;
use crate::users;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    permission_set: String,
    username: String,
}

pub(super) async fn list(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let sets = state.db().read(|tx| {
        let mut statement = tx.prepare_cached(
            "SELECT \"Id\", \"Name\", \"Label\", \"HasActivationRequired\" FROM \"PermissionSet\" WHERE NOT \"IsOwnedByProfile\" ORDER BY \"Name\"",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let rows: Vec<(String, String, Option<String>, bool)> = rows.collect::<rusqlite::Result<_>>()?;
        rows.into_iter().map(|row| describe(tx, row)).collect::<Result<Vec<_>, DbError>>()
    })?;
    Ok(Json(Value::Array(sets)))
}

fn describe(
    tx: &Tx<'_>,
    (id, name, label, session_based): (String, String, Option<String>, bool),
) -> Result<Value, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT u.\"Username\" FROM \"PermissionSetAssignment\" a JOIN \"User\" u ON u.\"Id\" = a.\"AssigneeId\" \
         WHERE a.\"PermissionSetId\" = ?1 ORDER BY 1",
    )?;
    let assigned =
        statement.query_map([&id], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(
        json!({"id": id, "name": name, "label": label, "session_based": session_based, "assigned_to": assigned}),
    )
}

/// The names of the permission sets assigned to a user, the profile's own apart.
pub(crate) fn held_by(tx: &Tx<'_>, user_id: &str) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT s.\"Name\" FROM \"PermissionSetAssignment\" a JOIN \"PermissionSet\" s ON s.\"Id\" = a.\"PermissionSetId\" \
         WHERE a.\"AssigneeId\" = ?1 AND NOT s.\"IsOwnedByProfile\" ORDER BY 1",
    )?;
    let rows = statement.query_map([user_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) async fn assign(
    State(state): State<OrgState>,
    Body(assignment): Body<Assignment>,
) -> Result<Json<Value>, Problem> {
    let changed = state.db().write(|tx| {
        let (permission_set, user) = find(tx, &assignment)?;
        Ok::<_, Problem>(set(tx, &permission_set, &user, true)?)
    })?;
    Ok(answer(&assignment, true, changed))
}

pub(super) async fn unassign(
    State(state): State<OrgState>,
    Body(assignment): Body<Assignment>,
) -> Result<Json<Value>, Problem> {
    let changed = state.db().write(|tx| {
        let (permission_set, user) = find(tx, &assignment)?;
        Ok::<_, Problem>(set(tx, &permission_set, &user, false)?)
    })?;
    Ok(answer(&assignment, false, changed))
}

/// Whether a user has a permission set, both by their ids.
pub(crate) fn has(tx: &Tx<'_>, set_id: &str, user_id: &str) -> Result<bool, DbError> {
    let has = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM \"PermissionSetAssignment\" WHERE \"PermissionSetId\" = ?1 AND \"AssigneeId\" = ?2)",
        )?
        .query_row((set_id, user_id), |row| row.get(0))?;
    Ok(has)
}

/// Gives a user a permission set or takes it away, both by their ids; `false` when there was nothing to do.
pub(crate) fn set(tx: &Tx<'_>, set_id: &str, user_id: &str, assigned: bool) -> Result<bool, DbError> {
    if has(tx, set_id, user_id)? == assigned {
        return Ok(false);
    }
    if assigned {
        tx.execute(
            "INSERT INTO \"PermissionSetAssignment\" (\"Id\", \"PermissionSetId\", \"AssigneeId\", \"IsActive\", \"SystemModstamp\") \
             VALUES (?1, ?2, ?3, 1, ?4)",
            (tx.new_id("0Pa")?, set_id, user_id, tx.now_row_micros()),
        )?;
    } else {
        tx.execute(
            "DELETE FROM \"PermissionSetAssignment\" WHERE \"PermissionSetId\" = ?1 AND \"AssigneeId\" = ?2",
            (set_id, user_id),
        )?;
    }
    Ok(true)
}

fn answer(assignment: &Assignment, assigned: bool, changed: bool) -> Json<Value> {
    Json(json!({
        "permission_set": assignment.permission_set,
        "username": assignment.username,
        "assigned": assigned,
        "changed": changed,
    }))
}

/// Ids of permission set and user.
fn find(tx: &Tx<'_>, assignment: &Assignment) -> Result<(String, String), Problem> {
    let set: Option<String> = tx
        .query_row(
            "SELECT \"Id\" FROM \"PermissionSet\" WHERE \"Name\" = ?1 AND NOT \"IsOwnedByProfile\"",
            [&assignment.permission_set],
            |row| row.get(0),
        )
        .optional()
        .map_err(DbError::from)?;
    let set = set.ok_or_else(|| {
        Problem::unknown("permission set", &assignment.permission_set, "/_sim/permission-sets")
    })?;
    let user = users::by_username(tx, &assignment.username)?;
    let user = user.ok_or_else(|| Problem::unknown("user", &assignment.username, "/_sim/users"))?;
    Ok((set, user.id))
}
