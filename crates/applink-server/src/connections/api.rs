//! What the CLI calls: `/addons/{addon}/connections…`.

use applink_api::connection::{ConnectJwtRequest, ConnectRequest, Connection, UpdateConnection};
use axum::extract::State;
use http::StatusCode;

use super::to_wire;
use crate::app::App;
use crate::credentials::begin::Asked;
use crate::credentials::change::{Change, JwtWishes, Wishes};
use crate::credentials::disconnect::disconnect;
use crate::credentials::{Kind, store};
use crate::error::ApiError;
use crate::oauth;
use crate::oauth::jwt::JwtCredentials;
use crate::web::auth::{RequireManager, RequireReader};
use crate::web::{ApiJson, ApiPath, Json};

/// `GET /addons/{addon}/connections`
pub async fn list_connections(
    State(app): State<App>,
    reader: RequireReader,
) -> Result<Json<Vec<Connection>>, ApiError> {
    let found = store::list(app.store.reader(), reader.addon.id, Kind::Connection).await?;
    Ok(Json(found.iter().map(|connection| to_wire(connection, None)).collect()))
}

/// `GET /addons/{addon}/connections/{connection}`: by name or uuid.
pub async fn show_connection(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<Json<Connection>, ApiError> {
    let found = store::find(app.store.reader(), reader.addon.id, Kind::Connection, &named).await?;
    Ok(Json(to_wire(&found.ok_or_else(ApiError::not_found)?, None)))
}

/// `POST /addons/{addon}/connections/salesforce`: 202 with the link a person opens.
pub async fn connect(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, org_kind)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<ConnectRequest>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    ensure_salesforce(&org_kind)?;
    let login_url = request.login_url.as_deref();
    let asked = Asked::check(&app, Kind::Connection, &request.connection_name, None, login_url)?;
    let asked = asked.forced(request.force);
    let (connection, link) = oauth::begin::begin(&app, &manager, &asked).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, Some(link)))))
}

/// `POST /addons/{addon}/connections/salesforce/jwt`: 202, connected already.
pub async fn connect_jwt(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<ConnectJwtRequest>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let login_url = request.login_url.as_deref();
    let asked = Asked::check(&app, Kind::Connection, &request.connection_name, None, login_url)?;
    let given = JwtCredentials {
        client_id: request.client_id,
        username: request.username,
        private_key: request.jwt_private_key,
    };
    let connection = oauth::jwt::connect(&app, manager, asked, given).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, None))))
}

/// `PATCH /addons/{addon}/connections/{connection}`: renames, or logs in again in place. 202 with the link a person opens,
/// 200 when there is none to open.
pub async fn update_connection(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateConnection>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let wishes = Wishes {
        name: request.connection_name,
        alias: None,
        reconnect: request.reconnect,
        login_url: request.login_url,
        jwt: JwtWishes {
            client_id: request.client_id,
            username: request.username,
            private_key: request.jwt_private_key,
        },
    };
    let change = Change::check(&app, Kind::Connection, wishes)?;
    let (row, link) = oauth::again::change(&app, manager, Kind::Connection, &named, change).await?;
    let status = if link.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(to_wire(&row, link))))
}

/// `DELETE /addons/{addon}/connections/{connection}`: 202; the grant is revoked at the org in the background.
pub async fn disconnect_connection(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let connection = disconnect(&app, &manager, Kind::Connection, &named).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, None))))
}

/// The path's place is shared with connection names, so that a connection may be called `salesforce`.
pub(crate) fn ensure_salesforce(org_kind: &str) -> Result<(), ApiError> {
    if org_kind == "salesforce" { Ok(()) } else { Err(ApiError::not_found()) }
}
