//! A stand-in for the Heroku Platform API, so that the stock `heroku` CLI works without Heroku: people, teams and who
//! may work on which app; apps, add-ons, attachments, config vars and releases; single sign-on into the AppLink API.
//! It answers only what AppLink's users need of the real one, on the control plane's own port, and only when
//! [`Config::platform`](crate::Config) asks for it.
//!
//! 1. A person sends a platform API key ([`people`]); [`caller`] finds who it is and how far they reach.
//! 2. [`access`] decides, per app: deploy, operate or ownership is needed for every view and change; who may only
//!    view gets 403; to everybody else the app does not exist.
//! 3. `POST /apps/{app}/addons` answers `provisioning` at once; the reconciler ([`reconcile`]) makes the token, and
//!    with it the config vars appear.
//! 4. `GET /apps/{app}/addons/{addon}/sso` signs for the AppLink API who the person is ([`sso`]); the CLI sends that
//!    back as `x-addon-sso`, and a mutating route asks [`access`] once more.
//!
//! Config vars of attachments are not stored as such: the URL follows from where this server is, the token is sealed
//! under the add-on's data key. What people set is sealed under the server's.

pub mod access;
pub mod addons;
pub mod api;
pub mod apps;
pub mod attachments;
pub mod caller;
pub mod config_vars;
pub mod error;
pub mod guard;
pub mod people;
pub mod reconcile;
pub mod releases;
pub mod sso;
pub mod store;
pub mod teams;
mod wire;

/// The stand-in is mounted, and how.
#[derive(Clone, Debug, Default)]
pub struct PlatformConfig {
    /// Host names it answers to besides loopback and the public URL's, such as `api.heroku.com` behind a proxy.
    pub hosts: Vec<String>,
}
