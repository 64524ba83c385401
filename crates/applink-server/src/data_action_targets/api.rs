//! What the CLI calls, below `/addons/{addon}/connections/datacloud/{connection}/data_action_targets`, and what the mesh
//! calls: `POST /addons/{addon}/data_action_targets/authenticate`.

use applink_api::data_action_target::{CreateDataActionTarget, DataActionTarget};
use applink_api::error::{ErrorBody, error_id};
use applink_api::ids::{AddonId, ConnectionId, RecordId};
use applink_api::invocation::{DataActionAuthRequest, DataActionVerdict};
use applink_api::names::Name;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret as _;

use super::{flow, manage, store, targets};
use crate::app::App;
use crate::connections;
use crate::credentials::{self, Kind};
use crate::error::ApiError;
use crate::invocations;
use crate::web::auth::{RequireApp, RequireManager, RequireReader};
use crate::web::{ApiJson, ApiPath, Json};

/// Largest body: the mesh's limit of 1 MiB for a payload, as text and, where it is none, as base64 too.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The data action targets of a connection; none when there is no such connection.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/datacloud/{connection}/data_action_targets",
    tag = "connections",
    responses((status = 200, description = "All of them, by name", body = Vec<DataActionTarget>)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn list_data_action_targets(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
) -> Result<Json<Vec<DataActionTarget>>, ApiError> {
    let store = app.store.reader();
    let found = credentials::store::find(store, reader.addon.id, Kind::Connection, &named).await?;
    let Some(connection) = found else {
        // The official CLI reads this list before it disconnects, and tells best of a name that is nobody's afterwards.
        let may_be_one =
            Name::parse("connection name", &named).is_ok() || named.parse::<ConnectionId>().is_ok();
        return if may_be_one { Ok(Json(Vec::new())) } else { Err(ApiError::not_found()) };
    };
    let all = targets::list(store, reader.addon.id, connection.id).await?;
    Ok(Json(all.iter().map(|target| manage::to_wire(target, &connection)).collect()))
}

/// Asks a Data Cloud org for a webhook that points at a path of the app.
///
/// The app is the one `x-app-uuid` names. What failed before is tried again under its id.
#[utoipa::path(
    post,
    path = "/addons/{addon}/connections/datacloud/{connection}/data_action_targets",
    tag = "connections",
    request_body = CreateDataActionTarget,
    responses((status = 202, description = "Being made: look again until it is `created` or `creation_failed`", body = DataActionTarget), (status = 409, description = "The name is in use", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn create_data_action_target(
    State(app): State<App>,
    manager: RequireManager,
    headers: HeaderMap,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<CreateDataActionTarget>,
) -> Result<(StatusCode, Json<DataActionTarget>), ApiError> {
    // A connection that is nobody's is told the same way to everybody.
    connections::connected(&app, manager.addon.id, &named).await?;
    let pointed_at = manage::named_app(&manager, &headers)?;
    let (target, connection) = manage::create(&app, &manager, pointed_at, &named, request).await?;
    Ok((StatusCode::ACCEPTED, Json(manage::to_wire(&target, &connection))))
}

/// One data action target, by API name or uuid.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/datacloud/{connection}/data_action_targets/{target}",
    tag = "connections",
    responses((status = 200, description = "The target", body = DataActionTarget)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn show_data_action_target(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_addon, connection, named)): ApiPath<(String, String, String)>,
) -> Result<Json<DataActionTarget>, ApiError> {
    let found = manage::find(app.store.reader(), reader.addon.id, &connection, &named).await?;
    let (target, connection) = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(manage::to_wire(&target, &connection)))
}

/// Removes a data action target from its org, and then here.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/connections/datacloud/{connection}/data_action_targets/{target}",
    tag = "connections",
    responses((status = 202, description = "Being removed; gone when it is not found any more", body = DataActionTarget)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn remove_data_action_target(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, connection, named)): ApiPath<(String, String, String)>,
) -> Result<(StatusCode, Json<DataActionTarget>), ApiError> {
    let (target, connection) = manage::remove(&app, &manager, (&connection, &named)).await?;
    Ok((StatusCode::ACCEPTED, Json(manage::to_wire(&target, &connection))))
}

