//! `publish --diff`: what the document changes for the Flows and Apex that use what is published now. Nothing is sent.

use applink_api::client::{Client, ClientError};
use applink_api::ids::AppUuid;
use applink_api::names::ClientName;
use applink_api::publication::{HistoryKind, HistoryStatus, PublishedDocument};
use applink_publish::compare::{self, Change};
use applink_publish::preview::Preview;
use applink_publish::spec::{self, Format};
use serde::Serialize;

use crate::document::{self, Document};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, printable};
use crate::settings::Addon;

/// What is compared with what.
#[derive(Serialize)]
struct Compared<'a> {
    client_name: &'a str,
    /// The number of the deploy that is live; none when nothing is.
    against: Option<i64>,
    breaking: bool,
    changes: &'a [Change],
}

/// The document of the newest deploy that succeeded, if there is one.
///
/// # Errors
/// Any [`ClientError`] except that nothing is published.
pub(crate) async fn live(
    client: &Client,
    app: AppUuid,
    connection: &str,
    name: &str,
) -> Result<Option<PublishedDocument>, ClientError> {
    let history = match client.publications().history(connection, app, name).await {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let done = history.iter().find(|entry| entry.status == HistoryStatus::Done);
    match done.filter(|entry| entry.kind == HistoryKind::Publish) {
        Some(entry) => client.publications().document(connection, app, name, entry.number).await.map(Some),
        None => Ok(None),
    }
}

/// Compares `document` with what is live, and says no when callers break.
pub(super) async fn show(
    document: &Document,
    addon: &Addon,
    connection: &str,
    name: &ClientName,
    json: bool,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let client = addon.client(printer)?;
    let live = live(&client, addon.app_id()?, connection, name.as_str()).await;
    let live = live.map_err(|error| addon.explain(error))?;
    let changes = match &live {
        Some(live) => changes(document, live, name)?,
        None => Vec::new(),
    };
    let breaking = changes.iter().any(|change| change.breaking);
    if json {
        let against = live.as_ref().map(|live| live.entry.number);
        printer.json(&Compared { client_name: name.as_str(), against, breaking, changes: &changes })?;
    }
    for change in changes.iter().filter(|_| !json) {
        let mark = if change.breaking { "breaks" } else { "adds  " };
        printer.data(&format!("{mark}  {}: {}", printable(&change.subject), printable(&change.message)))?;
    }
    match &live {
        None => printer.note(&format!("{name} isn't published to {connection} yet, so nobody can break")),
        Some(_) if changes.is_empty() => printer.note("callers see no difference"),
        Some(_) => {}
    }
    Ok(if breaking { ExitStatus::No } else { ExitStatus::Success })
}

fn changes(
    document: &Document,
    live: &PublishedDocument,
    name: &ClientName,
) -> Result<Vec<Change>, CliError> {
    let new = spec::read(document.format, &document.bytes)
        .map_err(|error| document::refusal(&document.name(), &error.findings))?;
    let unreadable = || {
        CliError::refused("what is published can't be read by today's rules, so it can't be compared")
            .hint("publish with --dry-run to see what would be made")
    };
    let format = Format::of_file_name(&live.file_name).ok_or_else(unreadable)?;
    let old = spec::read(format, live.document.as_bytes()).map_err(|_findings| unreadable())?;
    let preview = |spec| Preview::of(spec, name.as_str(), None);
    Ok(compare::compare(&preview(&old), &preview(&new)))
}
