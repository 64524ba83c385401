//! An OpenAPI document on this machine, and what is found in it. Nothing is sent anywhere.

use std::path::{Path, PathBuf};

use applink_publish::report::{self, Report};
use applink_publish::spec::{self, Finding, Format, Severity};

use crate::error::CliError;
use crate::printer::Printer;
use crate::publish_dir::{self, PublishDirError};

/// A document as the person named it.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    /// Reads the file; a directory stands for the one document in it.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub(crate) fn read(path: &Path) -> Result<Self, PublishDirError> {
        let path = publish_dir::spec_file(path)?;
        let format = publish_dir::format(&path)?;
        let bytes = publish_dir::read_spec(&path)?;
        Ok(Self { path, format, bytes })
    }

    /// Everything found in it.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        spec::findings(self.format, &self.bytes)
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// `api.yaml:3:5: error: … [code]`, the place in the document, and the way to mend it.
pub(crate) fn lines(file: &str, finding: &Finding) -> Vec<String> {
    let place = finding.at.map_or_else(|| file.to_owned(), |at| format!("{file}:{at}"));
    let severity = finding.code.severity().as_str();
    vec![
        format!("{place}: {severity}: {} [{}]", finding.message, finding.code.as_str()),
        format!("    at:  {}", finding.path),
        format!("    fix: {}", finding.code.fix()),
    ]
}

/// `2 errors, 1 warning`
pub(crate) fn counted(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.code.severity() == severity).count();
    let shown = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let parts: Vec<String> = shown
        .into_iter()
        .map(|(severity, word)| (count(severity), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
}

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writing {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For code-scanning tools.
    Sarif,
}

/// Writes findings as data.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn write(
    file: &str,
    findings: &[Finding],
    writing: Writing,
    printer: Printer,
) -> Result<(), CliError> {
    match writing {
        Writing::Text => {
            findings.iter().flat_map(|finding| lines(file, finding)).try_for_each(|line| printer.data(&line))
        }
        Writing::Json => printer.json(&Report::of(file, findings)),
        Writing::Sarif => printer.json(&report::sarif(file, findings)),
    }
}

/// The refusal of a document with errors, each with its place.
pub(crate) fn refusal(file: &str, findings: &[Finding]) -> CliError {
    let errors = findings.iter().filter(|finding| finding.is_error());
    let places = errors.map(|finding| {
        let place = finding.at.map_or_else(|| file.to_owned(), |at| format!("{file}:{at}"));
        (place, format!("{} [{}]", finding.message, finding.code.as_str()))
    });
    CliError::refused(format!("{file} can't be published: {}", counted(findings)))
        .at(places)
        .hint(format!("`applink spec:check {file}` says how to mend each"))
}
