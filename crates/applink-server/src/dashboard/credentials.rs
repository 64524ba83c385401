//! Connections and authorizations: lists, one of them, and what is done to it. The rules are the API's: handlers call the
//! functions that [`crate::connections::api`] and [`crate::authorizations::api`] call.

pub mod change;
mod view;

use applink_api::ids::AddonId;
use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use sea_orm::ConnectionTrait;

use super::paging::Paging;
use super::parts::Time;
use super::session::RequireSession;
use super::shell::{Section, Shell};
use crate::app::App;
use crate::audit;
use crate::credentials::{Credential, Kind, State as Stage, store};
use crate::data_action_targets;
use crate::db::StoreError;
use crate::error::ApiError;
use crate::publications;
use crate::web::ApiPath;
use view::Row;

/// Which of the two a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of(pub Kind);

impl<S: Send + Sync> FromRequestParts<S> for Of {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let is_authorization = parts.uri.path().split('/').nth(2) == Some("authorizations");
        Ok(Self(if is_authorization { Kind::Authorization } else { Kind::Connection }))
    }
}

/// The list's path.
pub(super) fn list_path(kind: Kind) -> &'static str {
    match kind {
        Kind::Connection => "/dashboard/connections",
        Kind::Authorization => "/dashboard/authorizations",
    }
}

pub(super) fn section(kind: Kind) -> Section {
    match kind {
        Kind::Connection => Section::Connections,
        Kind::Authorization => Section::Authorizations,
    }
}

/// All of them.
#[derive(Template)]
#[template(path = "dashboard/credentials/list.html")]
struct List {
    shell: Shell,
    is_connection: bool,
    title: &'static str,
    path: &'static str,
    /// Something on the page waits for a person or for the org.
    pending: bool,
    rows: Vec<Row>,
    paging: Paging,
}

impl List {
    async fn load(
        app: &App,
        shell: &Shell,
        kind: Kind,
        addon: AddonId,
        paging: Paging,
    ) -> Result<Self, ApiError> {
        let (paging, found) = page(app.store.reader(), addon, kind, paging).await?;
        Ok(Self {
            shell: shell.clone(),
            is_connection: kind == Kind::Connection,
            title: view::title(kind),
            path: list_path(kind),
            pending: found.iter().any(is_moving),
            rows: found.iter().map(Row::new).collect(),
            paging,
        })
    }
}

fn is_moving(found: &Credential) -> bool {
    matches!(found.state, Stage::Pending { .. } | Stage::Disconnecting(_))
}

async fn page(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
    paging: Paging,
) -> Result<(Paging, Vec<Credential>), StoreError> {
    let search = paging.search().to_owned();
    let paging = paging.of(store::count(connection, addon, kind, &search).await?);
    let found = store::page(connection, addon, kind, &search, (paging.offset(), paging.limit())).await?;
    Ok((paging, found))
}

/// The list.
pub async fn list(State(app): State<App>, Of(kind): Of, found: RequireSession, paging: Paging) -> Response {
    let shell = found.shell(&app, section(kind));
    shell.answer(List::load(&app, &shell, kind, found.addon.id, paging).await)
}

/// Something that stops working when it is deleted.
struct Dependent {
    what: &'static str,
    name: String,
}

/// An app that fetched tokens.
struct Use {
    who: String,
    last: Time,
}

/// One of them.
#[derive(Template)]
#[template(path = "dashboard/credentials/show.html")]
struct Show {
    shell: Shell,
    is_connection: bool,
    kind: &'static str,
    list: &'static str,
    row: Row,
    is_moving: bool,
    dependents: Vec<Dependent>,
    used_by: Vec<Use>,
    problem: Option<String>,
}

