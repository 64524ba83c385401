//! Errors as the REST API answers them: a JSON array of `{message, errorCode, fields}`.

use serde_json::{Value, json};
use thiserror::Error;

use crate::db::DbError;
use crate::soql::SoqlError;

/// A refused call.
#[derive(Debug, Error)]
#[error("{code}: {message}")]
pub struct RestError {
    /// HTTP status.
    pub status: u16,
    /// Salesforce's error code.
    pub code: &'static str,
    /// Salesforce's words.
    pub message: String,
    /// The fields it is about.
    pub fields: Vec<String>,
    /// Whether `fields` is shown although it is empty, as some errors do.
    pub shows_fields: bool,
    #[source]
    source: Option<Box<DbError>>,
}

impl RestError {
    /// An error about no field in particular.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), shows_fields: false, source: None }
    }

    /// Names the fields it is about.
    #[must_use]
    pub fn about<F: Into<String>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.fields = fields.into_iter().map(Into::into).collect();
        self.shows_fields = true;
        self
    }

    /// `NOT_FOUND`: no such resource, or none the caller may know of.
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// `INVALID_SESSION_ID`.
    pub fn session_expired() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// `INSUFFICIENT_ACCESS_OR_READONLY`.
    pub fn insufficient_access() -> Self {
        Self::new(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
            .about(Vec::<String>::new())
    }

    /// `JSON_PARSER_ERROR`.
    pub fn bad_json(message: impl Into<String>) -> Self {
        Self::new(400, "JSON_PARSER_ERROR", message)
    }

    /// `METHOD_NOT_ALLOWED`.
    pub fn method_not_allowed(method: &str, allowed: &str) -> Self {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        Self::new(405, "METHOD_NOT_ALLOWED", message)
    }

    /// One element of the REST API's error array.
    pub fn body(&self) -> Value {
        if self.shows_fields {
            json!({"message": self.message, "errorCode": self.code, "fields": self.fields})
        } else {
            json!({"message": self.message, "errorCode": self.code})
        }
    }

    /// One element of a collection's or upsert's `errors`, which says `statusCode`.
    pub fn collection_body(&self) -> Value {
        json!({"statusCode": self.code, "message": self.message, "fields": self.fields})
    }

    pub(crate) fn from_soql(error: &SoqlError, source: &str) -> Self {
        Self::new(400, error.code(), error.in_context(source))
    }
}

impl From<DbError> for RestError {
    fn from(source: DbError) -> Self {
        let message =
            "An unexpected error occurred. Please include this ErrorId if you contact support: orgsim-db";
        let mut error = Self::new(500, "UNKNOWN_EXCEPTION", message);
        error.source = Some(Box::new(source));
        error
    }
}

impl From<rusqlite::Error> for RestError {
    fn from(source: rusqlite::Error) -> Self {
        DbError::from(source).into()
    }
}
