//! Being a Heroku add-on: what Heroku asks of a provider (Heroku, "Add-on Partner API Reference", version 3), and what
//! we ask of its Platform API in return.
//!
//! 1. `POST /heroku/resources` ([`api`]) makes the tenant under Heroku's own uuid and leaves a row that is due; the
//!    answer is 202 at once. Asked again with the same uuid, it answers the same and makes nothing.
//! 2. [`reconcile`] takes one step at a time, each committed, so that it may be killed between any two:
//!    exchange the grant for tokens, learn which apps the add-on is attached to, set the config vars, say that it is
//!    provisioned. [`flow`] knows which step is next.
//! 3. Every few minutes it looks again where the add-on is attached: Heroku does not tell.
//! 4. `PUT` changes the plan. `DELETE` voids the tokens at once and leaves the rest to [`crate::removals`], whose report
//!    outlives the add-on.
//!
//! One token serves all attachments of an add-on, since Heroku copies config vars from one to the next; `x-app-uuid`
//! tells the apps apart (`web/auth.rs`). Heroku's tokens are sealed; they go to the configured hosts only
//! ([`crate::egress::OperatorEgress`]).

pub mod api;
pub mod auth;
pub mod flow;
pub mod heroku;
pub mod reconcile;
pub mod store;
mod sync;

use secrecy::SecretString;
use url::Url;

/// What the manifest says, and where Heroku is.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The manifest's `id`, also the user name Heroku calls with.
    pub slug: String,
    /// The manifest's `api.password`.
    pub password: SecretString,
    /// Secret of the OAuth client that Heroku gave the add-on.
    pub client_secret: SecretString,
    /// The Platform API.
    pub api_url: Url,
    /// Where grants are exchanged.
    pub id_url: Url,
    /// The manifest's `api.config_vars_prefix`.
    pub config_vars_prefix: String,
    /// Plans that can be had; every one when empty.
    pub plans: Vec<String>,
}

impl ProviderConfig {
    /// The prefix Heroku derives from a slug when the manifest has none.
    pub fn derived_prefix(slug: &str) -> String {
        slug.to_ascii_uppercase().replace('-', "_")
    }

    /// Whether a plan can be had.
    pub fn has_plan(&self, plan: &str) -> bool {
        self.plans.is_empty() || self.plans.iter().any(|known| known == plan)
    }
}

/// Heroku's Platform API.
pub const DEFAULT_API_URL: &str = "https://api.heroku.com";
/// Heroku's OAuth server.
pub const DEFAULT_ID_URL: &str = "https://id.heroku.com";
