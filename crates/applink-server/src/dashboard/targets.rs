//! Data action targets: what Data Cloud orgs call an app for, with the state of each, and making, rotating and removing
//! them through the functions of the API.

use applink_api::data_action_target::CreateDataActionTarget;
use applink_api::ids::AppUuid;
use applink_api::org::OrgType;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use uuid::Uuid;

use super::form::{Fields, Posted};
use super::notice::Notice;
use super::paging::Paging;
use super::parts::{Badge, Time, Tone};
use super::session::RequireSession;
use super::shell::{Section, Shell, go_to};
use crate::app::App;
use crate::credentials::{self, Credential, overview};
use crate::data_action_targets::flow::{State as Standing, Target};
use crate::data_action_targets::{manage, targets};
use crate::error::ApiError;
use crate::web::ApiPath;

/// Connections to choose from, at most.
const CHOICES: u64 = 200;

const PATH: &str = "/dashboard/data-action-targets";

/// A target, for people.
struct Row {
    path: String,
    api_name: String,
    label: String,
    connection: String,
    org_id: String,
    app: String,
    endpoint: String,
    badge: Badge,
    error: String,
    key: Option<Time>,
    created: Time,
    created_by: String,
    modified: Time,
    has_key: bool,
}

impl Row {
    fn of(target: &Target, connection: &Credential) -> Self {
        Self {
            path: format!("{PATH}/{}", target.id),
            api_name: target.api_name.clone(),
            label: target.label.clone(),
            connection: connection.name.clone(),
            org_id: target.org_id.clone(),
            app: target.app_name.clone(),
            endpoint: target.endpoint.clone(),
            badge: badge(&target.state),
            error: target.error().map(|error| error.message.clone()).unwrap_or_default(),
            key: target.key_made_at.map(Time),
            created: Time(target.created_at),
            created_by: target.created_by.clone(),
            modified: Time(target.last_modified_at),
            has_key: target.state == Standing::Created,
        }
    }
}

fn badge(state: &Standing) -> Badge {
    let (tone, meaning) = match state {
        Standing::Pending => (Tone::Wait, "It is asked for."),
        Standing::Creating => (Tone::Wait, "The org is making it."),
        Standing::GeneratingSigningKey => (Tone::Wait, "The org is to make its signing key."),
        Standing::Created => (Tone::Good, "What the org sends is signed and gets to the app."),
        Standing::CreationFailed(_) => (Tone::Bad, "The org did not make it: create it again."),
        Standing::Deleting => (Tone::Wait, "It is being removed from the org."),
    };
    Badge { tone, word: state.word().replace('_', " "), meaning }
}

fn is_pending(target: &Target) -> bool {
    !target.state.status().is_settled()
}

/// Something to choose.
struct Choice {
    id: String,
    label: String,
    chosen: bool,
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Draft {
    connection: String,
    app: String,
    label: String,
    api_name: String,
    path: String,
}

impl Draft {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self {
            connection: text("connection"),
            app: text("app"),
            label: text("label"),
            api_name: text("api_name"),
            path: text("target_endpoint"),
        }
    }
}

#[derive(Template)]
#[template(path = "dashboard/targets.html")]
struct List {
    shell: Shell,
    paging: Paging,
    rows: Vec<Row>,
    pending: bool,
    connections: Vec<Choice>,
    apps: Vec<Choice>,
    draft: Draft,
    problem: Option<String>,
}

/// All of them, and the form for another.
pub async fn list(State(app): State<App>, found: RequireSession, paging: Paging) -> Response {
    let shell = found.shell(&app, Section::Targets);
    shell.answer(load_list(&app, &found, shell.clone(), paging, Draft::default(), None).await)
}

async fn load_list(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    paging: Paging,
    draft: Draft,
    problem: Option<String>,
) -> Result<List, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let paging = paging.of(targets::count(reader, addon).await?);
    let listed = targets::page(reader, addon, (paging.offset(), paging.limit())).await?;
    let through = overview::by_ids(reader, addon, listed.iter().map(|one| one.connection)).await?;
    let rows = listed.iter().filter_map(|one| Some(Row::of(one, through.get(&one.connection)?))).collect();
    let live = overview::live(reader, addon, Some(OrgType::DataCloudOrg), CHOICES).await?;
    let connections = live.into_iter().map(|one| Choice {
        chosen: one.name == draft.connection,
        id: one.name.clone(),
        label: one.name,
    });
    let apps = found.apps().iter().map(|one| Choice {
        id: one.id.to_string(),
        label: one.name.clone(),
        chosen: one.id.to_string() == draft.app,
    });
    let pending = listed.iter().any(is_pending);
    let (connections, apps) = (connections.collect(), apps.collect());
    Ok(List { shell, paging, rows, pending, connections, apps, draft, problem })
}

/// Asks the org for one.
pub async fn create(State(app): State<App>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Targets);
    let draft = Draft::of(&posted.fields);
    let error = match begin(&app, &posted, &draft).await {
        Ok(target) => return go_to(&app, &format!("{PATH}/{}", target.id), None),
        Err(error) => error,
    };
    if error.status().is_server_error() || error.status() == StatusCode::NOT_FOUND {
        return shell.refused(&error);
    }
    let problem = Some(error.message().to_owned());
    match load_list(&app, &posted.found, shell.clone(), Paging::default(), draft, problem).await {
        Ok(page) => shell.page(error.status(), &page),
        Err(error) => shell.refused(&error),
    }
}

