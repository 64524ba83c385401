//! What the mesh polls, and what a manager sets.

use applink_api::connection::ConnectionStatus;
use applink_api::trust::{TokenPolicySetting, TrustBundle};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::flow::{Facts, assemble};
use super::store;
use crate::app::App;
use crate::audit::Entry;
use crate::credentials::{self, Kind};
use crate::error::ApiError;
use crate::publications;
use crate::web::auth::{RequireApp, RequireManager};
use crate::web::{ApiJson, ApiPath, Json};

/// What a mesh verifies calls with.
#[utoipa::path(
    get,
    path = "/addons/{addon}/trust-bundle",
    tag = "mesh",
    responses((status = 200, description = "With an `ETag`", body = TrustBundle), (status = 304, description = "What `If-None-Match` names is still true")),
    security(("addon_token" = []))
)]
pub async fn show_trust_bundle(
    State(app): State<App>,
    caller: RequireApp,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let bundle = bundle(&app, &caller).await?;
    let fetch = bundle.orgs.iter().any(|org| org.state == ConnectionStatus::Connected && org.keys.is_empty());
    if fetch {
        // This answer does not wait for them; the next one has them.
        app.nudges.org_keys.notify_one();
    }
    let etag = format!("\"{}\"", bundle.version);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let etag = HeaderValue::from_str(&etag).map_err(ApiError::internal)?;
    let fresh = [(ETAG, etag), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok(if known {
        (StatusCode::NOT_MODIFIED, fresh).into_response()
    } else {
        (fresh, Json(bundle)).into_response()
    })
}

async fn bundle(app: &App, caller: &RequireApp) -> Result<TrustBundle, ApiError> {
    let (addon, of) = (caller.attachment.addon.id, caller.attachment.app.id);
    let reader = app.store.reader();
    let connections = credentials::store::list(reader, addon, Kind::Connection).await?;
    let urls = connections.iter().filter_map(|found| found.live()).map(|org| org.instance_url.clone());
    let keys = store::keys_of(reader, urls.collect()).await?;
    let publications = publications::store::list_live_of_app(reader, addon, of).await?;
    let policies = store::policies(reader, addon).await?;
    let facts = Facts {
        addon,
        app: of,
        connections: &connections,
        publications: &publications,
        keys: &keys,
        policies: &policies,
    };
    assemble(facts, app.clock.now()).map_err(ApiError::internal)
}

/// Sets what tokens of this connection's org must say.
#[utoipa::path(
    put,
    path = "/addons/{addon}/connections/{connection}/token-policy",
    tag = "connections",
    request_body = TokenPolicySetting,
    responses((status = 200, description = "The policy from now on", body = TokenPolicySetting)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn set_token_policy(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_addon, named)): ApiPath<(String, String)>,
    ApiJson(setting): ApiJson<TokenPolicySetting>,
) -> Result<Json<TokenPolicySetting>, ApiError> {
    let mut tx = app.store.begin().await?;
    let found = credentials::store::find(&*tx, manager.addon.id, Kind::Connection, &named).await?;
    let connection = found.ok_or_else(ApiError::not_found)?;
    store::set_policy(&*tx, manager.addon.id, connection.id, setting.policy).await?;
    let entry = Entry::new(&manager.actor, "connection.token_policy_set", manager.addon.id, connection.id);
    tx.audit(entry.with_detail(setting.policy.as_str()));
    tx.commit().await?;
    Ok(Json(setting))
}
