//! What the CLI calls: `/addons/{addon}/connections…`.

use applink_api::connection::{ConnectJwtRequest, ConnectRequest, Connection};
use axum::extract::State;
use http::StatusCode;

use super::to_wire;
use crate::app::App;
use crate::credentials::begin::Asked;
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
