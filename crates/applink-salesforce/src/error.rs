//! What an org answers when it refuses, and what else can go wrong on the way.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::egress::{RawAnswer, SendFailure};
use crate::hosts::HostRefused;
use crate::ids::RecordIdError;

/// Longest text of an org that is carried in an error, in characters.
const MAX_TEXT: usize = 500;

/// A call to an org failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrgError {
    /// No answer came; the failure tells whether the request was sent.
    #[error(transparent)]
    Send(#[from] SendFailure),
    /// The access token is no longer (or not at all) good: get a fresh one and try again.
    #[error("the org refused the session: {message}")]
    SessionExpired {
        /// The org's own sentence.
        message: String,
    },
    /// The org understood the request and refused it.
    #[error("the org refused the request: {}", Listing(.errors))]
    Rejected {
        /// The HTTP status.
        status: StatusCode,
        /// At least one error, in the org's order.
        errors: Vec<ApiError>,
    },
    /// An external id names more than one record (HTTP 300).
    #[error(
        "the external id belongs to {count} records: make its values unique, or name the record by its id"
    )]
    Ambiguous {
        /// How many records have it.
        count: usize,
    },
    /// The org answered with a redirect, which is never followed with a token.
    #[error(
        "the org redirected the call ({status}), which is not followed: use the org's current instance URL"
    )]
    Redirected {
        /// The HTTP status.
        status: StatusCode,
    },
    /// The answer is not what this call answers with, an error page for example.
    #[error("the org answered {status} with something other than the expected JSON")]
    Unexpected {
        /// The HTTP status.
        status: StatusCode,
    },
    /// The answer is JSON, but not of the expected shape.
    #[error("the org's answer can't be read at {path}")]
    Shape {
        /// JSON path of the place.
        path: String,
        /// What was expected there.
        #[source]
        source: serde_json::Error,
    },
    /// The call names another origin than the org's: the token stays here.
    #[error("{origin} is not this org ({org}): its token is not sent there")]
    ForeignOrigin {
        /// Where the call would have gone.
        origin: String,
        /// Where it may go.
        org: String,
    },
    /// A URL in the answer is not one we may call.
    #[error("the org's answer names a URL that may not be called")]
    Host(#[source] HostRefused),
    /// An object or field name, or a path, that can't be part of a URL.
    #[error("{text:?} can't be used as {role}")]
    BadName {
        /// What it was meant to be.
        role: &'static str,
        /// The text.
        text: String,
    },
    /// A text is not a record id.
    #[error("that is not a record id")]
    BadId(#[source] RecordIdError),
    /// The request's body could not be written as JSON.
    #[error("the request's body can't be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The request's input is over a documented limit of the org.
    #[error("{what} is over the org's limit of {limit}")]
    OverLimit {
        /// What is too large.
        what: &'static str,
        /// The limit, with its unit.
        limit: &'static str,
    },
}

/// What kind of failure an [`OrgError`] is, for deciding what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The credentials are not good: refresh, or ask a person.
    Auth,
    /// A limit of the org was reached: wait.
    Limit,
    /// It may work in a moment.
    Transient,
    /// The same request will fail again.
    Rejected,
}

/// One error of an org's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Salesforce's own code: `INVALID_FIELD`, `REQUEST_LIMIT_EXCEEDED`, …
    pub code: String,
    /// Salesforce's own sentence.
    pub message: String,
    /// The fields it is about.
    pub fields: Vec<String>,
}

impl OrgError {
    /// See [`ErrorKind`].
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::SessionExpired { .. } => ErrorKind::Auth,
            Self::Send(_) => ErrorKind::Transient,
            Self::Rejected { status, errors } => rejected_kind(*status, errors),
            Self::Unexpected { status } if status.is_server_error() => ErrorKind::Transient,
            _ => ErrorKind::Rejected,
        }
    }

    /// Whether one of the org's errors has this code.
    pub fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Rejected { errors, .. } if errors.iter().any(|error| error.code == code))
    }
}

