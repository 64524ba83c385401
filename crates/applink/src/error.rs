//! What a command answers when it can't do what was asked, and the exit statuses.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use applink_api::client::ClientError;
use applink_api::error::Problem;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExitStatus {
    /// 0: done.
    Success,
    /// 1: asked, and the answer is no.
    No,
    /// 2: it broke, or could not be tried.
    Broken,
    /// 130: stopped with Ctrl-C.
    Interrupted,
    /// What a child command ended with.
    Child(u8),
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Success => 0,
            ExitStatus::No => 1,
            ExitStatus::Broken => 2,
            ExitStatus::Interrupted => 130,
            ExitStatus::Child(code) => code,
        })
    }
}

/// One sentence, its cause, the places it is about, and what to do next.
#[derive(Debug)]
pub(crate) struct CliError {
    status: ExitStatus,
    message: Box<str>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    problems: Vec<Problem>,
    notes: Vec<String>,
    hint: Option<Box<str>>,
    code: Option<&'static str>,
    broken_pipe: bool,
}

impl CliError {
    /// The answer is no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::No, message.into())
    }

    /// It broke, or could not be tried.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Broken, message.into())
    }

    /// A person stopped it.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Interrupted, message.into())
    }

    /// Standard output or error can't be written to. When the reader just went away that is no failure.
    pub(crate) fn output(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..Self::broken("the output can't be written").because(error) }
    }

    fn new(status: ExitStatus, message: String) -> Self {
        Self {
            status,
            message: message.into(),
            cause: None,
            problems: Vec::new(),
            notes: Vec::new(),
            hint: None,
            code: None,
            broken_pipe: false,
        }
    }

    /// With the technical reason.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With the places it is about, and what is wrong at each.
    #[must_use]
    pub(crate) fn at(mut self, places: impl IntoIterator<Item = (String, String)>) -> Self {
        let problems =
            places.into_iter().map(|(place, message)| Problem { place, message, line: None, column: None });
        self.problems.extend(problems);
        self
    }

    /// With one more line of context.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With what to do next; replaces an earlier hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// With a stable name, by which `doctor` tells faults apart.
    #[must_use]
    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Its stable name.
    pub(crate) fn known_as(&self) -> Option<&'static str> {
        self.code
    }

    /// The exit status it leads to.
    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    /// Whoever read our output has read enough.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// The lines below the message: places, the innermost cause, context.
    pub(crate) fn details(&self) -> Vec<String> {
        // A refusal about one place often says it all in its message.
        let told = |problem: &&Problem| !self.message.contains(&problem.message);
        let mut lines: Vec<String> = self.problems.iter().filter(told).map(problem_line).collect();
        if let Some(cause) = &self.cause {
            let innermost = innermost(cause.as_ref());
            if innermost != *self.message {
                lines.push(format!("caused by: {innermost}"));
            }
        }
        lines.extend(self.notes.iter().cloned());
        lines
    }

    /// What to do next.
    pub(crate) fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let refused =
            matches!(error.status(), Some(400..=499)) || matches!(error, ClientError::InvalidName { .. });
        let status = if refused { ExitStatus::No } else { ExitStatus::Broken };
        let mut told = Self::new(status, error.to_string());
        told.hint = error.hint().map(Into::into);
        if let ClientError::Api { body, .. } = error {
            told.problems = body.problems;
        } else if error.source().is_some() {
            told.cause = Some(Box::new(error));
        }
        told
    }
}

fn problem_line(problem: &Problem) -> String {
    let place = match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", problem.place),
        (Some(line), None) => format!("{}:{line}", problem.place),
        _ => problem.place.clone(),
    };
    format!("{place}: {}", problem.message)
}

/// Of a chain of causes only the last one says something to a person ("Connection refused").
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
