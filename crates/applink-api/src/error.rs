//! The one error body, `{id, message, title, detail, status}`.
//!
//! The Heroku CLI reads `id` and `message`; the Node SDK reads `title` and `detail`. Both get what they need.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The body of every error answer of the AppLink API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// Stable, machine-readable: one of those in `error_id`.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: Cow<'static, str>,
    /// One sentence for the person, with what to do next.
    pub message: String,
    /// The name of the kind of problem, for people (`Record not found`).
    #[serde(default)]
    pub title: String,
    /// The same sentence as `message`.
    #[serde(default)]
    pub detail: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Places in the input the message is about, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// One place in the input and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Where: a JSON path (`$.paths./quote.post.operationId`), a file name, or a component of the org.
    pub place: String,
    /// One sentence: what is wrong and how to mend it.
    pub message: String,
    /// Line in the input, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl ErrorBody {
    /// A body with `title` derived from `id` (`record_not_found` → `Record not found`).
    pub fn new(status: u16, id: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            id: Cow::Borrowed(id),
            title: title_of(id),
            detail: message.clone(),
            message,
            status,
            problems: Vec::new(),
        }
    }

    /// The same body with places attached.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }
}

fn title_of(id: &str) -> String {
    let mut title = id.replace('_', " ");
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    title
}

/// The error carried inside a connection or authorization that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResourceError {
    /// Stable id, for example [`error_id::REAUTH_REQUIRED`].
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: Cow<'static, str>,
    /// One sentence with what to do next.
    pub message: String,
}

/// Every stable error id.
pub mod error_id {
    /// 400: the request can't be read.
    pub const BAD_REQUEST: &str = "bad_request";
    /// 401: no credentials, or wrong ones.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// 403: known, but not allowed.
    pub const FORBIDDEN: &str = "forbidden";
    /// 403: a data action can't be verified yet, because its org has not made the signing key.
    pub const SIGNING_KEY_NOT_FOUND: &str = "signing_key_not_found";
    /// 404: there is no such thing here (or it belongs to someone else).
    pub const RECORD_NOT_FOUND: &str = "record_not_found";
    /// 405: this path has no such method.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// 409: the name is taken by something alive.
    pub const CONFLICT: &str = "conflict";
    /// 413: the body is over the documented limit.
    pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
    /// 415: the content type is not one this path reads.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    /// 422: readable, but breaks a rule.
    pub const VALIDATION_FAILED: &str = "validation_failed";
    /// 422, or in a resource: the org refused the credentials.
    pub const AUTHENTICATION_FAILED: &str = "authentication_failed";
    /// In a resource: the org could not be connected.
    pub const ORG_CONNECTION_FAILED: &str = "org_connection_failed";
    /// In a resource: the grant is dead; a person must connect again.
    pub const REAUTH_REQUIRED: &str = "reauth_required";
    /// 422: the OpenAPI document can't be published.
    pub const SPEC_INVALID: &str = "spec_invalid";
    /// 409: a publish would break Flows and Apex that use what is published now.
    pub const BREAKING_CHANGE: &str = "breaking_change";
    /// 422: the org refused the package.
    pub const DEPLOY_FAILED: &str = "deploy_failed";
    /// 422: the app has no public URL to publish.
    pub const APP_URL_MISSING: &str = "app_url_missing";
    /// 429: too many calls.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// 500: a defect of ours.
    pub const SERVER_ERROR: &str = "server_error";
    /// 502: the org can't be reached or answers nonsense.
    pub const ORG_UNREACHABLE: &str = "org_unreachable";
    /// 503: try again later.
    pub const UNAVAILABLE: &str = "unavailable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_keys_of_both_client_families() {
        let body = ErrorBody::new(404, error_id::RECORD_NOT_FOUND, "record not found");
        assert_eq!(
            serde_json::to_value(body).unwrap(),
            serde_json::json!({"id": "record_not_found", "message": "record not found",
                "title": "Record not found", "detail": "record not found", "status": 404})
        );
    }
}
