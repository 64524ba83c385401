//! What goes wrong inside the org and is nobody's input: logged whole, answered without details.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::db::DbError;
use crate::keys::KeyError;

/// An internal failure of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the org's database failed")]
    Database(#[from] DbError),
    #[error("a token could not be signed")]
    Key(#[from] KeyError),
    #[error("a stored row can't be read back")]
    Row(#[from] serde_json::Error),
    #[error("a page could not be rendered")]
    Page(#[from] askama::Error),
    #[error("background work was cut short")]
    Task(#[from] tokio::task::JoinError),
    #[error("what the org asked of itself was refused")]
    Unexpected(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(DbError::from(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::error!(error = &self as &dyn std::error::Error, "request failed inside the org");
        let body = json!([{
            "errorCode": "UNKNOWN_EXCEPTION",
            "message": "An unexpected error occurred in the simulated org; its log has the cause.",
        }]);
        (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
    }
}
