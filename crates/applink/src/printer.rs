//! Where text goes: data to standard output, everything else to standard error.

mod progress;
mod table;

pub(crate) use progress::Progress;
pub(crate) use table::{Table, fields, printable};

use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::error::CliError;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// Writes for people and for programs. Colour appears only on a terminal, and not with `NO_COLOR`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    animated: bool,
}

impl Printer {
    /// For this process's standard output and error.
    pub(crate) fn new() -> Self {
        Self { animated: io::stderr().is_terminal() }
    }

    /// Lines of data.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn data(self, text: &str) -> Result<(), CliError> {
        writeln!(io::stdout().lock(), "{text}").map_err(CliError::output)
    }

    /// One value as indented JSON.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), CliError> {
        self.data(&encoded(serde_json::to_string_pretty(value))?)
    }

    /// One value as JSON on one line, for streams of values.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<(), CliError> {
        self.data(&encoded(serde_json::to_string(value))?)
    }

    /// A line for the person, beside the data.
    pub(crate) fn note(self, text: &str) {
        self.line(text);
    }

    /// Something that did not stop the command, but should be known.
    pub(crate) fn warning(self, text: &str) {
        self.line(&format!("{YELLOW}warning:{YELLOW:#} {text}"));
    }

    /// Why the command ended, and what to do next.
    pub(crate) fn error(self, error: &CliError) {
        self.line(&format!("{RED}error:{RED:#} {error}"));
        for detail in error.details() {
            self.line(&format!("  {detail}"));
        }
        if let Some(hint) = error.next_step() {
            self.line("");
            self.line(&format!("{CYAN}hint:{CYAN:#} {hint}"));
        }
    }

    /// Says what is being done until [`Progress::finish`] says how it ended.
    pub(crate) fn start(self, doing: impl Into<String>) -> Progress {
        Progress::start(doing.into(), self.animated)
    }

    /// A question at the start of a line; the answer is typed after it.
    pub(crate) fn ask(self, question: &str) {
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{question}");
        let _ = stderr.flush();
    }

    /// When standard error is closed nobody can be told, so a failure to write there is not one.
    fn line(self, text: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
}

fn encoded(text: Result<String, serde_json::Error>) -> Result<String, CliError> {
    text.map_err(|error| CliError::broken("the answer can't be written as JSON").because(error))
}
