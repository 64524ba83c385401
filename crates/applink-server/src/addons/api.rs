//! What operators call: `/operator/…`.

use applink_api::ids::AddonId;
use applink_api::operator::{
    App as WireApp, CreateAddon, CreateApp, CreateAttachment, ProvisionedAddon, SetAppUrl,
};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use super::{provision, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, ApiPath, Json};

/// `POST /operator/apps`
pub async fn create_app(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateApp>,
) -> Result<(StatusCode, Json<WireApp>), ApiError> {
    let created = provision::create_app(&app, &operator.actor, request, None).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// `GET /operator/apps`
pub async fn list_apps(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<WireApp>>, ApiError> {
    let apps = store::list_apps(app.store.reader()).await?;
    Ok(Json(apps.into_iter().map(|app| WireApp { id: app.id, name: app.name, url: app.url }).collect()))
}

/// `PUT /operator/apps/{app}/url`
pub async fn set_app_url(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(named): ApiPath<String>,
    ApiJson(request): ApiJson<SetAppUrl>,
) -> Result<Json<WireApp>, ApiError> {
    provision::set_app_url(&app, &operator.actor, &named, &request.url).await.map(Json)
}

/// One add-on, as listed.
#[derive(Debug, Serialize)]
pub struct ListedAddon {
    /// Its uuid.
    pub id: AddonId,
    /// Its name.
    pub name: String,
}

/// `GET /operator/addons`
pub async fn list_addons(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<ListedAddon>>, ApiError> {
    let addons = store::list_addons(app.store.reader()).await?;
    Ok(Json(addons.into_iter().map(|addon| ListedAddon { id: addon.id, name: addon.name }).collect()))
}

/// `POST /operator/addons`
pub async fn create_addon(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateAddon>,
) -> Result<(StatusCode, Json<ProvisionedAddon>), ApiError> {
    let provisioned = provision::provision(&app, &operator.actor, request).await?;
    Ok((StatusCode::CREATED, Json(provisioned)))
}

/// `POST /operator/addons/{addon}/attachments`
pub async fn create_attachment(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(addon): ApiPath<String>,
    ApiJson(request): ApiJson<CreateAttachment>,
) -> Result<(StatusCode, Json<ProvisionedAddon>), ApiError> {
    let addon = addon.parse().map_err(|_| ApiError::not_found())?;
    let provisioned = provision::attach(&app, &operator.actor, addon, request).await?;
    Ok((StatusCode::CREATED, Json(provisioned)))
}
