//! `applink:connections`: the connected orgs.

use applink_api::connection::{Connection, ConnectionStatus};

use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let connections =
        addon.client(printer)?.connections().list().await.map_err(|error| addon.explain(error))?;
    if args.output.json {
        printer.json(&connections)?;
        return Ok(ExitStatus::Success);
    }
    let app = addon.app_label();
    if connections.is_empty() {
        printer.data(&format!("There are no Heroku AppLink connections for app {app}."))?;
        return Ok(ExitStatus::Success);
    }
    let title = format!("=== Heroku AppLink connections for add-on {} on app {app}", addon.label());
    printer.data(&format!("{title}\n\n{}", table(&connections, &addon)))?;
    if connections.iter().any(|connection| connection.status == ConnectionStatus::Failed) {
        printer.warning("you have one or more failed connections; `applink connections:info NAME` says why");
    }
    Ok(ExitStatus::Success)
}

fn table(connections: &[Connection], addon: &Addon) -> Table {
    let mut table = Table::new(&["Add-On", "Connection Name", "status", "type"]);
    for connection in connections {
        table.row([
            addon.label().to_owned(),
            connection.org.connection_name.clone().unwrap_or_default(),
            status_title(connection.status.as_str()),
            connection.org.kind.title().to_owned(),
        ]);
    }
    table
}
