//! Setup's users, with their permission sets to tick.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderMap;

use super::frame::{Frame, href};
use super::lists::{Looked, Paging};
use super::permission_sets::{self, ASSIGN, Set};
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
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/users", move |tx, visit| {
        let paging = looked.paging(users::count(tx, &looked.find)?, "/setup/users");
        let mut lines = Vec::new();
        for user in users::some(tx, paging.stretch())? {
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
    paging: Paging,
    permissions: Vec<&'static str>,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/users", move |tx, visit| {
        let user = users::by_id(tx, &id)?;
        user.map(|user| user_page(tx, visit, user, &looked)).transpose()
    })
    .await
}

fn user_page(tx: &Tx<'_>, visit: Visit, user: User, looked: &Looked) -> Result<UserPage, Failure> {
    let href = href(&["setup", "users", &user.id]);
    let is_found = |set: &Set| looked.finds(&[&set.name, &set.label]);
    let (shown, paging) = looked.cut(&href, permission_sets::all(tx)?, is_found);
    let mut sets = Vec::new();
    for set in shown {
        let has = assignments::has(tx, &set.id, &user.id)?;
        sets.push((set, has));
    }
    let held = rights::user_permissions(tx, &Caller::user(&user.id, String::new()))?;
    let permissions =
        USER_PERMISSIONS.iter().filter(|(name, _)| held.has(name)).map(|(_, label)| *label).collect();
    let frame = visit.frame.with_notice(looked.done.as_deref());
    Ok(UserPage { frame, href, user, sets, paging, permissions })
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
        let page = sent.one("page").parse().unwrap_or(1_usize);
        let back = href(&["setup", "users", &id]);
        Ok(Redirect::to(&format!("{back}?page={page}&done=saved")).into_response())
    })
    .await
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let line = |is_active| Line { href: evil(), user: user(is_active), sets: evil() };
        let users = UsersPage { frame: frame(), users: vec![line(true), line(false)], paging: long() };
        let set = |session_based, has| {
            let (id, name, label, description) = (evil(), evil(), evil(), evil());
            (Set { id, name, label, description, session_based }, has)
        };
        let page = |sets, paging, is_active| UserPage {
            frame: frame(),
            href: evil(),
            user: user(is_active),
            sets,
            paging,
            permissions: vec!["Manage Users"],
        };
        vec![
            Sample::new("setup/users.html", users),
            Sample::new("setup/user.html", page(vec![set(true, true), set(false, false)], long(), true)),
            Sample::new("setup/user.html", page(Vec::new(), none(), false)),
        ]
    }

    fn user(is_active: bool) -> User {
        User {
            id: evil(),
            username: evil(),
            name: evil(),
            first_name: Some(evil()),
            last_name: evil(),
            nickname: Some(evil()),
            email: evil(),
            time_zone: evil(),
            locale: evil(),
            language: evil(),
            profile: evil(),
            is_active,
            modified_micros: 0,
        }
    }
}
