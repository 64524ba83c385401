//! What the `heroku` CLI calls, and what operators set up for it.

pub mod addons;
pub mod apps;
pub mod attachments;
pub mod operator;

use http::StatusCode;
use serde_json::Value;

use super::error::PlatformError;
use crate::web::Json;

/// An answer, or a Platform API error.
type Answer = Result<Json<Value>, PlatformError>;
/// The same with 201.
type Created = Result<(StatusCode, Json<Value>), PlatformError>;
