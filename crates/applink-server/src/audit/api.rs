//! What is asked of the ledger over HTTP: an add-on's newest entries, and for operators `/operator/audit`.

use std::time::Duration;

use applink_api::audit::AuditEntry;
use applink_api::operator::{EraseName, ErasedName};
use applink_api::time::Timestamp;
use axum::extract::State;

use super::browse::{self, Filter};
use super::page::{LISTED, Page};
use super::{Entry, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::{RequireManager, RequireOperator};
use crate::web::{ApiJson, Json};

/// What happened in an add-on, and who did it.
///
/// The newest entries, or the newest not after `before`, the oldest of them first. Names are in it, so an app's token does not open it.
#[utoipa::path(
    get,
    path = "/addons/{addon}/audit",
    tag = "audit",
    params(("before" = Option<Timestamp>, Query, description = "The newest that are not after this time")),
    responses((status = 200, description = "At most 200", body = Vec<AuditEntry>)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn list_audit_entries(
    State(app): State<App>,
    manager: RequireManager,
    page: Page,
) -> Result<Json<Vec<AuditEntry>>, ApiError> {
    let until = page.before.map(|before| before.plus(Duration::from_micros(1)));
    let filter = Filter { until, ..Filter::default() };
    let mut newest = browse::page(app.store.reader(), manager.addon.id, &filter, None, LISTED).await?;
    newest.reverse();
    let entries = newest.into_iter().map(|row| AuditEntry {
        id: format!("{}:{}", row.segment, row.seq),
        at: Timestamp::from_micros(row.at),
        action: row.action,
        actor_kind: row.kind.unwrap_or_else(|| "system".to_owned()),
        actor: row.name,
        subject: row.subject,
        detail: row.detail,
    });
    Ok(Json(entries.collect()))
}

/// Erases a person's name from the audit log.
///
/// What they did stays, under an opaque id.
#[utoipa::path(
    post,
    path = "/operator/audit/erase-name",
    tag = "operator",
    request_body = EraseName,
    responses((status = 200, description = "How many actors had it", body = ErasedName)),
    security(("operator_key" = []))
)]
pub async fn erase_name(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<EraseName>,
) -> Result<Json<ErasedName>, ApiError> {
    let mut tx = app.store.begin().await?;
    let erased = store::erase_actor(&*tx, &request.name).await?;
    let detail = format!("{erased} actors");
    let entry =
        Entry { actor: operator.actor, action: "audit.name_erased", addon: None, subject: None, detail };
    tx.audit(entry);
    tx.commit().await?;
    app.store.journal().forget_actors().await;
    Ok(Json(ErasedName { erased }))
}
