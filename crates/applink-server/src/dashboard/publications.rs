//! Publications: where the apps are published, publishing anew, what was published when, and taking it out again.
//!
//! - [`list`] and [`show`] read; [`show`] asks itself anew while a deploy is under way.
//! - [`publish`] is the form: *Check* tells the findings at their lines, what callers will see and what would break;
//!   *Publish* calls [`begin`](crate::publications::publish::begin), as the API does.
//! - [`versions`] hands documents out and compares them.

pub mod diff;
pub mod publish;
pub mod versions;

use std::collections::BTreeMap;

use applink_api::ids::PublicationId;
use applink_api::publication::HistoryEntry;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::form::Posted;
use super::notice::Notice;
use super::paging::Paging;
use super::parts::{Badge, Time, Tone};
use super::session::RequireSession;
use super::shell::{Section, Shell, go_to};
use crate::addons;
use crate::app::App;
use crate::connections;
use crate::credentials::{self, Credential, overview};
use crate::error::ApiError;
use crate::publications::flow::DeployState;
use crate::publications::store::lists::{self, Filter};
use crate::publications::{Deploy, DeployKind, Publication, history, remove, store};
use crate::web::ApiPath;

/// Deploys of a publication that are listed.
const LISTED: u64 = 50;

/// A publication in the list.
struct Row {
    path: String,
    client: String,
    connection: String,
    org_id: String,
    app: String,
    created: Time,
    created_by: String,
    modified: Time,
    modified_by: String,
    connected: Badge,
    status: Badge,
}

#[derive(Template)]
#[template(path = "dashboard/publications.html")]
struct List {
    shell: Shell,
    paging: Paging,
    apps: Vec<(String, String, bool)>,
    rows: Vec<Row>,
    pending: bool,
}

/// Which app's.
#[derive(Debug, Default, Deserialize)]
pub struct Of {
    #[serde(default)]
    app: String,
}

/// Every publication, or those of one app.
pub async fn list(
    State(app): State<App>,
    found: RequireSession,
    paging: Paging,
    Query(of): Query<Of>,
) -> Response {
    let shell = found.shell(&app, Section::Publications);
    shell.answer(load_list(&app, &found, shell.clone(), paging, &of.app).await)
}

async fn load_list(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    paging: Paging,
    of_app: &str,
) -> Result<List, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let names = app_names(app, found).await?;
    let published: Vec<String> =
        lists::apps(reader, addon).await?.into_iter().map(|id| id.to_string()).collect();
    let apps: Vec<(String, String, bool)> = names
        .iter()
        .filter(|(id, _)| published.contains(id))
        .map(|(id, name)| (id.clone(), name.clone(), id == of_app))
        .collect();
    let filter = Filter { app: of_app.parse().ok(), search: paging.search().to_owned() };
    let paging = paging.of(lists::count(reader, addon, &filter).await?);
    let listed = lists::page(reader, addon, &filter, (paging.offset(), paging.limit())).await?;
    let connections = overview::by_ids(reader, addon, listed.iter().map(|one| one.connection)).await?;
    let ids: Vec<PublicationId> = listed.iter().map(|one| one.id).collect();
    let newest = lists::newest_of(reader, addon, &ids).await?;
    let pending = newest.values().any(|deploy| !deploy.state.is_final());
    let rows = listed.into_iter().map(|publication| {
        let (connection, deploy) = (connections.get(&publication.connection), newest.get(&publication.id));
        row(publication, connection, deploy, &names)
    });
    Ok(List { rows: rows.collect(), shell, paging, apps, pending })
}

fn row(
    publication: Publication,
    connection: Option<&Credential>,
    newest: Option<&Deploy>,
    names: &BTreeMap<String, String>,
) -> Row {
    Row {
        path: format!("/dashboard/publications/{}", publication.id),
        connection: connection.map(|found| found.name.clone()).unwrap_or_default(),
        app: names.get(&publication.app.to_string()).cloned().unwrap_or_default(),
        connected: connected(connection),
        status: status(&publication, newest),
        created: Time(publication.created_at),
        created_by: publication.created_by,
        modified: Time(publication.last_modified_at),
        modified_by: publication.last_modified_by,
        client: publication.client,
        org_id: publication.org_id,
    }
}

