//! Paging back through what is listed with the newest first.

use applink_api::time::Timestamp;
use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::Deserialize;

use crate::app::App;
use crate::error::ApiError;

/// As many are listed at once.
pub const LISTED: u64 = 200;

/// Which of them: the newest, or with `?before=TIME` the newest that are not after that time. What happened at that very
/// time is listed once more, so that nothing is lost between two pages.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Page {
    /// The time, as in the fields `at`.
    #[serde(default)]
    pub before: Option<Timestamp>,
}

impl FromRequestParts<App> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let read = Query::<Self>::from_request_parts(parts, app).await;
        read.map(|Query(page)| page).map_err(|_unreadable| {
            ApiError::validation("The parameter before is not a time, such as 2026-11-27T05:00:00Z.")
        })
    }
}
