//! What operators call: `/operator/removals…`.

use applink_api::ids::AddonId;
use applink_api::operator::Removal;
use axum::extract::State;

use super::{store, wire};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiPath, Json};

/// `GET /operator/removals`
pub async fn list_removals(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<Removal>>, ApiError> {
    let rows = store::list(app.store.reader()).await?;
    Ok(Json(rows.iter().map(wire).collect()))
}

/// `GET /operator/removals/{addon}`
pub async fn show_removal(
    State(app): State<App>,
    _operator: RequireOperator,
    ApiPath(addon): ApiPath<String>,
) -> Result<Json<Removal>, ApiError> {
    let addon: AddonId = addon.parse().map_err(|_| ApiError::not_found())?;
    let row = store::find(app.store.reader(), addon).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(wire(&row)))
}
