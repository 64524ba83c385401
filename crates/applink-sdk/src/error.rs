//! The one error of this crate.

use applink_api::client::ClientError;
use applink_salesforce::egress::EgressError;
use applink_salesforce::error::{ErrorKind, OrgError};
use applink_salesforce::hosts::HostRefused;
use applink_salesforce::rest::VersionError;

use crate::config::ConfigError;

/// What can go wrong. `source()` has the technical reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment doesn't say which add-on to use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The AppLink API gave no authorization.
    #[error("the authorization {name} could not be read")]
    AppLink {
        /// The developer name, alias or uuid that was asked for.
        name: String,
        /// What the API said.
        source: Box<ClientError>,
    },
    /// The authorization exists, but has no token.
    #[error(
        "the authorization {name} is {status}: authorize it again with applink salesforce:authorizations:add {name}"
    )]
    NotAuthorized {
        /// The developer name, alias or uuid that was asked for.
        name: String,
        /// Its state.
        status: &'static str,
    },
    /// The org's URL is not one a token may be sent to.
    #[error("the org's URL can't be used")]
    OrgUrl(#[source] HostRefused),
    /// The org's API version can't be read.
    #[error("the org's API version can't be used")]
    Version(#[source] VersionError),
    /// After a refresh the name stands for another org; its handles go on meaning the old one.
    #[error("the authorization {name} now belongs to org {found} instead of {expected}: ask for it again")]
    OtherOrg {
        /// The authorization's name.
        name: String,
        /// The org it stood for.
        expected: String,
        /// The org it stands for now.
        found: String,
    },
    /// The org refused, or could not be reached.
    #[error(transparent)]
    Org(#[from] OrgError),
    /// A record or an answer is not of the shape the app expects.
    #[error("{path} is not what was expected")]
    Decode {
        /// JSON path of the place.
        path: String,
        /// What was expected there.
        #[source]
        source: serde_json::Error,
    },
    /// A value can't be written as JSON.
    #[error("the value of {field} can't be written as JSON")]
    Encode {
        /// The field it was for.
        field: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// Data Cloud was asked for with the session of a Salesforce org.
    #[error(
        "this is not the org of a Data Cloud authorization: add one with applink datacloud:authorizations:add"
    )]
    NotDataCloud,
    /// The HTTP client can't be set up.
    #[error(transparent)]
    Setup(#[from] EgressError),
}

impl Error {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::AppLink { source, .. } => source.is_transient(),
            Self::Org(error) => matches!(error.kind(), ErrorKind::Transient | ErrorKind::Limit),
            _ => false,
        }
    }

    /// The org's own codes (`INVALID_FIELD`, …), when it refused.
    pub fn codes(&self) -> Vec<&str> {
        match self {
            Self::Org(OrgError::Rejected { errors, .. }) => {
                errors.iter().map(|error| error.code.as_str()).collect()
            }
            Self::Org(OrgError::SessionExpired { .. }) => vec!["INVALID_SESSION_ID"],
            _ => Vec::new(),
        }
    }
}

/// Reads a JSON value into a type, naming the place when it doesn't fit.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        Error::Decode { path, source: error.into_inner() }
    })
}
