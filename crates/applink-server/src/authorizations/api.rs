//! What the CLI and app code call: `/addons/{addon}/authorizations…`.

use applink_api::authorization::{
    Authorization, AuthorizeJwtRequest, AuthorizeRequest, RefreshRequest, UpdateAuthorization,
};
use applink_api::error::ErrorBody;
use applink_api::org::OrgType;
use axum::extract::State;
use http::StatusCode;

use super::hand_out::{Answer, hand_out, not_live, with_token};
use super::to_wire;
use crate::app::App;
use crate::connections::api::org_type_of;
use crate::credentials::begin::Asked;
use crate::credentials::change::{Change, JwtWishes, Wishes};
use crate::credentials::disconnect::disconnect;
use crate::credentials::{Credential, Kind, store};
use crate::error::ApiError;
use crate::oauth::jwt::JwtCredentials;
use crate::web::auth::{RequireApp, RequireManager, RequireReader};
use crate::web::{ApiJson, ApiPath, Json, OptionalJson};
use crate::{data_cloud, oauth, tokens};

/// Every authorization of the add-on.
#[utoipa::path(
    get,
    path = "/addons/{addon}/authorizations",
    tag = "authorizations",
    responses((status = 200, description = "All of them, by developer name, without tokens", body = Vec<Authorization>)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn list_authorizations(
    State(app): State<App>,
    reader: RequireReader,
) -> Result<Json<Vec<Authorization>>, ApiError> {
    let found = store::list(app.store.reader(), reader.addon.id, Kind::Authorization).await?;
    Ok(Json(found.iter().map(|authorization| to_wire(authorization, None)).collect()))
}

/// One authorization, by developer name, alias or uuid; to app code with a live access token.
#[utoipa::path(
    get,
    path = "/addons/{addon}/authorizations/{authorization}",
    tag = "authorizations",
    responses((status = 200, description = "The authorization; to an app with `org.user_auth`", body = Authorization), (status = 422, description = "It is not live: there is no token to be had", body = ErrorBody), (status = 503, description = "The org gives no token at the moment", body = ErrorBody)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn show_authorization(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<Json<Authorization>, ApiError> {
    if reader.for_management {
        return Ok(Json(to_wire(&find(&app, &reader, &named).await?, None)));
    }
    match hand_out(&app, reader.addon.id, &named).await? {
        Answer::Token(authorization, token) => {
            with_token(&app, &reader.actor, &authorization, token).await.map(Json)
        }
        Answer::Record(authorization) => Ok(Json(to_wire(&authorization, None))),
    }
}

/// After the org refused the token: another.
///
/// The body may be left out.
#[utoipa::path(
    post,
    path = "/addons/{addon}/authorizations/{authorization}/refresh",
    tag = "authorizations",
    request_body(content = Option<RefreshRequest>),
    responses((status = 200, description = "Another token, when there is one to be had", body = Authorization), (status = 422, description = "It is not live", body = ErrorBody), (status = 503, description = "The org gives no token at the moment", body = ErrorBody)),
    security(("addon_token" = []))
)]
pub async fn refresh_authorization(
    State(app): State<App>,
    caller: RequireApp,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
    OptionalJson(report): OptionalJson<RefreshRequest>,
) -> Result<Json<Authorization>, ApiError> {
    let addon = caller.attachment.addon.id;
    let found = store::find(app.store.reader(), addon, Kind::Authorization, &named).await?;
    let authorization = found.ok_or_else(ApiError::not_found)?;
    if authorization.live().is_none() {
        return Err(not_live(&authorization));
    }
    let reported = report.stale_token.as_deref();
    let token = match authorization.org_type {
        OrgType::SalesforceOrg => tokens::replace_reported(&app, &authorization, reported).await?,
        OrgType::DataCloudOrg => data_cloud::replace_reported(&app, &authorization, reported).await?,
    };
    with_token(&app, &caller.actor, &authorization, token).await.map(Json)
}

/// Begins to store a user of a Salesforce or Data Cloud org in a browser.
///
/// The last part of the path says which: `salesforce` or `datacloud`.
///
/// A row with this name that is `authorizing`, `failed` or `disconnected` is taken up under its id.
#[utoipa::path(
    post,
    path = "/addons/{addon}/authorizations/{authorization}",
    tag = "authorizations",
    request_body = AuthorizeRequest,
    responses((status = 202, description = "Waiting for somebody to open `redirect_uri`", body = Authorization), (status = 409, description = "The name or alias is taken", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn authorize(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, org_kind)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<AuthorizeRequest>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    let of = (Kind::Authorization, org_type_of(&org_kind)?);
    let login_url = request.login_url.as_deref();
    let asked = Asked::check(&app, of, &request.developer_name, None, login_url)?;
    let asked = asked.forced(request.force);
    let (authorization, link) = oauth::begin::begin(&app, &manager, &asked).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&authorization, Some(link)))))
}

