//! What is wrong, or worth knowing, about an OpenAPI document: always with its place.

use std::fmt;

use applink_api::error::Problem;

use super::code::{Code, Severity};
use super::tree::Position;

/// One thing found in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub code: Code,
    /// JSON path of the value (`$.paths./quote.post`).
    pub path: String,
    /// Line and column of the value; `None` for what is missing from the whole.
    pub at: Option<Position>,
    /// One sentence: what is wrong and how to mend it.
    pub message: String,
}

impl Finding {
    /// A finding about the value at `at`.
    pub fn new(code: Code, path: impl Into<String>, at: Position, message: impl Into<String>) -> Self {
        Self { code, path: path.into(), at: Some(at), message: message.into() }
    }

    /// A finding about something that has no place in the document, such as a flag.
    pub fn without_place(code: Code, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, path: subject.into(), at: None, message: message.into() }
    }

    /// Whether it refuses the publish.
    pub fn is_error(&self) -> bool {
        self.code.severity() == Severity::Error
    }

    /// As one of the `problems` of an error answer.
    pub fn to_problem(&self) -> Problem {
        Problem {
            place: self.path.clone(),
            message: self.message.clone(),
            line: self.at.map(|at| at.line),
            column: self.at.map(|at| at.column),
        }
    }
}

/// In the order of the document, each thing said once.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        (a.at, a.code.as_str(), &a.path, &a.message).cmp(&(b.at, b.code.as_str(), &b.path, &b.message))
    });
    findings.dedup();
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "line {}, column {}: ", at.line, at.column)?;
        }
        write!(f, "{} ({}) [{}]", self.message, self.path, self.code.as_str())
    }
}
