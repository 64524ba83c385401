//! What is wrong with a query, in Salesforce's codes and words.

use thiserror::Error;

use super::ast::Position;

/// A query that was refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct SoqlError {
    code: &'static str,
    at: Option<Position>,
    message: String,
}

impl SoqlError {
    pub(super) fn new(code: &'static str, at: Position, message: impl Into<String>) -> Self {
        Self { code, at: Some(at), message: message.into() }
    }

    /// An error about the query as a whole, which is reported without a place.
    pub(super) fn whole(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, at: None, message: message.into() }
    }

    pub(super) fn malformed(at: Position, message: impl Into<String>) -> Self {
        Self::new("MALFORMED_QUERY", at, message)
    }

    pub(super) fn no_such_column(at: Position, field: &str, entity: &str) -> Self {
        let message = format!(
            "No such column '{field}' on entity '{entity}'. If you are attempting to use a custom field, be sure to \
             append the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
             appropriate names."
        );
        Self::new("INVALID_FIELD", at, message)
    }

    pub(super) fn no_such_object(at: Position, name: &str) -> Self {
        let message = format!(
            "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
             names."
        );
        Self::new("INVALID_TYPE", at, message)
    }

    pub(super) fn no_such_relationship(at: Position, code: &'static str, name: &str, place: &str) -> Self {
        let message = format!(
            "Didn't understand relationship '{name}' in {place}. If you are attempting to use a custom relationship, \
             be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the \
             describe call for the appropriate names."
        );
        Self::new(code, at, message)
    }

    /// Salesforce's error code, such as `MALFORMED_QUERY`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Where in the query, when it is about one place.
    pub fn position(&self) -> Option<Position> {
        self.at
    }

    /// The message as the REST API answers it: the line of the query, a caret below the place, row and column,
    /// then what is wrong.
    pub fn in_context(&self, source: &str) -> String {
        let Some(Position { line, column }) = self.at else { return self.message.clone() };
        let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let indent = " ".repeat(column.saturating_sub(1));
        format!("\n{text}\n{indent}^\nERROR at Row:{line}:Column:{column}\n{}", self.message)
    }
}