/// Names of the attached apps by their id.
async fn app_names(app: &App, found: &RequireSession) -> Result<BTreeMap<String, String>, ApiError> {
    let attachments = addons::store::attachments_of(app.store.reader(), found.addon.id).await?;
    Ok(attachments.into_iter().map(|one| (one.app.id.to_string(), one.app.name)).collect())
}

/// How the connection is.
fn connected(connection: Option<&Credential>) -> Badge {
    use applink_api::connection::ConnectionStatus as Status;
    let Some(connection) = connection else {
        return Badge { tone: Tone::Bad, word: "gone".to_owned(), meaning: "The connection was removed." };
    };
    let (tone, word, meaning) = match connections::wire::status(connection) {
        Status::Connected => (Tone::Good, "connected", "The org can be called."),
        Status::Connecting => (Tone::Wait, "connecting", "Somebody is to log in at the org."),
        Status::Disconnecting => (Tone::Wait, "disconnecting", "The org is asked to forget it."),
        Status::Failed => (Tone::Bad, "failed", "The log-in at the org failed: connect again."),
        _ => (Tone::Bad, "disconnected", "The org can't be called: connect again."),
    };
    Badge { tone, word: word.to_owned(), meaning }
}

/// How the publication itself is.
fn status(publication: &Publication, newest: Option<&Deploy>) -> Badge {
    let is_live = publication.live.is_some();
    let (tone, word, meaning) = match newest.map(|deploy| (deploy.kind, &deploy.state)) {
        Some((DeployKind::Publish, state)) if !state.is_final() => {
            (Tone::Wait, "publishing", "The org is taking the document.")
        }
        Some((DeployKind::Remove, state)) if !state.is_final() => {
            (Tone::Wait, "removing", "The org is asked to delete what publishing made.")
        }
        _ if publication.removed_at.is_some() => {
            (Tone::Bad, "deleted in the org", "Somebody deleted it in the org: publish again, or unpublish.")
        }
        Some((DeployKind::Remove, DeployState::Failed(_))) => {
            (Tone::Bad, "not removed", "The org refused to remove it; it still works.")
        }
        Some((DeployKind::Publish, DeployState::Failed(_))) if is_live => {
            (Tone::Bad, "published, last try failed", "What was published before still works.")
        }
        Some((DeployKind::Publish, DeployState::Failed(_))) => {
            (Tone::Bad, "failed", "The org did not take it; nothing of it is there.")
        }
        _ if is_live => (Tone::Good, "published", "Flows, Apex and agents of the org can call the app."),
        _ => (Tone::Quiet, "not published", "Nothing of it is in the org."),
    };
    Badge { tone, word: word.to_owned(), meaning }
}

/// A component and how far it is.
struct Piece {
    kind: String,
    name: String,
    badge: Badge,
    problem: String,
}

/// An entry of the history.
struct Entry {
    entry: HistoryEntry,
    requested: Time,
    finished: Option<Time>,
    badge: Badge,
    is_publish: bool,
    former: Option<i64>,
}

#[derive(Template)]
#[template(path = "dashboard/publication.html")]
struct Shown {
    shell: Shell,
    row: Row,
    id: String,
    pending: bool,
    pieces: Vec<Piece>,
    problems: Vec<applink_api::error::Problem>,
    error: Option<String>,
    entries: Vec<Entry>,
    can_go: bool,
    confirm: Option<String>,
}

/// One publication, with how its deploy goes, and its history.
pub async fn show(State(app): State<App>, found: RequireSession, ApiPath(id): ApiPath<String>) -> Response {
    let shell = found.shell(&app, Section::Publications);
    shell.answer(load(&app, &found, shell.clone(), &id, None).await)
}

/// The publication a path names; 404 when it is none of the add-on's.
async fn find(app: &App, found: &RequireSession, id: &str) -> Result<Publication, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::not_found())?;
    let publication = store::find(app.store.reader(), found.addon.id, id.into()).await?;
    publication.ok_or_else(ApiError::not_found)
}

