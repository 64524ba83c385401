//! `applink:connections…`: the list, one of them, and what is done to one.

pub(crate) mod again;

use applink_api::connection::{Connection, ConnectionStatus};

use super::salesforce::status_title;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table, fields, printable};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

pub(crate) async fn info(
    args: InfoArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let name = &args.connection_name;
    let connection = match addon.client(printer)?.connections().get(name).await {
        Err(error) if error.is_not_found() => return Err(unknown(name, &addon)),
        other => other.map_err(|error| addon.explain(error))?,
    };
    if args.output.json {
        printer.json(&connection)?;
    } else {
        let title = connection.org.connection_name.as_deref().unwrap_or(name);
        printer.data(&format!(
            "=== {} on app {}\n\n{}",
            printable(title),
            addon.app_label(),
            details(&connection)
        ))?;
    }
    if let Some(error) = &connection.error {
        printer.warning(&printable(&error.message));
    }
    Ok(ExitStatus::Success)
}

fn details(connection: &Connection) -> String {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    fields(&[
        ("Connection Type", Some(connection.org.kind.title().to_owned())),
        ("Created By", filled(&connection.created_by)),
        ("Created Date", Some(connection.created_at.to_string())),
        ("ID", Some(connection.id.to_string())),
        ("Instance URL", filled(&connection.org.instance_url)),
        ("Last Modified", Some(connection.last_modified_at.to_string())),
        ("Last Modified By", connection.last_modified_by.clone()),
        ("Org ID", filled(&connection.org.id)),
        ("Status", Some(status_title(connection.status.as_str()))),
    ])
}

/// There is no connection of that name.
pub(crate) fn unknown(name: &str, addon: &Addon) -> CliError {
    CliError::refused(format!("Salesforce connection {name} doesn't exist on app {}", addon.app_label()))
        .hint("`applink connections` lists the connections")
}
