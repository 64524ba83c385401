//! For apps that use AppLink: call a Salesforce org as the user who called you, or as a stored one.
//!
//! Called by an org, through the mesh ([`docs::invocations`]):
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod app {
//! async fn open_deals(invocation: applink_sdk::Invocation) -> Result<String, applink_sdk::Error> {
//!     let org = invocation.org();
//!     let page = org.data().query("SELECT Name FROM Opportunity WHERE IsClosed = false").send().await?;
//!     Ok(format!("{} has {} open deals", invocation.user().username, page.total_size))
//! }
//! # }
//! ```
//!
//! On its own, as a user somebody stored under a name ([`docs::authorizations`]):
//!
//! ```no_run
//! # async fn run() -> Result<(), applink_sdk::Error> {
//! let org = applink_sdk::AppLink::from_env()?.authorization("influencerPortal").await?.org();
//! let mut campaigns = org.data().query("SELECT Id, Name FROM Campaign").all();
//! while let Some(campaign) = campaigns.next().await? {
//!     println!("{}", campaign.text("Name").unwrap_or("(no name)"));
//! }
//! # Ok(()) }
//! ```
//!
//! Queries and records are in [`docs::data`], callbacks in [`docs::callbacks`], Data Cloud in
//! [`docs::data_cloud`]. What has no method of its own is reached with [`Org::request`]. A user's token is attached
//! to requests to that user's org and to nothing else, and never follows a redirect.

#![warn(missing_docs)]

pub mod data;
pub mod data_action;
pub mod data_cloud;
pub mod docs;
pub mod env;
pub mod invocation;
pub mod soql;

mod applink;
mod authorization;
mod config;
mod error;
mod org;
mod session;

pub use applink::AppLink;
pub use authorization::Authorization;
pub use config::ConfigError;
pub use data::{Field, Page, Record};
pub use error::Error;
pub use invocation::Invocation;
pub use org::{Answer, Callback, Org, Request, User};

/// What the AppLink API answers when it refuses: part of [`Error::AppLink`].
pub use applink_api::client::ClientError;
/// What an org answers when it refuses, and the org's record ids: types of `applink-salesforce` that appear in
/// this crate's interface.
pub use applink_salesforce::error::{ApiError, ErrorKind, OrgError};
pub use applink_salesforce::ids::{RecordId, RecordIdError};
