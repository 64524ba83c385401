//! The one error of the HTTP surface.
//!
//! `status`, `id` and `message` are for the caller; `source` is for the access log only. Handlers read as prose
//! through the named constructors: `.ok_or_else(ApiError::not_found)?`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use applink_api::error::{ErrorBody, Problem, error_id};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};

use crate::db::StoreError;
use crate::vault::VaultError;

type BoxError = Box<dyn Error + Send + Sync>;

/// What a handler answers when it can't do what was asked.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    id: &'static str,
    message: String,
    problems: Vec<Problem>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

/// The cause of an error answer, carried beside the response to the access log and never sent.
#[derive(Clone, Debug)]
pub struct ErrorCause(pub Arc<str>);

impl ApiError {
    /// An error with a status, one of [`error_id`] and a sentence that says what to do next.
    pub fn new(status: StatusCode, id: &'static str, message: impl Into<String>) -> Self {
        Self { status, id, message: message.into(), problems: Vec::new(), retry_after: None, source: None }
    }

    /// 400: the request can't be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error_id::BAD_REQUEST, message)
    }

    /// 401. The same words whether the credentials are missing, wrong or someone else's.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error_id::UNAUTHORIZED, message)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error_id::FORBIDDEN, message)
    }

    /// 404. Foreign and missing things answer the very same bytes; the message is the one the official CLI knows.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, error_id::RECORD_NOT_FOUND, "record not found")
    }

    /// 409: something alive has this name.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error_id::CONFLICT, message)
    }

    /// 422: readable, but breaks a rule.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error_id::VALIDATION_FAILED, message)
    }

    /// 422 at one place of the input, such as `$.connection_name`.
    pub fn invalid_field(place: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let problem = Problem { place: place.to_owned(), message: message.clone(), line: None, column: None };
        Self::validation(message).with_problems(vec![problem])
    }

    /// The same error at one place of the input, with its own message.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        let problem =
            Problem { place: place.to_owned(), message: self.message.clone(), line: None, column: None };
        self.with_problems(vec![problem])
    }

    /// 502: the org can't be reached or answers nonsense.
    pub fn org_unreachable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, error_id::ORG_UNREACHABLE, message)
    }

    /// 429: too many calls.
    pub fn rate_limited(message: impl Into<String>, retry_after: Duration) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, error_id::RATE_LIMITED, message);
        error.retry_after = Some(retry_after);
        error
    }

    /// 503: worth trying again after a while.
    pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, error_id::UNAVAILABLE, message);
        error.retry_after = Some(retry_after);
        error
    }

    /// 500: a defect of ours. The cause goes to the log.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error_id::SERVER_ERROR,
            "Something went wrong on our side; the log has the details under this request's id.",
        )
        .caused_by(source)
    }

    /// The same error with places attached.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// The same error with its cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let cause = self.source.as_deref().map(|source| ErrorCause(chain(source).into()));
        let body = ErrorBody::new(self.status.as_u16(), self.id, self.message).with_problems(self.problems);
        let mut response = (self.status, serde_json::to_string(&body).unwrap_or_default()).into_response();
        set(&mut response, CONTENT_TYPE, "application/json");
        if let Some(after) = self.retry_after {
            // Rounded up: who comes back then is let in.
            set(&mut response, RETRY_AFTER, &after.as_micros().div_ceil(1_000_000).max(1).to_string());
        }
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// An error and everything beneath it, on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            let message = "The database can't be reached; try again in a moment.";
            return Self::unavailable(message, Duration::from_secs(5)).caused_by(error);
        }
        Self::internal(error)
    }
}

impl From<sea_orm::DbErr> for ApiError {
    fn from(error: sea_orm::DbErr) -> Self {
        StoreError::from(error).into()
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_cause_goes_beside_the_response_and_not_into_it() {
        let error = ApiError::internal(Outer(std::io::Error::other("inner detail")));
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(&*response.extensions().get::<ErrorCause>().unwrap().0, "outer: inner detail");
    }

    #[test]
    fn an_unavailable_answer_says_when_to_come_back() {
        let response = ApiError::unavailable("later", Duration::from_millis(200)).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
}
