//! Why a step is a ✗: one reason, with its causes.

use std::error::Error;
use std::fmt;

use applink_api::client::ClientError;

use crate::dev::visitor::VisitError;
use crate::sim::SimError;

/// Why a step failed.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// For a reason of our own.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// For an error, its causes behind it.
    pub(crate) fn because(error: &dyn Error) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            let text = source.to_string();
            if !reason.ends_with(&text) {
                reason = format!("{reason}: {text}");
            }
            cause = source.source();
        }
        Self(reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::because(&error)
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        Self::because(&error)
    }
}

impl From<VisitError> for Failure {
    fn from(error: VisitError) -> Self {
        Self::because(&error)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::because(&error.without_url())
    }
}
