//! What operators call: `/operator/keys`.

use applink_api::operator::{CreateExpiringApiKey, CreatedApiKey};
use axum::extract::State;
use http::StatusCode;

use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, ApiPath, Json};

/// `POST /operator/keys`
pub async fn create_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateExpiringApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let created = super::create_expiring(&app, &operator.actor, request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// `DELETE /operator/keys/{key}`
pub async fn revoke_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(key): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let id = key.parse().map_err(|_| ApiError::not_found())?;
    super::revoke(&app, &operator.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
