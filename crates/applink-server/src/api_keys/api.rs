//! What operators call: `/operator/keys`.

use applink_api::operator::{ApiKeyInfo, CreateExpiringApiKey, CreatedApiKey};
use axum::extract::State;
use http::StatusCode;

use super::{ApiKey, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
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
    let shown = keys.into_iter().map(|(key, shown_prefix, created_at)| {
        let ApiKey { id, scope, addon, owner, expires_at } = key;
        ApiKeyInfo { id, owner, scope, addon, shown_prefix, created_at, expires_at }
    });
    Ok(Json(shown.collect()))
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
