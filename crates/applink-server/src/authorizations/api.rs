//! What the CLI and app code call: `/addons/{addon}/authorizations…`.

use applink_api::authorization::{
    Authorization, AuthorizeJwtRequest, AuthorizeRequest, RefreshRequest, UpdateAuthorization,
};
use axum::extract::State;
use http::StatusCode;

use super::hand_out::{Answer, hand_out, not_live, with_token};
use super::to_wire;
use crate::app::App;
use crate::connections::api::ensure_salesforce;
use crate::credentials::begin::Asked;
use crate::credentials::change::{Change, JwtWishes, Wishes};
use crate::credentials::disconnect::disconnect;
use crate::credentials::{Credential, Kind, store};
use crate::error::ApiError;
use crate::oauth::jwt::JwtCredentials;
use crate::web::auth::{RequireApp, RequireManager, RequireReader};
use crate::web::{ApiJson, ApiPath, Json, OptionalJson};
use crate::{oauth, tokens};

/// `GET /addons/{addon}/authorizations`
pub async fn list_authorizations(
    State(app): State<App>,
    reader: RequireReader,
) -> Result<Json<Vec<Authorization>>, ApiError> {
    let found = store::list(app.store.reader(), reader.addon.id, Kind::Authorization).await?;
    Ok(Json(found.iter().map(|authorization| to_wire(authorization, None)).collect()))
}

/// `GET /addons/{addon}/authorizations/{authorization}`: by name, alias or uuid; to app code with a live token.
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

/// `POST /addons/{addon}/authorizations/{authorization}/refresh`: after the org refused the token, another.
/// The body may be empty.
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
    let token = tokens::replace_reported(&app, &authorization, report.stale_token.as_deref()).await?;
    with_token(&app, &caller.actor, &authorization, token).await.map(Json)
}

/// `POST /addons/{addon}/authorizations/salesforce`: 202 with the link a person opens.
pub async fn authorize(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, org_kind)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<AuthorizeRequest>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    ensure_salesforce(&org_kind)?;
    let login_url = request.login_url.as_deref();
    let asked = Asked::check(&app, Kind::Authorization, &request.developer_name, None, login_url)?;
    let asked = asked.forced(request.force);
    let (authorization, link) = oauth::begin::begin(&app, &manager, &asked).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&authorization, Some(link)))))
}

/// `POST /addons/{addon}/authorizations/salesforce/jwt`: 202, authorized already.
pub async fn authorize_jwt(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<AuthorizeJwtRequest>,
) -> Result<(StatusCode, Json<Authorization>), ApiError> {
    let (alias, login_url) = (request.alias.as_deref(), request.login_url.as_deref());
    let asked = Asked::check(&app, Kind::Authorization, &request.developer_name, alias, login_url)?;
    let given = JwtCredentials {
        client_id: request.client_id,
        username: request.username,
        private_key: request.jwt_private_key,
    };
    let authorization = oauth::jwt::connect(&app, manager, asked, given).await?;
    Ok((StatusCode::ACCEPTED, Json(to_wire(&authorization, None))))
}

/// `PATCH /addons/{addon}/authorizations/{authorization}`: renames, or logs in again in place. 202 with the link a person opens,
/// 200 when there is none to open.
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

/// `DELETE /addons/{addon}/authorizations/{authorization}`: 200 with the record.
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
