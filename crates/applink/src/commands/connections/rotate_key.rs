//! `applink:connections:rotate-key`: another key for a connection that was made with one.

use applink_api::connection::UpdateConnection;

use super::update;
use crate::arguments::{AddonArgs, OutputArgs, RotateKeyArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    key: RotateKeyArgs,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let key = args.key.read(printer).await?;
    let change = UpdateConnection {
        client_id: args.key.client_id,
        jwt_private_key: Some(key),
        username: args.key.username,
        ..UpdateConnection::default()
    };
    let doing = format!("Changing the key of {}...", args.connection_name);
    update(&args.connection_name, &args.addon, &args.output, doing, change, settings, printer).await
}