/// Stores a Salesforce user by a signed assertion, without a browser.
#[utoipa::path(
    post,
    path = "/addons/{addon}/authorizations/salesforce/jwt",
    tag = "authorizations",
    request_body = AuthorizeJwtRequest,
    responses((status = 202, description = "Authorized already", body = Authorization), (status = 409, description = "The name or alias is taken", body = ErrorBody), (status = 422, description = "The org refuses; nothing is kept", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn authorize_jwt(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<AuthorizeJwtRequest>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    by_jwt(&app, manager, OrgType::SalesforceOrg, request).await
}

/// Stores a user of a Data Cloud org by a signed assertion, without a browser.
#[utoipa::path(
    post,
    path = "/addons/{addon}/authorizations/datacloud/jwt",
    tag = "authorizations",
    request_body = AuthorizeJwtRequest,
    responses((status = 202, description = "Authorized already", body = Authorization), (status = 409, description = "The name or alias is taken", body = ErrorBody), (status = 422, description = "The org refuses; nothing is kept", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn authorize_data_cloud_jwt(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<AuthorizeJwtRequest>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    by_jwt(&app, manager, OrgType::DataCloudOrg, request).await
}

async fn by_jwt(
    app: &App,
    manager: RequireManager,
    org_type: OrgType,
    request: AuthorizeJwtRequest,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    let (alias, login_url) = (request.alias.as_deref(), request.login_url.as_deref());
    let of = (Kind::Authorization, org_type);
    let asked = Asked::check(app, of, &request.developer_name, alias, login_url)?;
    let given = JwtCredentials {
        client_id: request.client_id,
        username: request.username,
        private_key: request.jwt_private_key,
    };
    let authorization = oauth::jwt::connect(app, manager, asked, given).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&authorization, None))))
}

/// Renames an authorization, or logs in again in place.
///
/// What is live stays live until the new log-in has succeeded.
#[utoipa::path(
    patch,
    path = "/addons/{addon}/authorizations/{authorization}",
    tag = "authorizations",
    request_body = UpdateAuthorization,
    responses((status = 200, description = "Done", body = Authorization), (status = 202, description = "Waiting for somebody to open `redirect_uri`", body = Authorization), (status = 409, description = "The new name or alias is taken", body = ErrorBody), (status = 422, description = "The org refuses; nothing has changed", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn update_authorization(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateAuthorization>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    let wishes = Wishes {
        name: request.developer_name,
        alias: request.alias,
        reconnect: request.reconnect,
        login_url: request.login_url,
        force: request.force,
        jwt: JwtWishes {
            client_id: request.client_id,
            username: request.username,
            private_key: request.jwt_private_key,
        },
    };
    let change = Change::check(&app, Kind::Authorization, wishes)?;
    let (row, link) = oauth::again::change(&app, manager, Kind::Authorization, &named, change).await?;
    let status = if link.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(to_wire(&row, link))))
}

/// Forgets a user's credentials.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/authorizations/{authorization}",
    tag = "authorizations",
    responses((status = 200, description = "Out of use; the grant is revoked at the org in the background", body = Authorization)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn disconnect_authorization(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<Json<Authorization>, ApiError> {
    let authorization = disconnect(&app, &manager, Kind::Authorization, &named).await?;
    Ok(Json(to_wire(&authorization, None)))
}

async fn find(app: &App, reader: &RequireReader, named: &str) -> Result<Credential, ApiError> {
    let found = store::find(app.store.reader(), reader.addon.id, Kind::Authorization, named).await?;
    found.ok_or_else(ApiError::not_found)
}
