//! Setup's permission sets: what each grants, and who has it, to be ticked.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderMap;
use rusqlite::OptionalExtension;

use super::frame::{Frame, href};
use super::lists::{Looked, Paging};
use super::visit::{self, Sent, Visit};
use crate::control::permission_sets as assignments;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::pages;
use crate::schema::USER_PERMISSIONS;
use crate::state::OrgState;
use crate::users;

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/setup/permission-sets", get(list))
        .route("/setup/permission-sets/{id}", get(show).post(assign))
}

/// A permission set that belongs to no profile.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) description: String,
    pub(super) session_based: bool,
}

impl Set {
    pub(super) fn href(&self) -> String {
        href(&["setup", "permission-sets", &self.id])
    }
}

const SELECT: &str = "SELECT \"Id\", \"Name\", \"Label\", \"Description\", \"HasActivationRequired\" FROM \"PermissionSet\" \
    WHERE NOT \"IsOwnedByProfile\"";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Set> {
    let name: String = row.get(1)?;
    Ok(Set {
        id: row.get(0)?,
        label: row.get::<_, Option<String>>(2)?.unwrap_or_else(|| name.clone()),
        name,
        description: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        session_based: row.get::<_, Option<bool>>(4)?.unwrap_or_default(),
    })
}

/// Every permission set, by name.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Set>, DbError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY \"Name\""))?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn one(tx: &Tx<'_>, id: &str) -> Result<Option<Set>, DbError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} AND \"Id\" = ?1"))?;
    Ok(statement.query_row([id], from_row).optional()?)
}

