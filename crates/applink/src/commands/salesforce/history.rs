//! `salesforce:publications:history`: what was published under a name, and the documents.

use std::path::PathBuf;

use applink_api::client::ClientError;
use applink_api::publication::{HistoryEntry, HistoryKind, HistoryStatus};

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::{Addon, Settings};

const COLUMNS: [&str; 6] = ["Number", "What", "Status", "Requested", "By", "Package"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the app in the org
    client_name: String,
    /// Connected org it is published to
    #[arg(long, value_name = "NAME")]
    connection_name: String,
    /// Write the document of one of the deploys instead of the list
    #[arg(long, value_name = "NUMBER")]
    document: Option<i64>,
    /// File to write the document to, instead of standard output
    #[arg(long, value_name = "FILE", requires = "document")]
    output: Option<PathBuf>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    format: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let app = addon.app_id()?;
    let client = addon.client(printer)?;
    let (name, connection) = (args.client_name.as_str(), args.connection_name.as_str());
    if let Some(number) = args.document {
        let found = client.publications().document(connection, app, name, number).await;
        let found = found.map_err(|error| failed(error, name, &addon))?;
        match (&args.output, args.format.json) {
            (_, true) => printer.json(&found)?,
            (Some(path), _) => std::fs::write(path, &found.document).map_err(|error| {
                CliError::broken(format!("can't write {}", path.display())).because(error)
            })?,
            (None, _) => printer.data(found.document.trim_end_matches('\n'))?,
        }
        return Ok(ExitStatus::Success);
    }
    let entries = client.publications().history(connection, app, name).await;
    let entries = entries.map_err(|error| failed(error, name, &addon))?;
    if args.format.json {
        printer.json(&entries)?;
    } else {
        printer.data(&table(&entries).to_string())?;
    }
    Ok(ExitStatus::Success)
}

fn table(entries: &[HistoryEntry]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for entry in entries {
        let kind = match entry.kind {
            HistoryKind::Publish => "publish",
            HistoryKind::Remove => "remove",
        };
        let status = match (entry.status, &entry.error) {
            (HistoryStatus::Running, _) => "running".to_owned(),
            (HistoryStatus::Done, _) => "done".to_owned(),
            (HistoryStatus::Failed, Some(error)) => format!("failed: {error}"),
            (HistoryStatus::Failed, None) => "failed".to_owned(),
        };
        table.row([
            entry.number.to_string(),
            kind.to_owned(),
            status,
            entry.requested_at.to_string(),
            entry.requested_by.clone(),
            entry.hash.clone(),
        ]);
    }
    table
}

fn failed(error: ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() {
        return CliError::refused(format!("{name} isn't published there, or has no such deploy"))
            .hint("`applink publications` lists what is published");
    }
    addon.explain(error)
}
