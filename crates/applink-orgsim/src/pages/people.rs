//! Setup's users, with their permission sets to tick.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::frame::{Frame, PAGE_SIZE, Paging, href};
use super::permission_sets::{self, ASSIGN, Set};
use super::services::Done;
use super::visit::{self, Visit};
use crate::control::permission_sets as assignments;
use crate::db::Tx;
use crate::failure::Failure;
use crate::pages;
use crate::rights::{self, Caller};
use crate::schema::USER_PERMISSIONS;
use crate::state::OrgState;
use crate::users::{self, User};

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/setup/users", get(list)).route("/setup/users/{id}", get(show).post(assign))
}

#[derive(Deserialize)]
struct Listed {
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "setup/users.html")]
struct UsersPage {
    frame: Frame,
    users: Vec<Line>,
    paging: Paging,
}

struct Line {
    href: String,
    user: User,
    sets: String,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<Listed>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/users", move |tx, visit| {
        let paging = Paging::new(query.page.unwrap_or(1), users::count(tx)?, "/setup/users", "");
        let mut lines = Vec::new();
        for user in users::some(tx, PAGE_SIZE, paging.offset())? {
            let sets = assignments::held_by(tx, &user.id)?.join(", ");
            lines.push(Line { href: href(&["setup", "users", &user.id]), user, sets });
        }
        Ok(Some(UsersPage { frame: visit.frame, users: lines, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/user.html")]
struct UserPage {
    frame: Frame,
    href: String,
    user: User,
    sets: Vec<(Set, bool)>,
    permissions: Vec<&'static str>,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<Done>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/users", move |tx, visit| {
        let user = users::by_id(tx, &id)?;
        user.map(|user| user_page(tx, visit, user, query.done.as_deref())).transpose()
    })
    .await
}

fn user_page(tx: &Tx<'_>, visit: Visit, user: User, done: Option<&str>) -> Result<UserPage, Failure> {
    let mut sets = Vec::new();
    for set in permission_sets::all(tx)? {
        let has = assignments::has(tx, &set.id, &user.id)?;
        sets.push((set, has));
    }
    let held = rights::user_permissions(tx, &Caller::user(&user.id, String::new()))?;
    let permissions =
        USER_PERMISSIONS.iter().filter(|(name, _)| held.has(name)).map(|(_, label)| *label).collect();
    let href = href(&["setup", "users", &user.id]);
    Ok(UserPage { frame: visit.frame.with_notice(done), href, user, sets, permissions })
}

async fn assign(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    visit::submit(state, headers, body, "/setup/users", move |state, visit, sent| {
        if !visit.permissions.has(ASSIGN.0) {
            return visit::lacking(state, ASSIGN.1);
        }
        let known = state.db().write(|tx| {
            let Some(user) = users::by_id(tx, &id)? else { return Ok::<_, Failure>(false) };
            let sets = permission_sets::all(tx)?;
            for (set_id, has) in permission_sets::ticks(&sent) {
                if sets.iter().any(|set| set.id == set_id) {
                    assignments::set(tx, &set_id, &user.id, has)?;
                }
            }
            Ok(true)
        })?;
        if !known {
            return pages::nothing_here(state);
        }
        Ok(Redirect::to(&format!("{}?done=saved", href(&["setup", "users", &id]))).into_response())
    })
    .await
}
