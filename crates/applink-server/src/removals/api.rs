//! What operators call: `/operator/removals…`.

use applink_api::ids::AddonId;
use applink_api::operator::Removal;
use axum::extract::State;

use super::{store, wire};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiPath, Json};

/// Every add-on that is being taken apart, or was.
#[utoipa::path(
    get,
    path = "/operator/removals",
    tag = "operator",
    responses((status = 200, description = "All of them", body = Vec<Removal>)),
    security(("operator_key" = []))
)]
pub async fn list_removals(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<Removal>>, ApiError> {
    let rows = store::list(app.store.reader()).await?;
    Ok(Json(rows.iter().map(wire).collect()))
}

/// How the removal of one add-on goes.
#[utoipa::path(
    get,
    path = "/operator/removals/{addon}",
    tag = "operator",
    responses((status = 200, description = "How it goes, and what is left in orgs", body = Removal)),
    security(("operator_key" = []))
)]
pub async fn show_removal(
    State(app): State<App>,
    _operator: RequireOperator,
    ApiPath(addon): ApiPath<String>,
) -> Result<Json<Removal>, ApiError> {
    let addon: AddonId = addon.parse().map_err(|_| ApiError::not_found())?;
    let row = store::find(app.store.reader(), addon).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(wire(&row)))
}