async fn load(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    id: &str,
    confirm: Option<String>,
) -> Result<Shown, ApiError> {
    let publication = find(app, found, id).await?;
    let reader = app.store.reader();
    let names = app_names(app, found).await?;
    let connection =
        credentials::store::find_by_id(reader, publication.addon, publication.connection).await?;
    let deploys = store::history(reader, publication.addon, publication.id, LISTED).await?;
    let newest = deploys.first();
    let (error, problems) = match newest.map(|deploy| &deploy.state) {
        Some(DeployState::Failed(failure)) => (Some(failure.message.clone()), failure.problems.clone()),
        _ => (None, Vec::new()),
    };
    Ok(Shown {
        shell,
        id: publication.id.to_string(),
        pending: newest.is_some_and(|deploy| !deploy.state.is_final()),
        pieces: newest.map(pieces).unwrap_or_default(),
        problems,
        error,
        entries: entries(&deploys),
        can_go: connection.as_ref().is_some_and(|found| found.live().is_some()) && publication.live.is_some(),
        confirm,
        row: row(publication, connection.as_ref(), newest, &names),
    })
}

/// The components of a deploy: as the org told, or what is in the package.
fn pieces(deploy: &Deploy) -> Vec<Piece> {
    let told = match &deploy.state {
        DeployState::Published { components } => components.as_slice(),
        DeployState::Failed(failure) => failure.components.as_slice(),
        _ => &[],
    };
    if !told.is_empty() {
        let piece = |component: &applink_api::publication::Component| Piece {
            kind: component.kind.clone(),
            name: component.name.clone(),
            badge: told_badge(component),
            problem: component.problem.clone().unwrap_or_default(),
        };
        return told.iter().map(piece).collect();
    }
    let badge = under_way(&deploy.state);
    let piece = |origin: &crate::publications::places::Origin| Piece {
        kind: origin.kind.clone(),
        name: origin.name.clone(),
        badge: badge.clone(),
        problem: String::new(),
    };
    deploy.origins.iter().map(piece).collect()
}

fn told_badge(component: &applink_api::publication::Component) -> Badge {
    let (tone, word, meaning) = match (component.success, component.created) {
        (false, _) => (Tone::Bad, "refused", "The org did not take it."),
        (true, true) => (Tone::Good, "created", "It is new in the org."),
        (true, false) => (Tone::Good, "in place", "It is in the org."),
    };
    Badge { tone, word: word.to_owned(), meaning }
}

fn under_way(state: &DeployState) -> Badge {
    let (tone, word, meaning) = match state {
        DeployState::Pending => {
            (Tone::Wait, "waiting", "Its turn comes: deploys of a connection run one by one.")
        }
        DeployState::Intended { .. } => (Tone::Wait, "being sent", "The package is on its way to the org."),
        DeployState::Deploying { .. } => (Tone::Wait, "in the org's hands", "The org works on it."),
        DeployState::Published { .. } => (Tone::Good, "done", "It is in the org."),
        DeployState::Failed(_) => (Tone::Bad, "not done", "Nothing of this deploy is in the org."),
    };
    Badge { tone, word: word.to_owned(), meaning }
}

fn entries(deploys: &[Deploy]) -> Vec<Entry> {
    let entry = |(index, deploy): (usize, &Deploy)| Entry {
        entry: history::entry(deploy),
        requested: Time(deploy.requested_at),
        finished: deploy.finished_at.map(Time),
        badge: under_way(&deploy.state),
        is_publish: deploy.kind == DeployKind::Publish,
        former: deploys
            .iter()
            .skip(index + 1)
            .find(|former| former.kind == DeployKind::Publish)
            .map(|former| former.number),
    };
    deploys.iter().enumerate().map(entry).collect()
}

/// Takes a publication out of its org, when its name was typed.
pub async fn unpublish(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Publications);
    match begin_removal(&app, &posted, &id).await {
        Ok(true) => {
            let path = format!("/dashboard/publications/{id}");
            go_to(&app, &path, Some(Notice::UnpublishBegun))
        }
        Ok(false) => {
            let wrong = "That is not the client name, so nothing was unpublished.".to_owned();
            match load(&app, &posted.found, shell.clone(), &id, Some(wrong)).await {
                Ok(page) => shell.page(StatusCode::UNPROCESSABLE_ENTITY, &page),
                Err(error) => shell.refused(&error),
            }
        }
        Err(error) => shell.refused(&error),
    }
}

