//! The data REST API.

mod error;

pub use error::RestError;
