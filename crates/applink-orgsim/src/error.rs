//! Why an org did not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::db::DbError;
use crate::keys::KeyError;

/// Why an org did not start or could not do what its owner asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrgsimError {
    /// Another program listens there.
    #[error("the address {address} is already in use; choose another port for the org")]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address can't be listened on.
    #[error("the org can't listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address is reachable from other machines and nobody agreed to that.
    #[error(
        "{address} is reachable from other machines; the org listens on loopback unless it is exposed on purpose"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Listening everywhere is no address that a client could use.
    #[error(
        "the org listens on {address}, which is no address to call it by; say which URL others reach it by"
    )]
    NoPublicUrl {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The public URL is more or less than scheme, host and port.
    #[error(
        "{url} can't be the org's URL; pass http or https, a host and perhaps a port, such as https://org.example:7701"
    )]
    BadPublicUrl {
        /// The URL that was asked for.
        url: url::Url,
    },
    /// The key of `/_sim` could be guessed by those who reach it.
    #[error("an org that other machines reach needs a key for /_sim of 32 characters or more")]
    WeakSimKey,
    /// The state directory or a file in it can't be used.
    #[error("the org's state at {} can't be read or written; check that the directory is yours", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process uses the state directory.
    #[error("the org's state directory {} is used by another process; stop it or choose another directory", path.display())]
    StateInUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file in the state directory has been damaged.
    #[error("{} is not what the org wrote; delete it to have a new one made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The sample data could not be written.
    #[error("the org's sample data could not be written")]
    Seed(#[source] Box<crate::rest::RestError>),
    /// The sample stream of Data Cloud could not be made.
    #[error("the org's Data Cloud could not be set up")]
    DataCloud(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The org has no such user.
    #[error("this org has no user {username}")]
    UnknownUser {
        /// The username that was asked for.
        username: String,
    },
    /// A client's row could not be written or read.
    #[error("the org's sign-in data could not be written")]
    SignIn(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No HTTP client could be made for calls to apps.
    #[error("no HTTP client for calls to apps could be made")]
    HttpClient(#[source] reqwest::Error),
    /// Start-up work was cut short.
    #[error("the org's start was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}
