//! Links that sign a browser in: 256 random bits, stored hashed, good for a minute and one use.
//!
//! Whoever shows that they may look at an add-on gets one: an API key or the add-on's token through the API ([`api`]),
//! a person through the stand-in for the Platform API, one whom an OpenID provider vouches for. What the session may do
//! is what its [`Basis`] may do, and it ends with it.

pub mod api;
pub mod store;

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::session::Basis;
use crate::app::App;
use crate::db::{StoreError, Tx};
use crate::web::auth::hash_of;

/// How long a link is good.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// Whom a link signs in, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The add-on.
    pub addon: AddonId,
    /// Who, as shown.
    pub person: String,
    /// What the session will rest on.
    pub basis: Basis,
    /// Whether they may change things.
    pub may_change: bool,
}

/// A link that was made.
#[derive(Debug)]
pub struct Made {
    /// What stands in it.
    pub ticket: SecretString,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Made {
    /// The link itself.
    pub fn url(&self, app: &App) -> SecretString {
        SecretString::from(app.urls.sign_in(self.ticket.expose_secret()))
    }
}

/// Makes a link in a transaction.
///
/// # Errors
/// Those of the database.
pub async fn make(app: &App, tx: &Tx, visitor: &Visitor, lifetime: Duration) -> Result<Made, StoreError> {
    let ticket = SecretString::from(app.entropy.url_token());
    let expires_at = app.clock.now().plus(lifetime);
    store::insert(&**tx, hash_of(&ticket), visitor, expires_at).await?;
    Ok(Made { ticket, expires_at })
}
