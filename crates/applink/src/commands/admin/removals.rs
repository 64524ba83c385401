//! `admin:removals`: add-ons that are being taken apart, or were, and what of them is left in orgs.

use applink_api::operator::Removal;

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let found = control_plane.client().operator().list_removals().await;
    let removals = found.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&removals)?;
    } else if removals.is_empty() {
        printer.data("No add-on was destroyed yet.")?;
    } else {
        printer.data(&table(removals).to_string())?;
    }
    Ok(ExitStatus::Success)
}

fn table(removals: Vec<Removal>) -> Table {
    let mut table = Table::new(&["Add-on", "ID", "Stage", "Left in orgs"]);
    for removal in removals {
        let left: Vec<String> =
            removal.left.iter().map(|left| format!("{} {}", left.kind, left.name)).collect();
        table.row([removal.name, removal.addon.to_string(), removal.stage, left.join(", ")]);
    }
    table
}

/// The outcome of one. What is left in orgs is a person's to clear up, so it is an answer of no.
pub(super) fn show(removal: &Removal, json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    if json {
        printer.json(removal)?;
    } else if removal.finished_at.is_none() {
        printer.note("Its grants are being revoked; `applink admin removals` tells how it goes.");
    }
    for left in &removal.left {
        let org = left.org_id.as_deref().unwrap_or("its org");
        printer.warning(&format!("{} {} is left in {org}: {}", left.kind, left.name, left.reason));
    }
    Ok(if removal.left.is_empty() { ExitStatus::Success } else { ExitStatus::No })
}