async fn begin(app: &App, posted: &Posted, draft: &Draft) -> Result<Target, ApiError> {
    let named = draft.app.parse::<AppUuid>().ok();
    let pointed_at = posted.found.apps().iter().find(|one| Some(one.id) == named);
    let pointed_at =
        pointed_at.ok_or_else(|| ApiError::validation("Choose the app that is to be called."))?;
    let request = CreateDataActionTarget {
        label: draft.label.clone(),
        api_name: Some(draft.api_name.clone()).filter(|name| !name.is_empty()),
        target_endpoint: draft.path.clone(),
        kind: None,
    };
    let created = manage::create(app, &posted.manager, pointed_at, &draft.connection, request).await?;
    Ok(created.0)
}

#[derive(Template)]
#[template(path = "dashboard/target.html")]
struct Shown {
    shell: Shell,
    row: Row,
    pending: bool,
    problem: Option<String>,
}

/// One of them.
pub async fn show(State(app): State<App>, found: RequireSession, ApiPath(id): ApiPath<String>) -> Response {
    let shell = found.shell(&app, Section::Targets);
    shell.answer(load(&app, &found, shell.clone(), &id, None).await)
}

async fn load(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    id: &str,
    problem: Option<String>,
) -> Result<Shown, ApiError> {
    let (target, connection) = find(app, found, id).await?;
    Ok(Shown { shell, row: Row::of(&target, &connection), pending: is_pending(&target), problem })
}

/// The target a path names; 404 when it is none of the add-on's.
async fn find(app: &App, found: &RequireSession, id: &str) -> Result<(Target, Credential), ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::not_found())?;
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let target = targets::find_by_id(reader, addon, id).await?.ok_or_else(ApiError::not_found)?;
    let connection = credentials::store::find_by_id(reader, addon, target.connection).await?;
    Ok((target, connection.ok_or_else(ApiError::not_found)?))
}

/// Has the org make another signing key.
pub async fn rotate(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let rotated = async {
        let (target, connection) = find(&app, &posted.found, &id).await?;
        let named = (connection.id.to_string(), target.id.to_string());
        manage::rotate(&app, &posted.manager, (&named.0, &named.1)).await
    };
    match rotated.await {
        Ok(_) => go_to(&app, &format!("{PATH}/{id}"), Some(Notice::KeyRotationBegun)),
        Err(error) => posted.shell(&app, Section::Targets).refused(&error),
    }
}

/// Takes it out of the org, when its name was typed.
pub async fn remove(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Targets);
    let removed = async {
        let (target, connection) = find(&app, &posted.found, &id).await?;
        if posted.fields.get("confirm") != target.api_name {
            return Ok(false);
        }
        let named = (connection.id.to_string(), target.id.to_string());
        manage::remove(&app, &posted.manager, (&named.0, &named.1)).await?;
        Ok(true)
    };
    match removed.await {
        Ok(true) => go_to(&app, PATH, Some(Notice::RemovalBegun)),
        Ok(false) => {
            let wrong = "That is not its API name, so nothing was removed.".to_owned();
            match load(&app, &posted.found, shell.clone(), &id, Some(wrong)).await {
                Ok(page) => shell.page(StatusCode::UNPROCESSABLE_ENTITY, &page),
                Err(error) => shell.refused(&error),
            }
        }
        Err(error) => shell.refused(&error),
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::{badge, evil, when};

    pub(crate) fn all() -> Vec<Sample> {
        let choice = |chosen| Choice { id: evil(), label: evil(), chosen };
        let draft = Draft { connection: evil(), app: evil(), label: evil(), api_name: evil(), path: evil() };
        let list = |shell, rows: Vec<Row>, connections, problem| List {
            shell,
            paging: Paging::sample("page=2", rows.len() as u64 * 120),
            pending: !rows.is_empty(),
            rows,
            connections,
            apps: vec![choice(true), choice(false)],
            draft: draft.clone(),
            problem,
        };
        let lists = [
            list(Shell::sample(), Vec::new(), Vec::new(), None),
            list(
                Shell::sample(),
                vec![row(true), row(false)],
                vec![choice(true), choice(false)],
                Some(evil()),
            ),
            list(Shell::for_looking(), vec![row(true)], vec![choice(true)], None),
        ];
        let mut all = lists.map(|list| Sample::new("dashboard/targets.html", list)).to_vec();
        for (shell, is_full) in
            [(Shell::sample(), true), (Shell::sample(), false), (Shell::for_looking(), true)]
        {
            let page = Shown { shell, row: row(is_full), pending: is_full, problem: is_full.then(evil) };
            all.push(Sample::new("dashboard/target.html", page));
        }
        all
    }

    fn row(is_full: bool) -> Row {
        Row {
            path: evil(),
            api_name: evil(),
            label: evil(),
            connection: evil(),
            org_id: evil(),
            app: evil(),
            endpoint: evil(),
            badge: badge(),
            error: if is_full { evil() } else { String::new() },
            key: is_full.then(when),
            created: when(),
            created_by: evil(),
            modified: when(),
            has_key: is_full,
        }
    }
}