impl Show {
    async fn load(
        app: &App,
        shell: &Shell,
        (kind, addon, named): (Kind, AddonId, &str),
        problem: Option<String>,
    ) -> Result<Self, ApiError> {
        let reader = app.store.reader();
        let found = store::find(reader, addon, kind, named).await?.ok_or_else(ApiError::not_found)?;
        let used_by = match kind {
            // Who did what is for those who may change it, as in the API.
            Kind::Authorization if shell.may_change() => {
                audit::uses::handed_out_to(reader, addon, found.id).await?
            }
            Kind::Connection | Kind::Authorization => Vec::new(),
        };
        Ok(Self {
            shell: shell.clone(),
            is_connection: kind == Kind::Connection,
            kind: kind.as_str(),
            list: list_path(kind),
            is_moving: is_moving(&found),
            dependents: dependents(app, &found).await?,
            used_by: used_by.into_iter().map(|(who, last)| Use { who, last: Time(last) }).collect(),
            row: Row::new(&found),
            problem,
        })
    }
}

async fn dependents(app: &App, credential: &Credential) -> Result<Vec<Dependent>, ApiError> {
    if credential.kind == Kind::Authorization {
        return Ok(Vec::new());
    }
    let reader = app.store.reader();
    let published = publications::store::lists::through(reader, credential.addon, credential.id).await?;
    let targets = data_action_targets::targets::list(reader, credential.addon, credential.id).await?;
    let published = published.into_iter().map(|found| Dependent { what: "Publication", name: found.client });
    let targets =
        targets.into_iter().map(|target| Dependent { what: "Data action target", name: target.api_name });
    Ok(published.chain(targets).collect())
}

/// The page of one.
pub async fn show(
    State(app): State<App>,
    Of(kind): Of,
    found: RequireSession,
    ApiPath(named): ApiPath<String>,
) -> Response {
    let shell = found.shell(&app, section(kind));
    shell.answer(Show::load(&app, &shell, (kind, found.addon.id, &named), None).await)
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::{evil, when};

    pub(crate) fn all() -> Vec<Sample> {
        let mut all = lists();
        all.extend(shown().into_iter().map(|one| Sample::new("dashboard/credentials/show.html", one)));
        all
    }

    fn lists() -> Vec<Sample> {
        let list = |kind: Kind, rows: Vec<Row>, query: &str, shell: Shell| {
            let total = rows.len() as u64 * 120;
            let page = List {
                shell,
                is_connection: kind == Kind::Connection,
                title: view::title(kind),
                path: list_path(kind),
                pending: rows.len() > 1,
                rows,
                paging: Paging::sample(query, total),
            };
            Sample::new("dashboard/credentials/list.html", page)
        };
        let mut all = Vec::new();
        let searched = format!("page=2&app=%3Cb%3E&q={}", urlencoded(&evil()));
        for kind in [Kind::Connection, Kind::Authorization] {
            let well = Row { trouble: None, ..Row::sample() };
            all.push(list(kind, Vec::new(), "", Shell::sample()));
            all.push(list(kind, Vec::new(), &searched, Shell::for_looking()));
            all.push(list(kind, vec![Row::sample(), well], &searched, Shell::sample()));
        }
        all
    }

    fn urlencoded(text: &str) -> String {
        serde_urlencoded::to_string([("q", text)]).unwrap()[2..].to_owned()
    }

    fn shown() -> Vec<Show> {
        let full = |kind: Kind| Show {
            shell: Shell::sample(),
            is_connection: kind == Kind::Connection,
            kind: kind.as_str(),
            list: list_path(kind),
            row: Row::sample(),
            is_moving: true,
            dependents: vec![Dependent { what: "Publication", name: evil() }],
            used_by: vec![Use { who: evil(), last: when() }],
            problem: Some(evil()),
        };
        let empty = |kind: Kind| {
            let (alias, org_id, username) = Default::default();
            let row = Row { alias, org_id, username, trouble: None, is_live: false, ..Row::sample() };
            let (dependents, used_by) = (Vec::new(), Vec::new());
            Show { row, dependents, used_by, problem: None, is_moving: false, ..full(kind) }
        };
        let kinds = [Kind::Connection, Kind::Authorization];
        let looked_at = kinds.map(|kind| Show { shell: Shell::for_looking(), ..full(kind) });
        let going = kinds.map(|kind| Show { row: Row { is_going: true, ..Row::sample() }, ..empty(kind) });
        kinds.map(full).into_iter().chain(kinds.map(empty)).chain(looked_at).chain(going).collect()
    }
}
