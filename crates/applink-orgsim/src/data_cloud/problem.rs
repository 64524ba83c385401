//! What a tenant answers when it refuses: `{error, message, details}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::db::DbError;
use crate::failure::Failure;

/// Why a tenant refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TenantError {
    #[error("{message}")]
    Refused { status: StatusCode, message: String, details: Vec<String> },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl TenantError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Refused { status, message: message.into(), details: Vec::new() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// With one sentence for each thing that is wrong.
    pub(super) fn bad_rows(details: Vec<String>) -> Self {
        let message = details.first().cloned().unwrap_or_default();
        Self::Refused { status: StatusCode::BAD_REQUEST, message, details }
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }
}

impl From<DbError> for TenantError {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<rusqlite::Error> for TenantError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for TenantError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for TenantError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { status, message, details } => {
                let body = json!({
                    "error": status.canonical_reason().unwrap_or_default(),
                    "message": message,
                    "details": details,
                });
                (status, Json(body)).into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}
