//! `applink:connections:info`: one connected org.

use applink_api::connection::Connection;

use super::unknown;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, fields, printable};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
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
