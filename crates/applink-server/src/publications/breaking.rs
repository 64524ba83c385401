//! What a republish changes for the Flows and Apex that use what is published now.

use applink_api::error::{Problem, error_id};
use applink_publish::compare::{self, Change};
use applink_publish::preview::Preview;
use applink_publish::spec::{self, Spec};
use http::StatusCode;

use super::{Publication, store};
use crate::app::App;
use crate::error::ApiError;

/// Breaking changes against the document that is live. None when nothing is live, or when what is live can't be read
/// by today's rules.
///
/// # Errors
/// 503 when the database is away.
pub async fn changes(app: &App, known: Option<&Publication>, spec: &Spec) -> Result<Vec<Change>, ApiError> {
    let Some(known) = known.filter(|known| known.live.is_some()) else { return Ok(Vec::new()) };
    let Some(live) = store::last_published(app.store.reader(), known.addon, known.id).await? else {
        return Ok(Vec::new());
    };
    let (client, new) = (known.client.clone(), spec.clone());
    let compared = tokio::task::spawn_blocking(move || {
        let Ok(old) = spec::read(live.format, &live.document) else { return Vec::new() };
        let changes = compare::compare(&Preview::of(&old, &client, None), &Preview::of(&new, &client, None));
        changes.into_iter().filter(|change| change.breaking).collect()
    });
    compared.await.map_err(ApiError::internal)
}

/// Refuses a publish that breaks callers, when the caller said that it must not.
///
/// # Errors
/// 409 with every change.
pub fn ensure_allowed(client: &str, changes: &[Change], allow: Option<bool>) -> Result<(), ApiError> {
    if changes.is_empty() || allow != Some(false) {
        return Ok(());
    }
    let count = changes.len();
    let noun = if count == 1 { "change" } else { "changes" };
    let message =
        format!("Flows and Apex that use `{client}` will break: {count} {noun}. Nothing was published.");
    let problems = changes
        .iter()
        .map(|change| Problem {
            place: change.subject.clone(),
            message: change.message.clone(),
            line: None,
            column: None,
        })
        .collect();
    Err(ApiError::new(StatusCode::CONFLICT, error_id::BREAKING_CHANGE, message).with_problems(problems))
}
