//! The page a person lands on.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::session::RequireSession;
use super::shell::{Section, Shell};
use crate::app::App;
use crate::authorizations;
use crate::connections;
use crate::credentials::{self, Credential, Kind};
use crate::error::ApiError;

/// One connection or authorization.
struct Row {
    name: String,
    status: String,
    org: String,
    username: String,
    trouble: String,
}

#[derive(Template)]
#[template(path = "dashboard/home.html")]
struct Home {
    shell: Shell,
    connections: Vec<Row>,
    authorizations: Vec<Row>,
}

/// The add-on's connections and authorizations, for people.
#[utoipa::path(
    get,
    path = "/dashboard",
    tag = "browser",
    operation_id = "show_dashboard",
    responses((status = 200, description = "A page, for a browser that is signed in", body = String, content_type = "text/html")),
    security(())
)]
pub async fn show(State(app): State<App>, found: RequireSession) -> Response {
    let shell = found.shell(&app, Section::Overview);
    shell.answer(load(&app, &shell, found).await)
}

async fn load(app: &App, shell: &Shell, found: RequireSession) -> Result<Home, ApiError> {
    let list = async |kind| credentials::store::list(app.store.reader(), found.addon.id, kind).await;
    let connections = list(Kind::Connection).await?;
    let authorizations = list(Kind::Authorization).await?;
    let connection = |row: &Credential| word(&connections::wire::to_wire(row, None).status);
    let authorization = |row: &Credential| word(&authorizations::wire::to_wire(row, None).status);
    Ok(Home {
        shell: shell.clone(),
        connections: connections.iter().map(|found| row(found, connection(found))).collect(),
        authorizations: authorizations.iter().map(|found| row(found, authorization(found))).collect(),
    })
}

/// The word of the API.
fn word(status: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(status).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn row(found: &Credential, status: String) -> Row {
    let org = found.org();
    Row {
        name: found.name.clone(),
        status,
        org: org.map(|org| org.org_id.clone()).unwrap_or_default(),
        username: org.map(|org| org.username.clone()).unwrap_or_default(),
        trouble: found.error().map(|error| error.message.clone()).unwrap_or_default(),
    }
}
