//! The page a person lands on.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::Trouble;
use super::session::RequireSession;
use crate::app::App;
use crate::authorizations;
use crate::connections;
use crate::credentials::{self, Credential, Kind};
use crate::db::StoreError;
use crate::web::page::Page;

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
    addon: String,
    person: String,
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
    match load(&app, found).await {
        Ok(home) => Page::new(StatusCode::OK, &home).into_response(),
        Err(error) => Trouble::of(&error.into()).into_response(),
    }
}

async fn load(app: &App, found: RequireSession) -> Result<Home, StoreError> {
    let list = async |kind| credentials::store::list(app.store.reader(), found.addon.id, kind).await;
    let connections = list(Kind::Connection).await?;
    let authorizations = list(Kind::Authorization).await?;
    let connection = |row: &Credential| word(&connections::wire::to_wire(row, None).status);
    let authorization = |row: &Credential| word(&authorizations::wire::to_wire(row, None).status);
    Ok(Home {
        addon: found.addon.name,
        person: found.session.person,
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
