//! What can go wrong between a client and the control plane, and what to do about it.

use std::time::Duration;

use crate::error::{ErrorBody, error_id};

/// Why a call did not give an answer. The source, when there is one, has the technical reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The API URL can't be used.
    #[error("`{url}` can't be used as an AppLink API URL: {reason}")]
    InvalidUrl {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A token, key or header value has characters that HTTP does not allow; the value is not shown.
    #[error("the {what} has characters that can't be sent in a header")]
    InvalidCredential {
        /// Which one.
        what: &'static str,
    },
    /// A name that can't be put into a path.
    #[error("`{name}` can't be the name of a {kind}")]
    InvalidName {
        /// A connection, an authorization, ….
        kind: &'static str,
        /// The name as given.
        name: String,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    /// Nothing was sent: the name is unknown, the connection was refused, or TLS failed.
    #[error("can't reach {host}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// DNS, TCP or TLS error.
        source: reqwest::Error,
    },
    /// No answer within the deadline. A change may have been made.
    #[error("{host} didn't answer within {} s", .after.as_secs())]
    TimedOut {
        /// Host and port.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke after the request was sent. A change may have been made.
    #[error("the connection to {host} broke before the answer was complete")]
    Interrupted {
        /// Host and port.
        host: String,
        /// What broke.
        source: reqwest::Error,
    },
    /// The control plane refused, with its reason.
    #[error("{}", .body.message)]
    Api {
        /// HTTP status, 400–599.
        status: u16,
        /// The error body.
        body: Box<ErrorBody>,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The service has taken the work on, but not finished it.
    #[error("{host} is still working on it")]
    Pending {
        /// Host and port.
        host: String,
    },
    /// An answer that is not one of the AppLink API.
    #[error("{host} answered {status}, but not as the AppLink API does")]
    NotAppLink {
        /// Host and port.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// A success whose body can't be read.
    #[error("the answer of {host} can't be read at `{path}`")]
    Decode {
        /// Host and port.
        host: String,
        /// JSON path inside the body.
        path: String,
        /// What was expected there.
        source: serde_json::Error,
    },
    /// The answer is longer than any answer of this API.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLong {
        /// Host and port.
        host: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The request body could not be written as JSON.
    #[error("the request can't be written as JSON")]
    Encode(#[source] serde_json::Error),
}

impl ClientError {
    /// What to do next, as a sentence without a full stop.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InvalidUrl { .. } => Some("it looks like https://<host>/addons/<uuid>"),
            Self::InvalidCredential { .. } => {
                Some("check it for a line break or a space that was copied with it")
            }
            Self::Unreachable { .. } => Some("is the service running, and is the address right?"),
            Self::TimedOut { .. } | Self::Interrupted { .. } => {
                Some("the request may have been carried out; look before you repeat it")
            }
            Self::Pending { .. } => Some("it goes on without you; look again in a while"),
            Self::NotAppLink { .. } | Self::Decode { .. } | Self::TooLong { .. } => {
                Some("does the address really lead to an AppLink service, of a version this client knows?")
            }
            Self::Api { status, body, .. } => api_hint(*status, &body.id),
            Self::InvalidName { .. } | Self::Setup(_) | Self::Encode(_) => None,
        }
    }

    /// The HTTP status, when the control plane answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } | Self::NotAppLink { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The stable error id, when the control plane refused.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Api { body, .. } => Some(&body.id),
            _ => None,
        }
    }

    /// There is no such thing (or it belongs to someone else).
    pub fn is_not_found(&self) -> bool {
        self.id() == Some(error_id::RECORD_NOT_FOUND)
    }

    /// Trying again later may help: nothing was wrong with the request.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Interrupted { .. } => true,
            Self::Api { status, .. } | Self::NotAppLink { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

fn api_hint(status: u16, id: &str) -> Option<&'static str> {
    match (status, id) {
        (401, _) => {
            Some("check the add-on token or the API key: it may be of another add-on, or have been replaced")
        }
        (403, _) => Some("the credentials are known, but may not do this"),
        (429 | 503, _) => Some("try again in a moment"),
        (_, error_id::SERVER_ERROR) => Some("the log of the service says more, under the same request id"),
        _ => None,
    }
}
