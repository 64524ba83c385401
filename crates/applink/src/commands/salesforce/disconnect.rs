//! `salesforce:disconnect`.

use super::connect::interrupted_change;
use super::status_title;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::connections::unknown;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::prompt;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    /// The connection's name, to answer the confirmation beforehand
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = &args.connection_name;
    let addon = settings.addon(&args.addon)?;
    let client = addon.client(printer)?;
    let warning =
        format!("this disconnects {name} from add-on {} on app {}", addon.label(), addon.app_label());
    prompt::confirm(name, args.confirm.as_deref(), &warning, printer)?;

    let progress =
        printer.start(format!("Disconnecting Salesforce connection {name} from {}...", addon.app_label()));
    match poll::interruptible(client.connections().disconnect(name)).await {
        Waited::Done(Ok(connection)) => {
            progress.finish(&status_title("disconnected"));
            if let (true, Some(connection)) = (args.output.json, connection) {
                printer.json(&connection)?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) if error.is_not_found() => Err(unknown(name, &addon)),
        Waited::Done(Err(error)) => Err(addon.explain(error)),
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "disconnect the org", &format!("applink connections:info {name}")))
        }
    }
}
