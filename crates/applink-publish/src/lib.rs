//! From an OpenAPI document to what an org gets, as pure functions: no network, no clock, no database.
//!
//! 1. [`package`] unpacks an uploaded archive within the documented limits.
//! 2. [`spec`] reads the document and checks it ([`spec::read`]); every [`spec::Finding`] has a code, a severity, a
//!    JSON path, line and column, and says how to mend it.
//! 3. [`metadata`] turns document, request and what the org has into a metadata package.
//! 4. [`preview`] shows what callers will see, and [`compare`] what a new document breaks for them.
//! 5. [`report`] writes findings for programs.
//!
//! The control plane uses all of it before a deploy, and the CLI the same code without asking anybody.

pub mod compare;
pub mod metadata;
pub mod package;
pub mod preview;
mod release;
pub mod report;
pub mod spec;

pub use release::Release;
