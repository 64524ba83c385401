//! What meshes know of whom to trust, so that they can verify calls by themselves.
//!
//! 1. Public keys of connected orgs are fetched from their stored instance URLs when they are due, never while a
//!    request waits ([`reconcile`]), and kept in a table that all processes share ([`store`]).
//! 2. A mesh polls `GET /addons/{addon}/trust-bundle` with its `ETag` ([`api`]). The bundle is put together from rows
//!    on every poll ([`flow`]), so a disconnect is in the very next answer.
//! 3. Which claims an org's tokens must have is a setting of its connection ([`applink_api::trust::TokenPolicy`]).

pub mod api;
pub mod flow;
pub mod reconcile;
pub mod store;
