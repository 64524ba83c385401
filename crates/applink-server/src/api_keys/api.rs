//! What operators call: `/operator/keys`; and who may change an add-on, for its keys: `/addons/{addon}/keys`.

use applink_api::operator::{ApiKeyInfo, CreateExpiringApiKey, CreateOwnApiKey, CreatedApiKey};
use applink_api::time::Timestamp;
use axum::extract::State;
use http::StatusCode;

use super::{ApiKey, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::{RequireManager, RequireOperator};
use crate::web::{ApiJson, ApiPath, Json};

/// Every live API key.
#[utoipa::path(
    get,
    path = "/operator/keys",
    tag = "operator",
    responses((status = 200, description = "Without the keys", body = Vec<ApiKeyInfo>)),
    security(("operator_key" = []))
)]
pub async fn list_keys(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<ApiKeyInfo>>, ApiError> {
    let keys = store::list_live(app.store.reader(), app.clock.now()).await?;
    Ok(Json(keys.into_iter().map(shown).collect()))
}

fn shown((key, shown_prefix, created_at): (ApiKey, String, Timestamp)) -> ApiKeyInfo {
    let ApiKey { id, scope, addon, owner, expires_at, person, first_used_at } = key;
    let follows_owner = person.is_some();
    ApiKeyInfo { id, owner, scope, addon, shown_prefix, created_at, expires_at, first_used_at, follows_owner }
}

/// The live API keys of the add-on.
#[utoipa::path(
    get,
    path = "/addons/{addon}/keys",
    tag = "keys",
    responses((status = 200, description = "Without the keys", body = Vec<ApiKeyInfo>)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn list_own_keys(
    State(app): State<App>,
    manager: RequireManager,
) -> Result<Json<Vec<ApiKeyInfo>>, ApiError> {
    let keys = store::list_live_of(app.store.reader(), manager.addon.id, app.clock.now()).await?;
    Ok(Json(keys.into_iter().map(shown).collect()))
}

/// Makes an API key of the person who asks, which reaches this add-on and ends by itself.
///
/// Two of a person live at a time, so that one can replace the other. A key makes no keys: 403.
#[utoipa::path(
    post,
    path = "/addons/{addon}/keys",
    tag = "keys",
    request_body = CreateOwnApiKey,
    responses((status = 201, description = "The only time the key is shown", body = CreatedApiKey)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn create_own_key(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<CreateOwnApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let created = super::create_own(&app, &manager, request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes an API key of the add-on.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/keys/{key}",
    tag = "keys",
    responses((status = 204, description = "It counts no more")),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn revoke_own_key(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_, key)): ApiPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let id = key.parse().map_err(|_| ApiError::not_found())?;
    super::revoke_of_addon(&app, &manager, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes an API key; two of an owner live at a time.
#[utoipa::path(
    post,
    path = "/operator/keys",
    tag = "operator",
    request_body = CreateExpiringApiKey,
    responses((status = 201, description = "The only time the key is shown", body = CreatedApiKey)),
    security(("operator_key" = []))
)]
pub async fn create_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateExpiringApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let created = super::create_expiring(&app, &operator.actor, request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes an API key.
#[utoipa::path(
    delete,
    path = "/operator/keys/{key}",
    tag = "operator",
    responses((status = 204, description = "It counts no more")),
    security(("operator_key" = []))
)]
pub async fn revoke_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(key): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let id = key.parse().map_err(|_| ApiError::not_found())?;
    super::revoke(&app, &operator.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
