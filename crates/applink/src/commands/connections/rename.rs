//! `applink:connections:rename`: another name for a connection.

use applink_api::connection::UpdateConnection;

use super::update;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::new_name;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    pub(crate) connection_name: String,
    /// Its name from now on: 3 to 30 letters, digits and single `_` or `-`, a letter first
    pub(crate) new_name: String,
    #[command(flatten)]
    pub(crate) addon: AddonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let new_name = new_name("connection name", &args.new_name)?.to_string();
    let doing = format!("Renaming {} to {new_name}...", args.connection_name);
    let change = UpdateConnection { connection_name: Some(new_name), ..UpdateConnection::default() };
    update(&args.connection_name, &args.addon, &args.output, doing, change, settings, printer).await
}