#[derive(Template)]
#[template(path = "setup/permission_sets.html")]
struct SetsPage {
    frame: Frame,
    sets: Vec<(Set, i64)>,
    paging: Paging,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/permission-sets", move |tx, visit| {
        let is_found = |set: &Set| looked.finds(&[&set.name, &set.label]);
        let (shown, paging) = looked.cut("/setup/permission-sets", all(tx)?, is_found);
        let counted = |set: Set| {
            let sql = "SELECT count(*) FROM \"PermissionSetAssignment\" WHERE \"PermissionSetId\" = ?1";
            let assigned: i64 = tx.query_row(sql, [&set.id], |row| row.get(0))?;
            Ok::<_, DbError>((set, assigned))
        };
        let sets = shown.into_iter().map(counted).collect::<Result<_, _>>()?;
        Ok(Some(SetsPage { frame: visit.frame, sets, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/permission_set.html")]
struct SetPage {
    frame: Frame,
    set: Set,
    credentials: Vec<String>,
    user_permissions: Vec<&'static str>,
    objects: Vec<(String, String)>,
    fields: Vec<(String, &'static str)>,
    metadata_types: Vec<String>,
    holders: Vec<Holder>,
    paging: Paging,
}

/// A user with or without the set.
struct Holder {
    id: String,
    name: String,
    username: String,
    has: bool,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/permission-sets", move |tx, visit| {
        one(tx, &id)?.map(|set| set_page(tx, visit, set, &looked)).transpose()
    })
    .await
}

fn set_page(tx: &Tx<'_>, visit: Visit, set: Set, looked: &Looked) -> Result<SetPage, Failure> {
    let paging = looked.paging(users::count(tx, &looked.find)?, &set.href());
    let mut holders = Vec::new();
    for user in users::some(tx, paging.stretch())? {
        let has = assignments::has(tx, &set.id, &user.id)?;
        holders.push(Holder { id: user.id, name: user.name, username: user.username, has });
    }
    Ok(SetPage {
        frame: visit.frame.with_notice(looked.done.as_deref()),
        credentials: texts(
            tx,
            "SELECT p.full_name FROM \"SetupEntityAccess\" a JOIN _component p ON p.id = a.\"SetupEntityId\" \
             WHERE a.\"ParentId\" = ?1 ORDER BY 1",
            &set.id,
        )?,
        user_permissions: user_permissions(tx, &set.id)?,
        objects: objects(tx, &set.id)?,
        fields: fields(tx, &set.id)?,
        metadata_types: metadata_types(tx, &set.id)?,
        set,
        holders,
        paging,
    })
}

fn texts(tx: &Tx<'_>, sql: &str, id: &str) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The labels of the user permissions a set grants.
fn user_permissions(tx: &Tx<'_>, id: &str) -> Result<Vec<&'static str>, DbError> {
    let columns: Vec<String> =
        USER_PERMISSIONS.iter().map(|(name, _)| format!("coalesce(\"Permissions{name}\", 0)")).collect();
    let sql = format!("SELECT {} FROM \"PermissionSet\" WHERE \"Id\" = ?1", columns.join(", "));
    let labels = tx.prepare_cached(&sql)?.query_row([id], |row| {
        let mut labels = Vec::new();
        for (index, (_, label)) in USER_PERMISSIONS.iter().enumerate() {
            if row.get::<_, bool>(index)? {
                labels.push(*label);
            }
        }
        Ok(labels)
    })?;
    Ok(labels)
}

/// Object and what may be done with its records.
fn objects(tx: &Tx<'_>, id: &str) -> Result<Vec<(String, String)>, DbError> {
    let flags = [
        ("PermissionsRead", "read"),
        ("PermissionsCreate", "create"),
        ("PermissionsEdit", "edit"),
        ("PermissionsDelete", "delete"),
        ("PermissionsViewAllRecords", "view all"),
        ("PermissionsModifyAllRecords", "modify all"),
    ];
    let columns = flags.map(|(column, _)| format!("coalesce(\"{column}\", 0)")).join(", ");
    let mut statement = tx.prepare_cached(&format!(
        "SELECT \"SobjectType\", {columns} FROM \"ObjectPermissions\" WHERE \"ParentId\" = ?1 ORDER BY 1"
    ))?;
    let rows = statement.query_map([id], |row| {
        let mut may = Vec::new();
        for (index, (_, word)) in flags.iter().enumerate() {
            if row.get::<_, bool>(index + 1)? {
                may.push(*word);
            }
        }
        Ok((row.get(0)?, may.join(", ")))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn fields(tx: &Tx<'_>, id: &str) -> Result<Vec<(String, &'static str)>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT \"Field\", coalesce(\"PermissionsEdit\", 0) FROM \"FieldPermissions\" WHERE \"ParentId\" = ?1 ORDER BY 1",
    )?;
    let rows = statement.query_map([id], |row| {
        let may = if row.get::<_, bool>(1)? { "read, edit" } else { "read" };
        Ok((row.get(0)?, may))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The custom metadata types a set lets its holders read.
fn metadata_types(tx: &Tx<'_>, id: &str) -> Result<Vec<String>, DbError> {
    let granted =
        texts(tx, "SELECT \"SetupEntityId\" FROM \"SetupEntityAccess\" WHERE \"ParentId\" = ?1", id)?;
    let schema = tx.schema();
    let is_granted = |name: &str| schema.definition_id(name).is_some_and(|id| granted.contains(&id));
    let objects = schema.objects().iter();
    Ok(objects.filter(|object| is_granted(&object.name)).map(|object| object.name.clone()).collect())
}

/// What a form of ticks changes: for each line shown, whether it was ticked and whether it is now. Lines whose tick is
/// as it was are left alone, so that a page from a while ago undoes nothing.
pub(super) fn ticks(sent: &Sent) -> Vec<(String, bool)> {
    let was: Vec<&str> = sent.all("was").collect();
    let now: Vec<&str> = sent.all("has").collect();
    let changed = sent.all("shown").filter(|id| was.contains(id) != now.contains(id));
    changed.map(|id| (id.to_owned(), now.contains(&id))).collect()
}

/// The permission that ticking needs.
pub(super) const ASSIGN: (&str, &str) = ("AssignPermissionSets", "Assign Permission Sets");

async fn assign(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    visit::submit(state, headers, body, "/setup/permission-sets", move |state, visit, sent| {
        if !visit.permissions.has(ASSIGN.0) {
            return visit::lacking(state, ASSIGN.1);
        }
        let set = state.db().write(|tx| {
            let Some(set) = one(tx, &id)? else { return Ok::<_, Failure>(None) };
            for (user_id, has) in ticks(&sent) {
                if users::by_id(tx, &user_id)?.is_some() {
                    assignments::set(tx, &set.id, &user_id, has)?;
                }
            }
            Ok(Some(set))
        })?;
        let Some(set) = set else { return pages::nothing_here(state) };
        let page = sent.one("page").parse().unwrap_or(1_usize);
        Ok(Redirect::to(&format!("{}?page={page}&done=saved", set.href())).into_response())
    })
    .await
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let set = |session_based| {
            let (id, name, label, description) = (evil(), evil(), evil(), evil());
            Set { id, name, label, description, session_based }
        };
        let sets = vec![(set(true), 1), (set(false), 7)];
        let list = |sets, paging| SetsPage { frame: frame(), sets, paging };
        let holder = |has| Holder { id: evil(), name: evil(), username: evil(), has };
        let full = SetPage {
            frame: frame(),
            set: set(true),
            credentials: vec![evil()],
            user_permissions: vec!["Manage Users"],
            objects: vec![(evil(), evil())],
            fields: vec![(evil(), "read")],
            metadata_types: vec![evil()],
            holders: vec![holder(true), holder(false)],
            paging: long(),
        };
        let empty = SetPage {
            frame: frame(),
            set: Set { description: String::new(), ..set(false) },
            credentials: Vec::new(),
            user_permissions: Vec::new(),
            objects: Vec::new(),
            fields: Vec::new(),
            metadata_types: Vec::new(),
            holders: Vec::new(),
            paging: none(),
        };
        vec![
            Sample::new("setup/permission_sets.html", list(sets, long())),
            Sample::new("setup/permission_sets.html", list(Vec::new(), none())),
            Sample::new("setup/permission_set.html", full),
            Sample::new("setup/permission_set.html", empty),
        ]
    }
}
