//! What people who manage an add-on call: `/addons/{addon}/webhooks…`. A URL may hold a secret of the receiver's, so
//! reading needs the same right as changing.

use applink_api::time::Timestamp;
use applink_api::webhook::{
    CreateWebhook, DeliveryStatus, RotateSecret, UpdateWebhook, Webhook, WebhookAttempt, WebhookDelivery,
    WebhookWithSecret,
};
use axum::extract::State;
use http::StatusCode;
use uuid::Uuid;

use super::deliver::event_id;
use super::store::{self, state};
use super::{Endpoint, manage};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireManager;
use crate::web::{ApiJson, ApiPath, Json, OptionalJson};

/// Deliveries that are listed.
const LISTED: u64 = 100;

/// Every endpoint that is told what happens.
#[utoipa::path(
    get,
    path = "/addons/{addon}/webhooks",
    tag = "webhooks",
    responses((status = 200, description = "All of them", body = Vec<Webhook>)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn list_webhooks(
    State(app): State<App>,
    manager: RequireManager,
) -> Result<Json<Vec<Webhook>>, ApiError> {
    let found = store::list(app.store.reader(), manager.addon.id).await?;
    Ok(Json(found.into_iter().map(wire).collect()))
}

/// Adds an endpoint.
#[utoipa::path(
    post,
    path = "/addons/{addon}/webhooks",
    tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, description = "The only time its secret is shown", body = WebhookWithSecret)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn create_webhook(
    State(app): State<App>,
    manager: RequireManager,
    ApiJson(request): ApiJson<CreateWebhook>,
) -> Result<(StatusCode, Json<WebhookWithSecret>), ApiError> {
    let (endpoint, secret) = manage::create(&app, &manager, request).await?;
    Ok((StatusCode::CREATED, Json(WebhookWithSecret { webhook: wire(endpoint), secret })))
}

/// One endpoint.
#[utoipa::path(
    get,
    path = "/addons/{addon}/webhooks/{webhook}",
    tag = "webhooks",
    responses((status = 200, description = "The endpoint", body = Webhook)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn show_webhook(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(wire(find(&app, &manager, &id).await?)))
}

/// Changes an endpoint, or switches it on or off.
#[utoipa::path(
    patch,
    path = "/addons/{addon}/webhooks/{webhook}",
    tag = "webhooks",
    request_body = UpdateWebhook,
    responses((status = 200, description = "Done", body = Webhook)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn update_webhook(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateWebhook>,
) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(wire(manage::update(&app, &manager, uuid(&id)?, request).await?)))
}

/// Removes an endpoint.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/webhooks/{webhook}",
    tag = "webhooks",
    responses((status = 200, description = "Gone", body = Webhook)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn remove_webhook(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(wire(manage::remove(&app, &manager, uuid(&id)?).await?)))
}

/// Gives an endpoint another secret; the former one signs too for a while.
///
/// The body may be left out.
#[utoipa::path(
    post,
    path = "/addons/{addon}/webhooks/{webhook}/rotate-secret",
    tag = "webhooks",
    operation_id = "rotate_webhook_secret",
    request_body(content = Option<RotateSecret>),
    responses((status = 200, description = "The only time the new secret is shown", body = WebhookWithSecret)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn rotate_secret(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
    OptionalJson(asked): OptionalJson<RotateSecret>,
) -> Result<Json<WebhookWithSecret>, ApiError> {
    let (endpoint, secret) = manage::rotate_secret(&app, &manager, uuid(&id)?, asked.overlap_hours).await?;
    Ok(Json(WebhookWithSecret { webhook: wire(endpoint), secret }))
}

/// Sends an endpoint an event to try it.
#[utoipa::path(
    post,
    path = "/addons/{addon}/webhooks/{webhook}/test",
    tag = "webhooks",
    responses((status = 202, description = "The delivery is under way", body = WebhookDelivery)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn test_webhook(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
) -> Result<(StatusCode, Json<WebhookDelivery>), ApiError> {
    let delivery = manage::test(&app, &manager, uuid(&id)?).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery_wire(delivery))))
}

/// An endpoint's deliveries.
#[utoipa::path(
    get,
    path = "/addons/{addon}/webhooks/{webhook}/deliveries",
    tag = "webhooks",
    operation_id = "list_webhook_deliveries",
    responses((status = 200, description = "The newest first, with their attempts", body = Vec<WebhookDelivery>)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn list_deliveries(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, id)): ApiPath<(String, String)>,
) -> Result<Json<Vec<WebhookDelivery>>, ApiError> {
    let endpoint = find(&app, &manager, &id).await?;
    let found = store::newest(app.store.reader(), &endpoint, LISTED).await?;
    Ok(Json(found.into_iter().map(delivery_wire).collect()))
}

async fn find(app: &App, manager: &RequireManager, id: &str) -> Result<Endpoint, ApiError> {
    let found = store::find(app.store.reader(), manager.addon.id, uuid(id)?).await?;
    found.ok_or_else(ApiError::not_found)
}

fn uuid(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

fn wire(endpoint: Endpoint) -> Webhook {
    Webhook {
        id: endpoint.id,
        url: endpoint.url,
        event_types: endpoint.event_types,
        description: endpoint.description,
        enabled: endpoint.enabled,
        disabled_reason: endpoint.disabled_reason,
        failing_since: endpoint.failing_since,
        former_secret_until: endpoint.former_secret.map(|(_, until)| until),
        created_at: endpoint.created_at,
        created_by: endpoint.created_by,
        last_modified_at: endpoint.last_modified_at,
        last_modified_by: endpoint.last_modified_by,
    }
}

/// A delivery as listed.
pub(crate) fn delivery_wire(delivery: store::Delivery) -> WebhookDelivery {
    let store::Delivery { row, attempts } = delivery;
    let attempts = attempts.into_iter().map(|attempt| WebhookAttempt {
        at: Timestamp::from_micros(attempt.at),
        status: attempt.status.and_then(|status| u16::try_from(status).ok()),
        outcome: attempt.outcome,
        milliseconds: attempt.milliseconds,
    });
    WebhookDelivery {
        id: row.id.0,
        event_id: event_id(row.event_id),
        event_type: row.kind,
        status: match row.state.as_str() {
            state::DELIVERED => DeliveryStatus::Delivered,
            state::FAILED => DeliveryStatus::Failed,
            _ => DeliveryStatus::Pending,
        },
        created_at: Timestamp::from_micros(row.created_at),
        // The first attempt is due from the beginning of time.
        next_attempt_at: row.due_at.map(|due| Timestamp::from_micros(due.max(row.created_at))),
        attempts: attempts.collect(),
    }
}
