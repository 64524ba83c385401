//! Why the org did not call, or could not reach, an app.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::failure::Failure;
use crate::keys::KeyError;

/// A refused or failed invocation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The org said no.
    #[error("{message}")]
    Refused { status: StatusCode, error: &'static str, message: String, detail: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::Failed(error.into())
    }
}

fn refused(
    status: StatusCode,
    error: &'static str,
    message: impl Into<String>,
    detail: impl Into<String>,
) -> Refusal {
    Refusal::Refused { status, error, message: message.into(), detail: detail.into() }
}

/// There is no such user, service or operation.
pub(super) fn unknown(what: &'static str, name: &str) -> Refusal {
    let error = match what {
        "user" => "unknown_user",
        "service" => "unknown_service",
        _ => "unknown_operation",
    };
    let hint = match what {
        "user" => "GET /_sim/users lists the active users",
        _ => "GET /_sim/services lists what is published in this org",
    };
    refused(StatusCode::NOT_FOUND, error, format!("There is no {what} {name:?} in this org"), hint)
}

/// There is no such published service.
pub(crate) fn unknown_service(name: &str) -> Refusal {
    unknown("service", name)
}

/// There is no such agent action.
pub(crate) fn unknown_action(name: &str) -> Refusal {
    unknown("operation", name)
}

/// An agent action has no such input.
pub(crate) fn not_an_input(name: &str) -> Refusal {
    invalid_arguments(format!("the action has no input {name:?}"))
}

/// The person is not to give this input.
pub(crate) fn not_for_the_person(name: &str) -> Refusal {
    invalid_arguments(format!("the input {name:?} is not the person's to give (isUserInput)"))
}

/// The service or operation is there, but not in a state to be called.
pub(super) fn not_callable(message: String) -> Refusal {
    refused(StatusCode::CONFLICT, "not_callable", message, "Publish the service again")
}

/// The arguments don't fit the operation.
pub(super) fn invalid_arguments(detail: String) -> Refusal {
    refused(
        StatusCode::BAD_REQUEST,
        "invalid_arguments",
        format!("The arguments don't fit the operation: {detail}"),
        detail,
    )
}

/// The user holds no permission set that opens the service's credential.
pub(super) fn no_credential_access(credential: &str, username: &str, sets: &[String]) -> Refusal {
    let message = format!(
        "We couldn't access the credential(s). {username} might not have the required permissions, or the external credential {credential:?} might not exist."
    );
    let detail = match sets {
        [] => format!("No permission set gives access to the external credential {credential}"),
        sets => format!("Assign one of these permission sets to {username}: {}", sets.join(", ")),
    };
    refused(StatusCode::FORBIDDEN, "credential_access_missing", message, detail)
}

/// The permission set the operation names is not assigned to the user.
pub(super) fn permission_set_not_assigned(permission_set: &str, username: &str) -> Refusal {
    refused(
        StatusCode::FORBIDDEN,
        "permission_set_not_assigned",
        format!(
            "The operation runs with the permission set {permission_set}, which is not assigned to {username}"
        ),
        format!(
            "Assign {permission_set} to {username}; being session-based, it takes effect only while the app runs"
        ),
    )
}

/// The app did not answer.
pub(super) fn unreachable_app(endpoint: &str, problem: &str) -> Refusal {
    refused(
        StatusCode::BAD_GATEWAY,
        "app_unreachable",
        format!("The app at {endpoint} could not be reached: {problem}"),
        "Start the app (and its mesh), or publish it again with the right URL",
    )
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { status, error, message, detail } => {
                (status, Json(json!({"error": error, "message": message, "detail": detail}))).into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}
