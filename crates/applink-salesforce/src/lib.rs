//! Speaks to a Salesforce org.
//!
//! | module | what of the org it speaks |
//! |---|---|
//! | [`hosts`] | nothing: it decides which hosts may be spoken to at all, and yields [`hosts::OrgOrigin`] as the proof |
//! | [`egress`] | the HTTP client: no redirects, deadlines, capped answers, TLS 1.2 or newer |
//! | [`oauth`] | authorize, token, revoke and introspect; who may retry what afterwards |
//! | [`identity`] | who a token belongs to, which org that is, and whether it may manage AppLink |
//! | [`rest`] | queries, records and any other REST call, as one user |
//! | [`keys`] | the public keys an org signs with |
//! | [`data_cloud`] | data action targets |
//! | [`metadata`] | deploying a package and reading what became of each component |
//! | [`ids`] | 15- and 18-character record ids |
//! | [`error`] | what an org answers when it refuses |
//!
//! Every request goes to an [`hosts::OrgOrigin`], and only [`hosts::OrgHosts`] or a caller that vouches for
//! the origin makes one: a URL out of an answer can't be called by mistake. Secrets are
//! [`secrecy::SecretString`]; nothing here logs. The current time and random bytes are arguments.

#![warn(missing_docs)]

pub mod data_cloud;
pub mod egress;
pub mod error;
pub mod hosts;
pub mod identity;
pub mod ids;
pub mod keys;
pub mod metadata;
pub mod oauth;
pub mod rest;

pub use egress::OrgEgress;
pub use error::OrgError;
pub use hosts::{OrgHosts, OrgOrigin};
pub use ids::RecordId;
pub use rest::Org;