fn rejected_kind(status: StatusCode, errors: &[ApiError]) -> ErrorKind {
    let has = |codes: &[&str]| errors.iter().any(|error| codes.contains(&error.code.as_str()));
    if has(&["REQUEST_LIMIT_EXCEEDED"]) || status == StatusCode::TOO_MANY_REQUESTS {
        ErrorKind::Limit
    } else if has(&["UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT"]) || status.is_server_error()
    {
        ErrorKind::Transient
    } else if has(&["INVALID_SESSION_ID", "INVALID_AUTH_HEADER"]) {
        ErrorKind::Auth
    } else {
        ErrorKind::Rejected
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

struct Listing<'a>(&'a [ApiError]);

impl std::fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// Salesforce sends an array of these; some endpoints a single object. `statusCode` is the key inside
/// collection answers.
#[derive(Deserialize)]
pub(crate) struct WireError {
    #[serde(rename = "errorCode", alias = "statusCode", default)]
    code: String,
    /// What a Data Cloud tenant writes instead.
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: Option<Vec<String>>,
}

impl From<WireError> for ApiError {
    fn from(wire: WireError) -> Self {
        let code = if wire.code.is_empty() { wire.error.unwrap_or_default() } else { wire.code };
        Self {
            code: clipped(&code),
            message: clipped(&wire.message),
            fields: wire.fields.unwrap_or_default(),
        }
    }
}

/// Errors of an answer's body, empty when it holds none.
pub(crate) fn errors_in(body: &[u8]) -> Vec<ApiError> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let items = match value {
        Value::Array(items) => items,
        object => vec![object],
    };
    let read = items.into_iter().filter_map(|item| serde_json::from_value::<WireError>(item).ok());
    read.filter(|wire| !wire.code.is_empty() || wire.error.is_some()).map(ApiError::from).collect()
}

/// An answer that is not a success, as an error.
pub(crate) fn refusal_of(answer: &RawAnswer) -> OrgError {
    let status = answer.status;
    if status == StatusCode::MULTIPLE_CHOICES {
        let count = serde_json::from_slice::<Vec<Value>>(&answer.body).map_or(0, |urls| urls.len());
        return OrgError::Ambiguous { count };
    }
    if status.is_redirection() {
        return OrgError::Redirected { status };
    }
    let errors = errors_in(&answer.body);
    if status == StatusCode::UNAUTHORIZED && !refused_for_good(&errors) {
        let message = errors.into_iter().next().map(|error| error.message);
        return OrgError::SessionExpired { message: message.unwrap_or_else(|| "no reason given".to_owned()) };
    }
    if errors.is_empty() { OrgError::Unexpected { status } } else { OrgError::Rejected { status, errors } }
}

/// Two 401 answers that a fresh token would not change (the list jsforce keeps).
fn refused_for_good(errors: &[ApiError]) -> bool {
    const FINAL: [&str; 2] =
        ["Connected app is not attached to Agent", "This session is not valid for use with the REST API"];
    errors.iter().any(|error| FINAL.iter().any(|text| error.message.contains(text)))
}

/// A text of the org, short and on one line: it goes into logs and terminals.
pub(crate) fn clipped(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = visible.take(MAX_TEXT).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        clipped.push('…');
    }
    clipped
}

/// Reads JSON, naming the place when the shape is wrong.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    status: StatusCode,
    body: &[u8],
) -> Result<T, OrgError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let source = error.into_inner();
        if source.is_data() { OrgError::Shape { path, source } } else { OrgError::Unexpected { status } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> OrgError {
        refusal_of(&RawAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.into(),
        })
    }

    #[test]
    fn a_401_asks_for_a_fresh_token_in_both_shapes() {
        for body in [
            r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#,
            r#"{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}"#,
            "<html>",
        ] {
            assert_eq!(answered(401, body).kind(), ErrorKind::Auth, "{body}");
        }
        let body = r#"[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]"#;
        assert!(matches!(answered(401, body), OrgError::Rejected { .. }), "a fresh token would not help");
    }

    #[test]
    fn keeps_code_message_and_fields() {
        let body = r#"[{"message":"Required fields are missing: [Website__c]","errorCode":"REQUIRED_FIELD_MISSING","fields":["Website__c"]}]"#;
        let error = answered(400, body);
        assert!(error.has_code("REQUIRED_FIELD_MISSING"));
        let OrgError::Rejected { errors, .. } = &error else { panic!("{error:?}") };
        assert_eq!(errors[0].fields, ["Website__c"]);
        assert_eq!(
            error.to_string(),
            "the org refused the request: REQUIRED_FIELD_MISSING: Required fields are missing: [Website__c]"
        );
    }

    #[test]
    fn limits_and_passing_faults_are_told_apart() {
        let limit = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
        assert_eq!(answered(403, limit).kind(), ErrorKind::Limit);
        let lock = r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"busy"}]"#;
        assert_eq!(answered(400, lock).kind(), ErrorKind::Transient);
        assert_eq!(answered(503, "<html>").kind(), ErrorKind::Transient);
        assert_eq!(answered(404, "<html>").kind(), ErrorKind::Rejected);
        assert!(matches!(answered(302, ""), OrgError::Redirected { .. }));
        assert!(matches!(answered(300, r#"["/a","/b"]"#), OrgError::Ambiguous { count: 2 }));
    }

    #[test]
    fn a_long_or_unprintable_text_of_the_org_is_clipped() {
        assert_eq!(clipped("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(clipped(&"é".repeat(600)).chars().count(), MAX_TEXT + 1);
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_read_without_panic(status in 300_u16..600, body in proptest::collection::vec(0_u8..255, 0..200)) {
            let _ = refusal_of(&RawAnswer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: body.into(),
            }).to_string();
        }
    }
}
