//! Is this call real? How the mesh asks, and what it is told.
//!
//! 1. An org calls a published app; its mesh finds an org-signed token in `x-request-context` and, when it can't
//!    decide by itself, sends the token here ([`api`]).
//! 2. The claimed org must have a live connection to this add-on, and this app must be published there.
//! 3. The key comes from the *stored* instance URL of that connection and from nowhere else ([`keys`]).
//! 4. Signature and claims are checked strictly ([`flow`]), and the answer says what was verified.
//!
//! A mesh that verifies by itself ([`crate::trust`]) asks only what it can't know, and reports what it saw
//! ([`report`]).

pub mod api;
pub mod figures;
pub mod flow;
pub mod keys;
pub mod reconcile;
pub mod report;
pub mod store;
