//! The control plane: it stores connections and authorizations, keeps their tokens alive and hands them out,
//! publishes apps into orgs, and vouches for invocations. `applink serve` and `applink dev` run it.
//!
//! One module per noun, with the same files inside each: `api` (HTTP in and out), `flow` (pure transitions),
//! `store` (SQL), `reconcile` (work that is due). `api` names no database type, `store` no HTTP type, `flow`
//! neither.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | start and stop |
//! | [`config`], [`env_vars`] | configuration, read once |
//! | [`router`] | every route, grouped by who calls it |
//! | [`app`] | what handlers and reconcilers share |
//! | [`addons`], [`api_keys`] | tenants, their apps and keys |
//! | [`connections`], [`authorizations`], [`credentials`] | orgs and users, and how they come and go |
//! | [`oauth`] | the browser round trip and JWT bearer |
//! | [`tokens`] | grants: handing out and refreshing, exactly once |
//! | [`publications`] | apps in orgs |
//! | [`invocations`] | is this call real? |
//! | [`data_cloud`] | tokens of Data Cloud tenants, traded for those of their orgs |
//! | [`data_action_targets`] | webhooks of Data Cloud: making them, and whether what comes is signed |
//! | [`trust`] | what meshes verify calls with |
//! | [`dashboard`] | what a signed-on person sees in a browser |
//! | [`platform`] | a stand-in for the Heroku Platform API, for the stock CLI without Heroku |
//! | [`webhooks`] | telling endpoints what happened |
//! | [`health_checks`] | noticing dead grants before apps do |
//! | [`provider`] | being a Heroku add-on |
//! | [`removals`] | taking an add-on apart, whoever asks |
//! | [`reconcilers`] | what runs in the background |
//! | [`vault`], [`audit`] | secrets at rest; who did what |
//! | [`spool`] | what must not get lost while the database is away |
//! | [`db`] | SQLite and PostgreSQL |
//! | [`egress`] | whom we may call |
//! | [`limits`] | how often somebody may call |
//! | [`openapi`] | the description of all of this, for programs and for people |
//! | [`web`], [`error`] | extractors, middleware, the one error |

pub mod addons;
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod authorizations;
pub mod config;
pub mod connections;
pub mod credentials;
pub mod dashboard;
pub mod data_action_targets;
pub mod data_cloud;
pub mod db;
pub mod egress;
pub mod env_vars;
pub mod error;
pub mod health_checks;
pub mod invocations;
pub mod limits;
pub mod oauth;
pub mod openapi;
pub mod openid;
pub mod platform;
pub mod provider;
pub mod publications;
pub mod reconcilers;
pub mod removals;
pub mod router;
#[cfg(test)]
mod samples;
pub mod server;
pub mod spool;
pub mod tokens;
pub mod trust;
pub mod urls;
pub mod vault;
pub mod web;
pub mod webhooks;

pub use config::Config;
pub use server::{RunningServer, Server, ServerError};