async fn begin_removal(app: &App, posted: &Posted, id: &str) -> Result<bool, ApiError> {
    let publication = find(app, &posted.found, id).await?;
    if posted.fields.get("confirm") != publication.client {
        return Ok(false);
    }
    let reader = app.store.reader();
    let connection =
        credentials::store::find_by_id(reader, publication.addon, publication.connection).await?;
    let connection = connection.ok_or_else(ApiError::not_found)?;
    remove::begin(app, &posted.manager, &connection, publication.app, &publication.client).await?;
    app.nudges.publications.notify_one();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_text() {
        let evil = "<script>alert(1)</script>";
        let row = Row {
            path: "/dashboard/publications/1".to_owned(),
            client: evil.to_owned(),
            connection: evil.to_owned(),
            org_id: evil.to_owned(),
            app: evil.to_owned(),
            created: Time(applink_api::time::Timestamp::from_seconds(0)),
            created_by: evil.to_owned(),
            modified: Time(applink_api::time::Timestamp::from_seconds(0)),
            modified_by: evil.to_owned(),
            connected: connected(None),
            status: Badge { tone: Tone::Bad, word: evil.to_owned(), meaning: "" },
        };
        let list = List {
            shell: Shell::sample(),
            paging: Paging::default().of(1),
            apps: vec![(evil.to_owned(), evil.to_owned(), true), (String::new(), String::new(), false)],
            rows: vec![row],
            pending: true,
        };
        let html = list.render().unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("hx-trigger") && !html.contains("style="), "{html}");
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::{badge, evil, when};

    pub(crate) fn all() -> Vec<Sample> {
        let mut all = lists();
        all.extend(shown().map(|page| Sample::new("dashboard/publication.html", page)));
        all
    }

    fn row() -> Row {
        Row {
            path: evil(),
            client: evil(),
            connection: evil(),
            org_id: evil(),
            app: evil(),
            created: when(),
            created_by: evil(),
            modified: when(),
            modified_by: evil(),
            connected: badge(),
            status: badge(),
        }
    }

    fn lists() -> Vec<Sample> {
        let list = |shell, query, rows: Vec<Row>| List {
            shell,
            paging: Paging::sample(query, rows.len() as u64 * 120),
            apps: vec![(evil(), evil(), true), (evil(), evil(), false)],
            pending: !rows.is_empty(),
            rows,
        };
        let found = "q=%3Cscript%3E&app=%3Cb%3E&page=2";
        let lists = [
            list(Shell::sample(), "", Vec::new()),
            list(Shell::for_looking(), found, Vec::new()),
            list(Shell::sample(), found, vec![row()]),
            List { apps: Vec::new(), ..list(Shell::for_looking(), "", Vec::new()) },
        ];
        lists.map(|list| Sample::new("dashboard/publications.html", list)).to_vec()
    }

    fn entry(is_publish: bool) -> Entry {
        let entry = HistoryEntry {
            number: 7,
            kind: applink_api::publication::HistoryKind::Publish,
            status: applink_api::publication::HistoryStatus::Failed,
            hash: evil(),
            requested_at: when().0,
            requested_by: evil(),
            finished_at: None,
            error: is_publish.then(evil),
            problems: Vec::new(),
        };
        let (finished, former) = (is_publish.then(when), is_publish.then_some(6));
        Entry { entry, requested: when(), finished, badge: badge(), is_publish, former }
    }

    fn shown() -> [Shown; 4] {
        let problem =
            |line, column| applink_api::error::Problem { place: evil(), message: evil(), line, column };
        let piece = |problem| Piece { kind: evil(), name: evil(), badge: badge(), problem };
        let full = || Shown {
            shell: Shell::sample(),
            row: row(),
            id: evil(),
            pending: false,
            pieces: vec![piece(evil()), piece(String::new())],
            problems: vec![problem(Some(3), Some(4)), problem(Some(3), None), problem(None, None)],
            error: Some(evil()),
            entries: vec![entry(true), entry(false)],
            can_go: true,
            confirm: Some(evil()),
        };
        let pending = Shown { pending: true, confirm: None, ..full() };
        let (pieces, problems, entries) = (Vec::new(), Vec::new(), Vec::new());
        let empty = Shown { pieces, problems, error: None, entries, can_go: false, confirm: None, ..full() };
        [full(), pending, empty, Shown { shell: Shell::for_looking(), ..full() }]
    }
}
