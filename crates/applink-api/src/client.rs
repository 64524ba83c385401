//! A typed client of the AppLink API (feature `client`).
//!
//! Noun, then verb:
//!
//! ```no_run
//! # async fn example() -> Result<(), applink_api::client::ClientError> {
//! use applink_api::client::Client;
//!
//! let client = Client::builder("http://127.0.0.1:7700/addons/792fb84d-9c0a-4e28-bee9-754bbfe1c100")
//!     .token("the add-on token".to_owned().into())
//!     .build()?;
//! for connection in client.connections().list().await? {
//!     let name = connection.org.connection_name.unwrap_or_default();
//!     println!("{name} is {}", connection.status.as_str());
//! }
//! # Ok(()) }
//! ```
//!
//! What every call has in common:
//!
//! * The add-on token reads; an API key (scope `manage`) changes. A client with only one of them uses it for both.
//! * Each call carries an `x-request-id`, one per call, the same on every repeat of it.
//! * Redirects are never followed, so no credential leaves the host it was given for.
//! * A call is repeated (three times in all) when it certainly was not sent; one that may have arrived is repeated
//!   only when doing it twice is the same as doing it once.
//! * Every call has a deadline, and an answer a size limit.
//! * [`ClientError`] says what happened and, with [`ClientError::hint`], what to do next.

mod audit;
mod authorizations;
mod builder;
mod connections;
mod data_action_targets;
mod error;
mod invocations;
mod keys;
mod operator;
mod publications;
mod transport;
mod webhooks;

pub use audit::Audit;
pub use authorizations::Authorizations;
pub use builder::ClientBuilder;
pub use connections::Connections;
pub use data_action_targets::DataActionTargets;
pub use error::ClientError;
pub use invocations::Invocations;
pub use keys::Keys;
pub use operator::Operator;
pub use publications::{Package, Publications};
pub use webhooks::Webhooks;

use std::fmt;
use std::sync::Arc;

use crate::sign_in::SignInLink;
use transport::{Call, Transport};

/// A client of one add-on (or, for [`Client::operator`], of one control plane). Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// Starts a client for `api_url`, the value of `<PREFIX>_API_URL`: `https://<host>/addons/<uuid>`.
    ///
    /// For [`Client::operator`] alone, the address of the control plane is enough.
    pub fn builder(api_url: &str) -> ClientBuilder {
        ClientBuilder::new(api_url)
    }

    /// Orgs that trust the add-on.
    pub fn connections(&self) -> Connections<'_> {
        Connections { transport: &self.transport }
    }

    /// Stored users.
    pub fn authorizations(&self) -> Authorizations<'_> {
        Authorizations { transport: &self.transport }
    }

    /// Webhooks of the Data Cloud org with this connection name (or uuid).
    pub fn data_action_targets<'a>(&'a self, connection: &'a str) -> DataActionTargets<'a> {
        DataActionTargets { transport: &self.transport, connection }
    }

    /// Apps published into orgs.
    pub fn publications(&self) -> Publications<'_> {
        Publications { transport: &self.transport }
    }

    /// Whether calls really come from a connected org.
    pub fn invocations(&self) -> Invocations<'_> {
        Invocations { transport: &self.transport }
    }

    /// Endpoints that are told what happens.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { transport: &self.transport }
    }

    /// API keys of the add-on.
    pub fn keys(&self) -> Keys<'_> {
        Keys { transport: &self.transport }
    }

    /// A link that signs a browser in to the dashboard, once.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn sign_in_link(&self) -> Result<SignInLink, ClientError> {
        let url = self.transport.url(&["sign-in-links"]);
        self.transport.fetch(Call::post(url, &serde_json::json!({}))?).await
    }

    /// What happened, and who did it.
    pub fn audit(&self) -> Audit<'_> {
        Audit { transport: &self.transport }
    }

    /// Apps, add-ons and API keys, with an operator key.
    pub fn operator(&self) -> Operator<'_> {
        Operator { transport: &self.transport }
    }

    /// Host and port this client talks to, for messages.
    pub fn host(&self) -> &str {
        self.transport.host()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host()).finish_non_exhaustive()
    }
}
