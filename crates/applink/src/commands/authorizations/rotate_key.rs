//! `applink:authorizations:rotate-key`: another key for a user who was stored with one.

use applink_api::authorization::UpdateAuthorization;

use super::update;
use crate::arguments::{AddonArgs, OutputArgs, RotateKeyArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    key: RotateKeyArgs,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let key = args.key.read(printer).await?;
    let change = UpdateAuthorization {
        client_id: args.key.client_id,
        jwt_private_key: Some(key),
        username: args.key.username,
        ..UpdateAuthorization::default()
    };
    let doing = format!("Changing the key of {}...", args.developer_name);
    update(&args.developer_name, &args.addon, &args.output, doing, change, settings, printer).await
}
