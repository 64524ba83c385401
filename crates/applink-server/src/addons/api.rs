//! What operators call: `/operator/…`.

use applink_api::operator::{
    AddonInfo, App as WireApp, AttachmentInfo, CreateAddon, CreateApp, CreateAttachment, ProvisionedAddon,
    Removal, SetAppUrl,
};
use axum::extract::State;
use http::StatusCode;

use super::{Addon, Attachment, provision, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, ApiPath, Json};

/// Adds an app.
#[utoipa::path(
    post,
    path = "/operator/apps",
    tag = "operator",
    request_body = CreateApp,
    responses((status = 201, description = "The app", body = WireApp)),
    security(("operator_key" = []))
)]
pub async fn create_app(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateApp>,
) -> Result<(StatusCode, Json<WireApp>), ApiError> {
    let created = provision::create_app(&app, &operator.actor, request, None).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Every app.
#[utoipa::path(
    get,
    path = "/operator/apps",
    tag = "operator",
    responses((status = 200, description = "All of them", body = Vec<WireApp>)),
    security(("operator_key" = []))
)]
pub async fn list_apps(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<WireApp>>, ApiError> {
    let apps = store::list_apps(app.store.reader()).await?;
    Ok(Json(apps.into_iter().map(|app| WireApp { id: app.id, name: app.name, url: app.url }).collect()))
}

/// Sets an app's public URL.
#[utoipa::path(
    put,
    path = "/operator/apps/{app}/url",
    tag = "operator",
    request_body = SetAppUrl,
    responses((status = 200, description = "The app", body = WireApp)),
    security(("operator_key" = []))
)]
pub async fn set_app_url(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(named): ApiPath<String>,
    ApiJson(request): ApiJson<SetAppUrl>,
) -> Result<Json<WireApp>, ApiError> {
    provision::set_app_url(&app, &operator.actor, &named, &request.url).await.map(Json)
}

/// Every add-on, with where it is attached.
#[utoipa::path(
    get,
    path = "/operator/addons",
    tag = "operator",
    responses((status = 200, description = "All of them", body = Vec<AddonInfo>)),
    security(("operator_key" = []))
)]
pub async fn list_addons(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<Vec<AddonInfo>>, ApiError> {
    let mut all = Vec::new();
    for addon in store::list_addons(app.store.reader()).await? {
        all.push(info(&app, addon).await?);
    }
    Ok(Json(all))
}

/// One add-on, by name or uuid.
#[utoipa::path(
    get,
    path = "/operator/addons/{addon}",
    tag = "operator",
    responses((status = 200, description = "The add-on", body = AddonInfo)),
    security(("operator_key" = []))
)]
pub async fn show_addon(
    State(app): State<App>,
    _operator: RequireOperator,
    ApiPath(named): ApiPath<String>,
) -> Result<Json<AddonInfo>, ApiError> {
    let addon = store::find_addon_named(app.store.reader(), &named).await?.ok_or_else(ApiError::not_found)?;
    info(&app, addon).await.map(Json)
}

async fn info(app: &App, addon: Addon) -> Result<AddonInfo, ApiError> {
    let attachments = store::attachments_of(app.store.reader(), addon.id).await?;
    let shown = attachments.into_iter().map(|Attachment { id, app, prefix, .. }| AttachmentInfo {
        id,
        name: prefix,
        app: WireApp { id: app.id, name: app.name, url: app.url },
    });
    Ok(AddonInfo { id: addon.id, name: addon.name, attachments: shown.collect() })
}

/// Adds an add-on, attached to an app.
#[utoipa::path(
    post,
    path = "/operator/addons",
    tag = "operator",
    request_body = CreateAddon,
    responses((status = 201, description = "The only time its token is shown", body = ProvisionedAddon)),
    security(("operator_key" = []))
)]
pub async fn create_addon(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<CreateAddon>,
) -> Result<(StatusCode, Json<ProvisionedAddon>), ApiError> {
    let provisioned = provision::provision(&app, &operator.actor, request).await?;
    Ok((StatusCode::CREATED, Json(provisioned)))
}

/// Attaches an add-on to another app, with a token of its own.
#[utoipa::path(
    post,
    path = "/operator/addons/{addon}/attachments",
    tag = "operator",
    request_body = CreateAttachment,
    responses((status = 201, description = "The only time its token is shown", body = ProvisionedAddon)),
    security(("operator_key" = []))
)]
pub async fn create_attachment(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(addon): ApiPath<String>,
    ApiJson(request): ApiJson<CreateAttachment>,
) -> Result<(StatusCode, Json<ProvisionedAddon>), ApiError> {
    let provisioned = provision::attach(&app, &operator.actor, &addon, request).await?;
    Ok((StatusCode::CREATED, Json(provisioned)))
}

/// Detaches an add-on from an app.
#[utoipa::path(
    delete,
    path = "/operator/addons/{addon}/attachments/{attachment}",
    tag = "operator",
    responses((status = 204, description = "Detached; its token is void")),
    security(("operator_key" = []))
)]
pub async fn remove_attachment(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath((addon, attachment)): ApiPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let attachment = attachment.parse().map_err(|_| ApiError::not_found())?;
    provision::detach(&app, &operator.actor, &addon, attachment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an add-on apart.
///
/// What is left in orgs is cleared up in the background.
#[utoipa::path(
    delete,
    path = "/operator/addons/{addon}",
    tag = "operator",
    responses((status = 202, description = "Out of use; how clearing up goes is under `/operator/removals`", body = Removal)),
    security(("operator_key" = []))
)]
pub async fn destroy_addon(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(addon): ApiPath<String>,
) -> Result<(StatusCode, Json<Removal>), ApiError> {
    let removal = provision::destroy(&app, &operator.actor, &addon).await?;
    Ok((StatusCode::ACCEPTED, Json(removal)))
}
