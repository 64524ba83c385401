//! What is answered when a request can't be served.

use std::borrow::Cow;

use applink_sdk::{Error, ErrorKind, OrgError};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// `{"error", "message", "place"}` with a status.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// Stable, for programs.
    error: &'static str,
    /// One sentence, for people.
    message: Cow<'static, str>,
    /// Where in the request, as a JSON path.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, message: message.into(), place: None }
    }

    /// A value that breaks a rule.
    pub(crate) fn invalid(place: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "invalid_request", message);
        Self { place: Some(place.into()), ..problem }
    }

    pub(crate) fn not_json() -> Self {
        let message = "Send JSON with the header Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "The body is larger than 1 MiB: send less at a time.",
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path has no such method.")
    }

    pub(crate) fn nothing_visible(requested: usize) -> Self {
        let message = format!("The calling user may see none of the {requested} opportunities.");
        Self::new(StatusCode::NOT_FOUND, "no_opportunities", message)
    }

    pub(crate) fn no_price_book() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "no_price_book",
            "The org has no standard price book that this user may see.",
        )
    }

    /// The app runs without an add-on.
    pub(crate) fn no_add_on(error: &Error) -> Self {
        tracing::warn!(error = chain(error), "no add-on");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_add_on",
            format!("This needs the AppLink add-on: {error}."),
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::warn!(error = chain(&error), "a call failed");
        match &error {
            Error::AppLink { source, .. } if source.is_not_found() => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_authorized",
                format!("{error}: add it first."),
            ),
            Error::AppLink { .. } | Error::NotAuthorized { .. } | Error::OtherOrg { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_authorized", format!("{error}."))
            }
            Error::Org(refused) => of_org(refused),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "Something went wrong on our side.",
            ),
        }
    }
}

fn of_org(refused: &OrgError) -> Problem {
    let (status, error) = match refused.kind() {
        ErrorKind::Auth => (StatusCode::BAD_GATEWAY, "session_ended"),
        ErrorKind::Limit | ErrorKind::Transient => (StatusCode::SERVICE_UNAVAILABLE, "org_unavailable"),
        _ => (StatusCode::BAD_GATEWAY, "org_refused"),
    };
    Problem::new(status, error, format!("{refused}."))
}

/// An error with its sources, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
