//! `applink:connections…`: one file per command, and what they share.

pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod reconnect;
pub(crate) mod rename;
pub(crate) mod rotate_key;
pub(crate) mod wait;

use applink_api::client::ClientError;
use applink_api::connection::UpdateConnection;

use super::salesforce::connect::interrupted_change;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

/// Changes the connection that is called `name`.
async fn update(
    name: &str,
    addon: &AddonArgs,
    output: &OutputArgs,
    doing: String,
    change: UpdateConnection,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(addon).await?;
    let client = addon.client(printer)?;
    let progress = printer.start(doing);
    match poll::interruptible(client.connections().update(name, &change)).await {
        Waited::Done(Ok(connection)) => {
            progress.finish("done");
            if output.json {
                printer.json(&connection)?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) => Err(failed(error, name, &addon)),
        Waited::Interrupted => Err(interrupted_change(
            &addon,
            "change the connection",
            &format!("applink connections:info {name}"),
        )),
    }
}

fn failed(error: ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() { unknown(name, addon) } else { addon.explain(error) }
}

/// There is no connection of that name.
pub(crate) fn unknown(name: &str, addon: &Addon) -> CliError {
    CliError::refused(format!("Salesforce connection {name} doesn't exist on app {}", addon.app_label()))
        .hint("`applink connections` lists the connections")
}