/// Has the org make a new signing key; the former one counts on for an hour.
#[utoipa::path(
    post,
    path = "/addons/{addon}/connections/datacloud/{connection}/data_action_targets/{target}/rotate_signing_key",
    tag = "connections",
    responses((status = 202, description = "Being made", body = DataActionTarget), (status = 409, description = "It has no key yet", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn rotate_data_action_key(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, connection, named)): ApiPath<(String, String, String)>,
) -> Result<(StatusCode, Json<DataActionTarget>), ApiError> {
    let (target, connection) = manage::rotate(&app, &manager, (&connection, &named)).await?;
    Ok((StatusCode::ACCEPTED, Json(manage::to_wire(&target, &connection))))
}

/// Whether a data action really comes from a connected org.
///
/// The official mesh reads the status only. Takes up to 4 MiB. An event whose id was used up
/// (`POST …/invocations/tokens`), because an app took its delivery, is answered 409 for five minutes.
#[utoipa::path(
    post,
    path = "/addons/{addon}/data_action_targets/authenticate",
    tag = "mesh",
    request_body = DataActionAuthRequest,
    responses((status = 200, description = "The signature is that of the payload", body = DataActionVerdict), (status = 403, description = "It is not, or (`signing_key_not_found`) the org has not made the key yet", body = ErrorBody), (status = 409, description = "It is, but the event was delivered before", body = ErrorBody)),
    security(("addon_token" = []))
)]
pub async fn authenticate_data_action(
    State(app): State<App>,
    caller: RequireApp,
    ApiJson(request): ApiJson<DataActionAuthRequest>,
) -> Result<Json<DataActionVerdict>, ApiError> {
    let addon = caller.attachment.addon.id;
    let org_id: RecordId = request.org_id.parse().map_err(|_| refused("the org id is not one"))?;
    let live = credentials::store::live_connections(app.store.reader(), addon, org_id.as_str()).await?;
    if live.is_empty() {
        return Err(refused("the org is not connected to this add-on"));
    }
    let payload = match &request.payload_base64 {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| refused("the payload is not base64"))?,
        None => request.payload.into_bytes(),
    };
    let keys =
        store::keys(app.store.reader(), addon, org_id.as_str(), &request.api_name, app.clock.now()).await?;
    if keys.is_empty()
        && targets::is_on_its_way(app.store.reader(), addon, org_id.as_str(), &request.api_name).await?
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            error_id::SIGNING_KEY_NOT_FOUND,
            "Signing Key Not Found: the org has not made one for this data action target yet. Wait until it is created \
             (datacloud:data-action-target:info shows it), then have the org send again.",
        ));
    }
    for row in keys {
        let key = app.vault.open_sealed(row.place(), &row.signing_key).await?;
        let key = key.expose_secret().as_bytes();
        if let Some(signed) = flow::signed_form(key, &payload, request.signature.expose_secret()) {
            return not_delivered(&app, addon, &org_id, flow::event_id(&request.api_name, &signed)).await;
        }
    }
    Err(refused("the signature is not one of this data action target"))
}

/// Only who can sign learns whether an event was delivered.
async fn not_delivered(
    app: &App,
    addon: AddonId,
    org_id: &RecordId,
    event_id: String,
) -> Result<Json<DataActionVerdict>, ApiError> {
    let digest = invocations::report::digest(addon, org_id, &event_id);
    if invocations::store::is_used(app.store.reader(), addon, digest, app.clock.now()).await? {
        return Err(ApiError::conflict("The data action was delivered within the last five minutes."));
    }
    Ok(Json(DataActionVerdict { event_id: Some(event_id) }))
}

fn refused(why: &str) -> ApiError {
    ApiError::forbidden(format!("The data action is refused: {why}."))
}
