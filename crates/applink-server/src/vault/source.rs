//! Where master keys come from: the configuration, a file that is read again, or a key service.

use std::path::PathBuf;
use std::sync::Arc;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use secrecy::SecretString;

use super::keys::{MasterKeyError, MasterKeys};
use super::transit::Transit;
use crate::db::{Database, StoreError};

/// Where master keys come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum KeySource {
    /// The configuration, once.
    #[default]
    Fixed,
    /// A file with one key per line, the preferred one first.
    File(PathBuf),
    /// HashiCorp Vault or OpenBao.
    Transit(Arc<Transit>),
}

/// Master keys can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// The file can't be read.
    #[error("the master key file {path} can't be read")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("the master key file {path} is not one")]
    NotKeys {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: MasterKeyError,
    },
    /// The key service can't be used.
    #[error("the key service {service} {what}")]
    Service {
        /// Its host, engine and key.
        service: String,
        /// What went wrong.
        what: String,
    },
    /// What the service unwrapped is another key.
    #[error(
        "what the key service unwrapped is not master key {0}: is it the same service and key as before?"
    )]
    NotWrapped(String),
    /// This program was built without it.
    #[error("this AppLink was built without HashiCorp Vault and OpenBao: build it with the feature `vault`")]
    NotBuiltIn,
    /// The database failed.
    #[error("the wrapped master keys can't be read or written")]
    Store(#[source] StoreError),
}

impl KeySource {
    /// The keys to start with.
    pub(crate) async fn first(
        &self,
        database: &Database,
        configured: &MasterKeys,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<MasterKeys, KeySourceError> {
        match self {
            Self::Fixed | Self::File(_) => Ok(configured.clone()),
            Self::Transit(transit) => transit.first(database, clock, entropy).await,
        }
    }

    /// The keys as they are now; none when they can't change.
    pub(super) async fn read(
        &self,
        database: &Database,
        known: &MasterKeys,
    ) -> Result<Option<MasterKeys>, KeySourceError> {
        match self {
            Self::Fixed => Ok(None),
            Self::File(path) => read_file(path).map(Some),
            Self::Transit(transit) => transit.read(database, known).await.map(Some),
        }
    }

    /// Makes the next key, where that is not a person's task.
    pub(super) async fn make(
        &self,
        database: &Database,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<(), KeySourceError> {
        match self {
            Self::Fixed | Self::File(_) => Ok(()),
            Self::Transit(transit) => transit.make(database, clock, entropy, false).await,
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<MasterKeys, KeySourceError> {
    let shown = || path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| KeySourceError::File { path: shown(), source })?;
    MasterKeys::parse(&SecretString::from(text))
        .map_err(|source| KeySourceError::NotKeys { path: shown(), source })
}
