//! What operators call: `/operator/audit`.

use applink_api::operator::{EraseName, ErasedName};
use axum::extract::State;

use super::{Entry, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, Json};

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
