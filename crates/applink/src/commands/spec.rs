//! `spec:check`: what External Services would say of a document.

use std::path::PathBuf;

use crate::document::{self, Document, Writing};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// OpenAPI 3.x document, .yaml, .yml or .json
    api_spec_file: PathBuf,
    /// Write JSON to standard output
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Write SARIF 2.1.0 to standard output, for code-scanning tools
    #[arg(long)]
    sarif: bool,
}

pub(crate) fn check(args: &CheckArgs, printer: Printer) -> Result<ExitStatus, CliError> {
    let document = Document::read(&args.api_spec_file)?;
    let findings = document.findings();
    let writing = match (args.json, args.sarif) {
        (_, true) => Writing::Sarif,
        (true, _) => Writing::Json,
        _ => Writing::Text,
    };
    document::write(&document.name(), &findings, writing, printer)?;
    let publishable = !findings.iter().any(applink_publish::spec::Finding::is_error);
    if writing == Writing::Text {
        let verdict = if publishable { "can be published" } else { "can't be published" };
        printer.note(&format!("{} {verdict}: {}", document.name(), document::counted(&findings)));
    }
    Ok(if publishable { ExitStatus::Success } else { ExitStatus::No })
}
