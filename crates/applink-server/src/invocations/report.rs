//! What meshes report, and tokens that may be used once among all meshes of an add-on.

use applink_api::error::ErrorBody;
use applink_api::ids::{AddonId, RecordId};
use applink_api::mesh_report::{InvocationRecord, MAX_COUNTS, MAX_RECORDS, MAX_TEXT, MeshReport, TokenUse};
use applink_api::time::Timestamp;
use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::State;
use http::StatusCode;
use std::time::Duration;
use uuid::Uuid;

use super::store;
use crate::app::App;
use crate::audit::page::{LISTED, Page};
use crate::error::ApiError;
use crate::vault::hex;
use crate::web::auth::{RequireApp, RequireManager};
use crate::web::{ApiJson, Json};

/// How much longer than its expiry a token is remembered: verifiers allow as much difference between clocks.
const LEEWAY: Duration = Duration::from_secs(60);
/// No token lives longer; a later expiry would only fill the table.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// Takes what a mesh says of the calls it saw.
#[utoipa::path(
    post,
    path = "/addons/{addon}/invocations/report",
    tag = "mesh",
    request_body = MeshReport,
    responses((status = 204, description = "Counted once, however often it is sent")),
    security(("addon_token" = []))
)]
pub async fn report_invocations(
    State(app): State<App>,
    caller: RequireApp,
    ApiJson(report): ApiJson<MeshReport>,
) -> Result<StatusCode, ApiError> {
    let mesh: Uuid =
        report.mesh.parse().map_err(|_| ApiError::validation("The field mesh is not a uuid."))?;
    ensure_bounded(&report, app.clock.now())?;
    let of = (caller.attachment.addon.id, caller.attachment.app.id);
    let tx = app.store.begin().await?;
    if store::note_mesh(&*tx, of, mesh, &report, app.clock.now()).await? {
        store::add_counts(&*tx, of, &report.counts).await?;
        store::add_records(&*tx, of, &report.sample, || app.entropy.uuid()).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Calls in a minute, or microseconds of one: eleven days.
const MAX_NUMBER: u64 = 1_000_000_000_000;
/// How far a mesh's clock may be ahead.
const MAX_AHEAD: Duration = Duration::from_secs(300);

fn ensure_bounded(report: &MeshReport, now: Timestamp) -> Result<(), ApiError> {
    let long = |text: &String| text.chars().count() > MAX_TEXT;
    let texts = report.sample.iter().flat_map(|record| {
        [&record.request_id, &record.org_id, &record.user_id, &record.operation, &record.verdict]
    });
    let verdicts = report.counts.iter().map(|count| &count.verdict);
    let fits = report.sample.len() <= MAX_RECORDS
        && report.counts.len() <= MAX_COUNTS
        && !texts.chain(verdicts).chain([&report.version]).any(long);
    if !fits {
        return Err(too_much());
    }
    // Sums of these are shown for a week, and what is dated later would be forgotten later.
    let latest = now.plus(MAX_AHEAD);
    let counts = report.counts.iter().map(|one| (one.minute, one.count));
    let sample = report.sample.iter().flat_map(|one| [(one.at, one.mesh_micros), (one.at, one.app_micros)]);
    if counts.chain(sample).any(|(at, number)| at > latest || number > MAX_NUMBER) {
        return Err(ApiError::validation(format!(
            "A report is of the past, and its numbers are at most {MAX_NUMBER}."
        )));
    }
    Ok(())
}

fn too_much() -> ApiError {
    ApiError::validation(format!(
        "A report has at most {MAX_RECORDS} records, {MAX_COUNTS} counts and texts of {MAX_TEXT} characters."
    ))
}

/// What meshes said of single calls.
///
/// The newest records, or the newest not after `before`, the oldest of them first. A mesh reports all calls in counts, and some of them in detail.
#[utoipa::path(
    get,
    path = "/addons/{addon}/invocations",
    tag = "audit",
    params(("before" = Option<Timestamp>, Query, description = "The newest that are not after this time")),
    responses((status = 200, description = "At most 200", body = Vec<InvocationRecord>)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn list_invocations(
    State(app): State<App>,
    manager: RequireManager,
    page: Page,
) -> Result<Json<Vec<InvocationRecord>>, ApiError> {
    let mut newest = store::newest_records(app.store.reader(), manager.addon.id, page.before, LISTED).await?;
    newest.reverse();
    Ok(Json(newest))
}

/// Uses up a token that may be used once among all meshes of the add-on, or the event of a data action that an app took.
#[utoipa::path(
    post,
    path = "/addons/{addon}/invocations/tokens",
    tag = "mesh",
    request_body = TokenUse,
    responses((status = 204, description = "It is the first use"), (status = 409, description = "It was used before", body = ErrorBody)),
    security(("addon_token" = []))
)]
pub async fn use_token(
    State(app): State<App>,
    caller: RequireApp,
    ApiJson(token): ApiJson<TokenUse>,
) -> Result<StatusCode, ApiError> {
    let org_id: RecordId =
        token.org_id.parse().map_err(|_| ApiError::validation("The field org_id is not an org's id."))?;
    let addon = caller.attachment.addon.id;
    let kept_until = token.expires_at.min(app.clock.now().plus(LONGEST_LIFE)).plus(LEEWAY);
    let tx = app.store.begin().await?;
    let first =
        store::use_token(&*tx, addon, digest(addon, &org_id, &token.token_id), app.clock.now(), kept_until)
            .await?;
    tx.commit().await?;
    if first { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::conflict("The token was used before.")) }
}

/// Under which a used token is kept.
pub(crate) fn digest(addon: AddonId, org_id: &RecordId, token_id: &str) -> String {
    let mut digest = Context::new(&SHA256);
    for part in [addon.to_string().as_str(), org_id.as_str(), token_id] {
        digest.update(part.as_bytes());
        digest.update(&[0]);
    }
    hex(digest.finish().as_ref())
}
