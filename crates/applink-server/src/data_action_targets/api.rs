//! What the mesh calls: `POST /addons/{addon}/data_action_targets/authenticate`.

use applink_api::error::ErrorBody;
use applink_api::ids::{AddonId, RecordId};
use applink_api::invocation::{DataActionAuthRequest, DataActionVerdict};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::{flow, store};
use crate::app::App;
use crate::credentials;
use crate::error::ApiError;
use crate::invocations;
use crate::web::auth::RequireApp;
use crate::web::{ApiJson, Json};

/// Largest body: the mesh's limit of 1 MiB for a payload, as text and, where it is none, as base64 too.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Whether a data action really comes from a connected org.
///
/// The official mesh reads the status only. Takes up to 4 MiB. An event whose id was used up
/// (`POST …/invocations/tokens`), because an app took its delivery, is answered 409 for five minutes.
#[utoipa::path(
    post,
    path = "/addons/{addon}/data_action_targets/authenticate",
    tag = "mesh",
    request_body = DataActionAuthRequest,
    responses((status = 200, description = "The signature is that of the payload", body = DataActionVerdict), (status = 403, description = "It is not", body = ErrorBody), (status = 409, description = "It is, but the event was delivered before", body = ErrorBody)),
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
    for row in store::keys(app.store.reader(), addon, org_id.as_str(), &request.api_name).await? {
        let key = app.vault.open_sealed(row.place(), &row.signing_key).await?;
        if flow::is_signed(key.expose_secret().as_bytes(), &payload, request.signature.expose_secret()) {
            return not_delivered(&app, addon, &org_id, flow::event_id(&request.api_name, &payload)).await;
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
