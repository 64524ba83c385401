//! Error bodies as the Platform API writes them: `{id, message}`, with `resource` where something is missing, which the
//! CLI reads to tell what to try next (Heroku, "Platform API Reference: Errors").

use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::db::StoreError;
use crate::error::ApiError;
use crate::vault::VaultError;

/// What the stand-in answers when it can't do what was asked.
#[derive(Debug)]
pub enum PlatformError {
    /// 404. What the person may not see and what does not exist are the same.
    Missing(&'static str),
    /// Everything else.
    Refused(ApiError),
}

impl PlatformError {
    /// 422, with the id the Platform API uses.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Refused(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message))
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(resource) => write!(f, "Couldn't find that {}.", resource.replace('_', " ")),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl Error for PlatformError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Missing(_) => None,
            Self::Refused(error) => error.source(),
        }
    }
}

impl IntoResponse for PlatformError {
    fn into_response(self) -> Response {
        let message = self.to_string();
        match self {
            Self::Refused(error) => error.into_response(),
            Self::Missing(resource) => {
                let body = json!({"id": "not_found", "message": message, "resource": resource}).to_string();
                let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
                (StatusCode::NOT_FOUND, json, body).into_response()
            }
        }
    }
}

impl From<ApiError> for PlatformError {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for PlatformError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<VaultError> for PlatformError {
    fn from(error: VaultError) -> Self {
        Self::Refused(error.into())
    }
}
