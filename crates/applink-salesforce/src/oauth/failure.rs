//! What is known after a call to an OAuth endpoint failed.

use std::error::Error;

use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::egress::{BoxError, NotSentReason, RawAnswer, SendFailure, UnknownReason};
use crate::oauth::refusal::{Refusal, RefusalClass};

/// A call to an OAuth endpoint failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFailure {
    /// Nothing was sent: the grant is as it was, and trying again is safe.
    #[error("{host} could not be reached: {reason}")]
    NotSent {
        /// Host and port.
        host: String,
        /// At which step.
        reason: NotSentReason,
        /// What the network said.
        #[source]
        source: BoxError,
    },
    /// The org answered no.
    #[error("{host} refused: {refusal}")]
    Refused {
        /// Host and port.
        host: String,
        /// What it said, and what that means.
        refusal: Refusal,
    },
    /// It was sent, and what became of it is unknown: a rotating refresh token may be used up.
    #[error("{host} may have acted on the request, but {reason}")]
    Unknown {
        /// Host and port.
        host: String,
        /// What is known of the answer.
        reason: UnknownReason,
        /// What the network said.
        #[source]
        source: Option<BoxError>,
    },
}

/// The three things that can be known after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was sent.
    NotSent,
    /// The org answered; nothing changed hands.
    Answered(RefusalClass),
    /// It was sent, and the answer is unknown.
    Unknown,
}

impl TokenFailure {
    /// What is known.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotSent { .. } => Outcome::NotSent,
            Self::Refused { refusal, .. } => Outcome::Answered(refusal.class),
            Self::Unknown { .. } => Outcome::Unknown,
        }
    }

    /// The refusal, when the org answered.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NotSent { .. } | Self::Unknown { .. } => None,
        }
    }

    /// What to do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotSent { reason: NotSentReason::Dns, .. } => {
                "Check the login URL's spelling and this machine's DNS."
            }
            Self::NotSent { reason: NotSentReason::Tls, .. } => {
                "Check this machine's clock and certificate store, and that no proxy replaces the org's certificate."
            }
            Self::NotSent { .. } => "Check the login URL, and that this machine may reach it.",
            Self::Refused { refusal, .. } => refusal.hint(),
            Self::Unknown { .. } => "Wait a moment and look again before trying once more.",
        }
    }

    /// The network's own error, for logs.
    pub fn network_error(&self) -> Option<&(dyn Error + 'static)> {
        self.source()
    }

    pub(super) fn of_send(failure: SendFailure) -> Self {
        match failure {
            SendFailure::NotSent { host, reason, source } => Self::NotSent { host, reason, source },
            SendFailure::AnswerUnknown { host, reason, source } => Self::Unknown { host, reason, source },
        }
    }

    /// An answer that is no success. A 5xx counts as an answer only when it names an error we know; else the
    /// org may have done its part before it failed.
    pub(super) fn of_answer(host: &str, answer: &RawAnswer) -> Self {
        let (host, status) = (host.to_owned(), answer.status);
        let told = |refusal| Refusal { org_time: date(answer), ..refusal };
        match Refusal::in_answer(status, &answer.body).map(told) {
            Some(refusal) if status.is_server_error() && says_nothing_sure(&refusal) => {
                Self::Unknown { host, reason: UnknownReason::ServerError(status), source: None }
            }
            Some(refusal) => Self::Refused { host, refusal },
            None if status.is_client_error() => Self::Refused { host, refusal: Refusal::silent(status) },
            None if status.is_server_error() => {
                Self::Unknown { host, reason: UnknownReason::ServerError(status), source: None }
            }
            None => Self::unreadable(&host, None),
        }
    }

    /// A success whose body is not what it should be.
    pub(super) fn unreadable(host: &str, source: Option<BoxError>) -> Self {
        Self::Unknown { host: host.to_owned(), reason: UnknownReason::Unreadable, source }
    }
}

/// The answer's `Date`.
fn date(answer: &RawAnswer) -> Option<Timestamp> {
    let text = answer.headers.get(DATE)?.to_str().ok()?;
    Some(rfc2822::parse(text).ok()?.timestamp())
}

fn says_nothing_sure(refusal: &Refusal) -> bool {
    matches!(refusal.class, RefusalClass::Other | RefusalClass::Unavailable)
}
