//! `applink:authorizations:refresh`: a new access token for a stored user.

use applink_api::authorization::RefreshRequest;

use super::failed;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::authorizations::add::conclude;
use crate::commands::salesforce::connect::interrupted_change;
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = &args.developer_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.app_client(printer)?;
    let progress = printer.start(format!("Renewing the access token of {name}..."));
    match poll::interruptible(client.authorizations().refresh(name, &RefreshRequest::default())).await {
        Waited::Done(Ok(authorization)) => {
            progress.finish(&status_title(authorization.status.as_str()));
            conclude(authorization, args.output.json, printer)
        }
        Waited::Done(Err(error)) => Err(failed(error, name, &addon)),
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "renew the token", &format!("applink authorizations:info {name}")))
        }
    }
}
