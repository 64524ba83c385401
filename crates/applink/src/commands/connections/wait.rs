//! `applink:connections:wait`: until a connection has settled.

use std::time::Duration;

use applink_api::connection::{Connection, ConnectionStatus};

use super::failed;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::connect::conclude;
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    /// Longest wait, in seconds [default: none]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = &args.connection_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let progress = printer.start(format!("Waiting for {name}..."));
    let look = async || client.connections().get(name).await;
    let settled = |seen: &Connection| {
        !matches!(seen.status, ConnectionStatus::Connecting | ConnectionStatus::Disconnecting)
    };
    match poll::until_at_most(args.timeout.map(Duration::from_secs), look, settled).await {
        Ok(Some(Waited::Done(connection))) => {
            progress.finish(&status_title(connection.status.as_str()));
            conclude(&connection, args.output.json, printer)
        }
        Ok(Some(Waited::Interrupted)) => {
            Err(CliError::interrupted(format!("stopped waiting; {name} goes on without you")))
        }
        Ok(None) => Err(CliError::refused(format!("{name} has not settled in time"))
            .hint("a person has to finish the log-in in a browser, or wait longer with --timeout")),
        Err(error) => Err(failed(error, name, &addon)),
    }
}
