//! Who calls: with a token of the tenant on its host, with a session of the org on the org's.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::problem::TenantError;
use super::token::{self, Access};
use crate::db::DbError;
use crate::failure::Failure;
use crate::sessions::Session;
use crate::state::{OrgState, bearer};

/// The tenant token of a request, which must be for this.
pub(super) fn of_tenant(state: &OrgState, headers: &HeaderMap, scope: &str) -> Result<Access, TenantError> {
    let invalid = || {
        TenantError::new(
            StatusCode::UNAUTHORIZED,
            "The token is invalid or has expired; POST /services/a360/token gives another for a session of the org",
        )
    };
    let token = bearer(headers).ok_or_else(invalid)?;
    let access = state.db().read(|tx| token::find(tx, token))?.ok_or_else(invalid)?;
    match access.has(scope) {
        true => Ok(access),
        false => Err(TenantError::new(
            StatusCode::FORBIDDEN,
            format!(
                "The token lacks the scope {scope}; the org's OAuth client must have it when the user logs in"
            ),
        )),
    }
}

/// Why the org refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrgRefusal {
    #[error("{message}")]
    Refused { status: StatusCode, code: &'static str, message: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl OrgRefusal {
    pub(super) fn new(status: StatusCode, message: String) -> Self {
        Self::Refused { status, code: "INVALID_INPUT", message }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Refused { status: StatusCode::BAD_REQUEST, code: "INVALID_INPUT", message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::Refused { status: StatusCode::NOT_FOUND, code: "NOT_FOUND", message: message.into() }
    }

    pub(super) fn duplicate(message: impl Into<String>) -> Self {
        Self::Refused { status: StatusCode::BAD_REQUEST, code: "DUPLICATE_VALUE", message: message.into() }
    }
}

impl From<DbError> for OrgRefusal {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<rusqlite::Error> for OrgRefusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for OrgRefusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TenantError> for OrgRefusal {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Refused { status, message, .. } => {
                Self::Refused { status, code: "INVALID_INPUT", message }
            }
            TenantError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl IntoResponse for OrgRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { status, code, message } => {
                (status, Json(json!([{"errorCode": code, "message": message}]))).into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}

/// The session of a request to the org itself.
pub(super) fn of_org(state: &OrgState, headers: &HeaderMap) -> Result<Session, OrgRefusal> {
    let session = bearer(headers).map(|token| state.use_session(token)).transpose()?.flatten();
    let session = session.filter(|session| session.has_scope("api") || session.has_scope("full"));
    session.ok_or_else(|| OrgRefusal::Refused {
        status: StatusCode::UNAUTHORIZED,
        code: "INVALID_SESSION_ID",
        message: "Session expired or invalid".to_owned(),
    })
}

/// A JSON body, with the place where it doesn't fit.
pub(super) fn json_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, TenantError> {
    serde_json::from_slice(body).map_err(|error| {
        let (told, place) = (error.to_string(), format!("line {}, column {}", error.line(), error.column()));
        let what = told.split(" at line ").next().unwrap_or_default();
        TenantError::bad_request(format!("The body is not what is expected here: {what} ({place})"))
    })
}
