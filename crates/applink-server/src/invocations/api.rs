//! What the mesh calls: `POST /addons/{addon}/invocations/authentication`.

use applink_api::error::ErrorBody;
use applink_api::ids::{AppUuid, RecordId};
use applink_api::invocation::{InvocationAuthRequest, InvocationVerdict};
use axum::extract::State;

use super::flow::{Expected, Refused, key_id, verify};
use crate::app::App;
use crate::credentials::{self, Credential, OrgUser};
use crate::error::ApiError;
use crate::publications;
use crate::trust;
use crate::web::auth::RequireApp;
use crate::web::{ApiJson, Json};

/// Whether a call really comes from a connected org.
///
/// The official mesh reads the status only.
#[utoipa::path(
    post,
    path = "/addons/{addon}/invocations/authentication",
    tag = "mesh",
    request_body = InvocationAuthRequest,
    responses((status = 200, description = "What was verified", body = InvocationVerdict), (status = 403, description = "The call does not come from a connected org, or is for another app", body = ErrorBody)),
    security(("addon_token" = []))
)]
pub async fn authenticate_invocation(
    State(app): State<App>,
    caller: RequireApp,
    ApiJson(request): ApiJson<InvocationAuthRequest>,
) -> Result<Json<InvocationVerdict>, ApiError> {
    let org_id: RecordId = request.org_id.parse().map_err(|_| refused("the org id is not one"))?;
    let called: Option<AppUuid> = request.app_uuid.parse().ok();
    let called = called.filter(|called| *called == caller.attachment.app.id);
    let called = called.ok_or_else(|| refused("the call is for another app than this token's"))?;
    let (connection, org) = connected_org(&app, &caller, &org_id).await?;
    if !publications::store::is_published(
        app.store.reader(),
        caller.attachment.addon.id,
        called,
        org_id.as_str(),
    )
    .await?
    {
        return Err(refused("this app is not published in that org"));
    }
    let instance = app.hosts.instance(&org.instance_url).map_err(|error| refused(&error.to_string()))?;
    let kid = key_id(&request.core_jwt_token, &org_id).map_err(not_counting)?;
    let key = app.keys.find(&app, &instance, &kid).await.map_err(|error| {
        ApiError::org_unreachable("The org's public keys can't be fetched at the moment.").caused_by(error)
    })?;
    let key = key.ok_or_else(|| not_counting(Refused::UnknownKey))?;
    let policy =
        trust::store::policy_of(app.store.reader(), caller.attachment.addon.id, connection.id).await?;
    let expected = Expected {
        org_id: &org_id,
        instance_url: &org.instance_url,
        app: called,
        policy,
        now: app.clock.now(),
    };
    let verified = verify(&request.core_jwt_token, &key, expected).map_err(not_counting)?;
    Ok(Json(InvocationVerdict {
        org_id: org_id.to_string(),
        user_id: verified.user_id.to_string(),
        instance_url: org.instance_url,
        connection_name: connection.name,
        expires_at: verified.expires_at,
        token_id: Some(verified.token_id),
    }))
}

/// Step 2: several names may stand for one org; any live one vouches for it.
async fn connected_org(
    app: &App,
    caller: &RequireApp,
    org_id: &RecordId,
) -> Result<(Credential, OrgUser), ApiError> {
    let addon = caller.attachment.addon.id;
    let live = credentials::store::live_connections(app.store.reader(), addon, org_id.as_str()).await?;
    let found =
        live.into_iter().find_map(|connection| connection.live().cloned().map(|org| (connection, org)));
    found.ok_or_else(|| refused("the org is not connected to this add-on"))
}

fn not_counting(refused: Refused) -> ApiError {
    ApiError::forbidden(format!("The org's token does not count: {refused}.")).caused_by(refused)
}

fn refused(why: &str) -> ApiError {
    ApiError::forbidden(format!("The call is refused: {why}."))
}
