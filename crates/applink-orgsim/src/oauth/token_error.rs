//! Refusals of the token endpoint: status 400 with `error` and `error_description`, worded as an org words them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use crate::db::DbError;
use crate::failure::Failure;
use crate::keys::KeyError;

/// Why no token was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("{error}: {description}")]
    Refused { error: &'static str, description: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbError> for TokenError {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<KeyError> for TokenError {
    fn from(error: KeyError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a client that an admin has switched off is told, here and at the authorize endpoint.
pub(super) const BLOCKED: (&str, &str) = ("OAUTH_APP_BLOCKED", "this app is blocked by admin");

fn refused(error: &'static str, description: impl Into<String>) -> TokenError {
    TokenError::Refused { error, description: description.into() }
}

pub(crate) fn missing(parameter: &str) -> TokenError {
    refused("invalid_request", format!("missing required parameter: {parameter}"))
}

pub(crate) fn invalid_request(description: impl Into<String>) -> TokenError {
    refused("invalid_request", description)
}

pub(crate) fn unsupported_grant() -> TokenError {
    refused("unsupported_grant_type", "grant type not supported")
}

pub(super) fn unknown_client() -> TokenError {
    refused("invalid_client_id", "client identifier invalid")
}

pub(super) fn bad_client_credentials() -> TokenError {
    refused("invalid_client", "invalid client credentials")
}

pub(crate) fn invalid_grant(description: impl Into<String>) -> TokenError {
    refused("invalid_grant", description)
}

pub(super) fn redirect_mismatch() -> TokenError {
    refused("redirect_uri_mismatch", "redirect_uri must match configuration")
}

pub(super) fn not_admin_approved() -> TokenError {
    refused("invalid_app_access", "user is not admin approved to access this app")
}

pub(super) fn blocked_client() -> TokenError {
    refused(BLOCKED.0, BLOCKED.1)
}

pub(super) fn ip_restricted() -> TokenError {
    refused("invalid_grant", "ip restricted")
}

pub(super) fn inactive_user() -> TokenError {
    refused("inactive_user", "user is inactive")
}

pub(super) fn invalid_scope() -> TokenError {
    refused("invalid_scope", "the requested scope is not allowed")
}

/// A session without any of Data Cloud's scopes is nothing to its tenant.
pub(crate) fn no_data_cloud_scope() -> TokenError {
    refused(
        "invalid_scope",
        "the subject token has none of the scopes cdp_query_api, cdp_ingest_api, cdp_profile_api",
    )
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { error, description } => {
                let body = Json(json!({"error": error, "error_description": description}));
                let mut response = (StatusCode::BAD_REQUEST, body).into_response();
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
                response
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}
