//! The AppLink API on one page: what every client, the control plane and the mesh say to each other.
//!
//! * [`ids`] and [`names`]: how add-ons, apps, orgs, connections and authorizations are named.
//! * [`connection`], [`authorization`], [`publication`], [`invocation`]: the resources and their states.
//! * [`data_action_target`]: webhooks of Data Cloud that point at an app.
//! * [`trust`], [`mesh_report`]: what a mesh polls and what it reports.
//! * [`context`]: the two headers in which an org tells the mesh and the app who is calling.
//! * [`webhook`]: what endpoints are told when any of them changes.
//! * [`sign_in`]: a link that signs a browser in.
//! * [`headers`]: every header name, and the set that only the mesh may set.
//! * [`error`]: the one error body, with the keys both official client families read.
//! * [`clock`] and [`entropy`]: time and randomness, which are always parameters.
//! * `client` (feature `client`): a typed client.
//!
//! Wire formats are those of the official service. What is ours is a new path or a new optional field.

pub mod audit;
pub mod authorization;
pub mod clock;
pub mod connection;
pub mod context;
pub mod data_action_target;
pub mod entropy;
pub mod error;
pub mod headers;
pub mod ids;
pub mod invocation;
pub mod mesh_report;
pub mod names;
pub mod operator;
pub mod org;
pub mod publication;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod sign_in;
pub mod time;
pub mod trust;
pub mod webhook;

#[cfg(feature = "client")]
pub mod client;
