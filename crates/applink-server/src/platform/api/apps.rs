//! Apps, their config vars, releases and people; the account.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{HeaderMap, RANGE};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Created};
use crate::app::App;
use crate::platform::access::Permissions;
use crate::platform::apps::{self, PlatformApp};
use crate::platform::caller::RequirePerson;
use crate::platform::config_vars::{self, ConfigVars};
use crate::platform::error::PlatformError;
use crate::platform::people::Person;
use crate::platform::releases::Range;
use crate::platform::{store, teams, wire};
use crate::web::{ApiJson, ApiPath, Json};

/// `GET /account`
pub async fn account(caller: RequirePerson) -> Json<Value> {
    Json(wire::account(&caller.person))
}

/// Body of `POST /apps` and `POST /teams/apps`.
#[derive(Debug, Deserialize)]
pub struct CreateApp {
    name: Option<String>,
    team: Option<String>,
}

/// `POST /apps`, `POST /teams/apps`
pub async fn create_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiJson(body): ApiJson<CreateApp>,
) -> Created {
    let made = apps::create(&app, &caller, body.name, body.team.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(wire::app(&made, app.urls.base()))))
}

/// `GET /apps`
pub async fn list_apps(State(app): State<App>, caller: RequirePerson) -> Answer {
    let found = caller.apps(&app).await?;
    Ok(Json(found.iter().map(|found| wire::app(found, app.urls.base())).collect()))
}

/// `GET /apps/{app}`
pub async fn show_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let found = caller.app(&app, &named).await?;
    Ok(Json(wire::app(&found, app.urls.base())))
}

/// `GET /apps/{app}/dynos`: nothing of an app runs here.
pub async fn list_dynos(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    caller.app(&app, &named).await?;
    Ok(Json(json!([])))
}

/// `GET /apps/{app}/pipeline-couplings`: there are no pipelines here.
pub async fn show_pipeline_coupling(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    caller.app(&app, &named).await?;
    Err(PlatformError::Missing("pipeline_coupling"))
}

/// `GET /apps/{app}/config-vars`
pub async fn list_config_vars(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let of = caller.app(&app, &named).await?;
    Ok(Json(in_the_clear(&config_vars::list(&app, &of).await?)))
}

/// `PATCH /apps/{app}/config-vars`
pub async fn change_config_vars(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
    ApiJson(body): ApiJson<BTreeMap<String, Option<String>>>,
) -> Answer {
    let of = caller.app(&app, &named).await?;
    let changes = body.into_iter().map(|(name, value)| (name, value.map(SecretString::from))).collect();
    Ok(Json(in_the_clear(&config_vars::change(&app, &caller, &of, changes).await?)))
}

fn in_the_clear(vars: &ConfigVars) -> Value {
    vars.iter().map(|(name, value)| (name.clone(), json!(value.expose_secret()))).collect()
}

/// `GET /apps/{app}/releases`; 206 when there are more than were asked for.
pub async fn list_releases(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, PlatformError> {
    let of = caller.app(&app, &named).await?;
    let range = Range::parse(headers.get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default());
    let reader = app.store.reader();
    let newest = store::releases::newest_version(reader, of.app.id).await?;
    let rows = store::releases::list(reader, of.app.id, range.newest_first, range.max).await?;
    let is_partial = u64::try_from(newest).is_ok_and(|newest| newest > range.max);
    let list: Value = rows.iter().map(|row| wire::release(row, &of.app, row.version == newest)).collect();
    let status = if is_partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    Ok((status, Json(list)).into_response())
}

/// `GET /apps/{app}/collaborators`, the owner first.
pub async fn list_collaborators(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let of = caller.app(&app, &named).await?;
    let others = store::teams::collaborators_of(app.store.reader(), of.app.id).await?;
    let others = others.iter().map(|found| wire::collaborator(found, &of.app));
    Ok(Json(std::iter::once(wire::owner(&of)).chain(others).collect()))
}

/// Body of `POST /apps/{app}/collaborators` and `POST /teams/apps/{app}/collaborators`.
#[derive(Debug, Deserialize)]
pub struct AddCollaborator {
    user: String,
    permissions: Option<Vec<String>>,
}

/// `POST /apps/{app}/collaborators`, `POST /teams/apps/{app}/collaborators`
pub async fn add_collaborator(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
    ApiJson(body): ApiJson<AddCollaborator>,
) -> Created {
    let of = caller.managed_app(&app, &named).await?;
    let permissions = match &body.permissions {
        Some(words) => Permissions::from_words(words.iter().map(String::as_str))
            .map_err(|error| PlatformError::invalid(format!("{error}.")))?,
        None => Permissions::WORK,
    };
    let person = known(&app, &body.user).await?;
    teams::set_collaborator(&app, &caller.actor(), &of, &person, permissions).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, &of, &person).await?)))
}

/// Body of `PATCH /teams/apps/{app}/collaborators/{email}`.
#[derive(Debug, Deserialize)]
pub struct ChangeCollaborator {
    permissions: Vec<String>,
}

/// `PATCH /teams/apps/{app}/collaborators/{email}`
pub async fn change_collaborator(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, email)): ApiPath<(String, String)>,
    ApiJson(body): ApiJson<ChangeCollaborator>,
) -> Answer {
    let of = caller.managed_app(&app, &named).await?;
    let permissions = Permissions::from_words(body.permissions.iter().map(String::as_str))
        .map_err(|error| PlatformError::invalid(format!("{error}.")))?;
    let person = colleague(&app, &email).await?;
    shown(&app, &of, &person).await?;
    teams::set_collaborator(&app, &caller.actor(), &of, &person, permissions).await?;
    Ok(Json(shown(&app, &of, &person).await?))
}

/// `DELETE /apps/{app}/collaborators/{email}`, `DELETE /teams/apps/{app}/collaborators/{email}`
pub async fn remove_collaborator(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, email)): ApiPath<(String, String)>,
) -> Answer {
    let of = caller.managed_app(&app, &named).await?;
    let person = colleague(&app, &email).await?;
    let was = shown(&app, &of, &person).await?;
    teams::remove_collaborator(&app, &caller.actor(), &of, &person).await?;
    Ok(Json(was))
}

async fn known(app: &App, named: &str) -> Result<Person, PlatformError> {
    find(app, named).await?.ok_or(PlatformError::Missing("user"))
}

/// Who is not on the app and who is nobody are the same.
async fn colleague(app: &App, named: &str) -> Result<Person, PlatformError> {
    find(app, named).await?.ok_or(PlatformError::Missing("collaborator"))
}

async fn find(app: &App, named: &str) -> Result<Option<Person>, PlatformError> {
    let reader = app.store.reader();
    Ok(match named.parse() {
        Ok(id) => store::people::find(reader, id).await?,
        Err(_) => store::people::find_by_email(reader, &named.trim().to_lowercase()).await?,
    })
}

async fn shown(app: &App, of: &PlatformApp, person: &Person) -> Result<Value, PlatformError> {
    let all = store::teams::collaborators_of(app.store.reader(), of.app.id).await?;
    let found = all.iter().find(|found| found.person.id == person.id);
    found.map(|found| wire::collaborator(found, &of.app)).ok_or(PlatformError::Missing("collaborator"))
}
