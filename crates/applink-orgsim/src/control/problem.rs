//! Errors of `/_sim`, and the JSON body extractor that words its own.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::db::DbError;
use crate::failure::Failure;

/// Why a control call was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{message}")]
    Refused { status: StatusCode, error: &'static str, message: String, detail: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        message: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::Refused { status, error, message: message.into(), detail: detail.into() }
    }

    pub(super) fn unknown(what: &str, name: &str, where_to_look: &str) -> Self {
        let detail = format!("GET {where_to_look} lists what there is");
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no {what} {name:?} in this org"),
            detail,
        )
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { status, error, message, detail } => {
                (status, Json(json!({"error": error, "message": message, "detail": detail}))).into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "There is no such control endpoint",
        "The documentation of applink-orgsim lists them",
    )
}

/// A JSON body; what doesn't parse is refused with its line and column.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = bytes::Bytes::from_request(request, state).await.map_err(|rejection| {
            Problem::new(
                rejection.status(),
                "unreadable_body",
                "The body could not be read",
                rejection.body_text(),
            )
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let detail = format!("line {}, column {}: {error}", error.line(), error.column());
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                format!("The body is not what this endpoint takes: {detail}"),
                detail,
            )
        })
    }
}
