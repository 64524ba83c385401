//! What the CLI calls: `/addons/{addon}/connections…`.

use applink_api::connection::{ConnectJwtRequest, ConnectRequest, Connection, UpdateConnection};
use applink_api::error::ErrorBody;
use applink_api::org::OrgType;
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

/// Every connection of the add-on.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections",
    tag = "connections",
    responses((status = 200, description = "All of them, by name", body = Vec<Connection>)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn list_connections(
    State(app): State<App>,
    reader: RequireReader,
) -> Result<Json<Vec<Connection>>, ApiError> {
    let found = store::list(app.store.reader(), reader.addon.id, Kind::Connection).await?;
    Ok(Json(found.iter().map(|connection| to_wire(connection, None)).collect()))
}

/// One connection, by name or uuid.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/{connection}",
    tag = "connections",
    responses((status = 200, description = "The connection", body = Connection)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn show_connection(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<Json<Connection>, ApiError> {
    let found = store::find(app.store.reader(), reader.addon.id, Kind::Connection, &named).await?;
    Ok(Json(to_wire(&found.ok_or_else(ApiError::not_found)?, None)))
}

/// Begins to connect a Salesforce or Data Cloud org in a browser.
///
/// The last part of the path says which: `salesforce` or `datacloud`.
///
/// A row with this name that is `connecting`, `failed` or `disconnected` is taken up under its id.
#[utoipa::path(
    post,
    path = "/addons/{addon}/connections/{connection}",
    tag = "connections",
    request_body = ConnectRequest,
    responses((status = 202, description = "Waiting for somebody to open `redirect_uri`", body = Connection), (status = 409, description = "The name is alive", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn connect(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, org_kind)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<ConnectRequest>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let of = (Kind::Connection, org_type_of(&org_kind)?);
    let login_url = request.login_url.as_deref();
    let asked = Asked::check(&app, of, &request.connection_name, None, login_url)?;
    let asked = asked.forced(request.force);
    let (connection, link) = oauth::begin::begin(&app, &manager, &asked).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, Some(link)))))
}

/// Connects a Salesforce org by a signed assertion, without a browser.
#[utoipa::path(
    post,
    path = "/addons/{addon}/connections/salesforce/jwt",
    tag = "connections",
    request_body = ConnectJwtRequest,
    responses((status = 202, description = "Connected already", body = Connection), (status = 409, description = "The name is alive", body = ErrorBody), (status = 422, description = "The org refuses; nothing is kept", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn connect_jwt(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<ConnectJwtRequest>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let login_url = request.login_url.as_deref();
    let of = (Kind::Connection, OrgType::SalesforceOrg);
    let asked = Asked::check(&app, of, &request.connection_name, None, login_url)?;
    let given = JwtCredentials {
        client_id: request.client_id,
        username: request.username,
        private_key: request.jwt_private_key,
    };
    let connection = oauth::jwt::connect(&app, manager, asked, given).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, None))))
}

/// Renames a connection, or logs in again in place.
///
/// What is live stays live until the new log-in has succeeded.
#[utoipa::path(
    patch,
    path = "/addons/{addon}/connections/{connection}",
    tag = "connections",
    request_body = UpdateConnection,
    responses((status = 200, description = "Done", body = Connection), (status = 202, description = "Waiting for somebody to open `redirect_uri`", body = Connection), (status = 409, description = "The new name is taken", body = ErrorBody), (status = 422, description = "The org refuses; nothing has changed", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
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
        force: request.force,
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

/// Ends the trust.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/connections/{connection}",
    tag = "connections",
    responses((status = 202, description = "Out of use; the grant is revoked at the org in the background", body = Connection)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn disconnect_connection(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let connection = disconnect(&app, &manager, Kind::Connection, &named).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&connection, None))))
}

/// The path's place is shared with connection names, so that a connection may be called `salesforce`.
pub(crate) fn org_type_of(org_kind: &str) -> Result<OrgType, ApiError> {
    match org_kind {
        "salesforce" => Ok(OrgType::SalesforceOrg),
        "datacloud" => Ok(OrgType::DataCloudOrg),
        _ => Err(ApiError::not_found()),
    }
}
