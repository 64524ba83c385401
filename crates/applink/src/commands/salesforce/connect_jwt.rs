//! `salesforce:connect:jwt`: connects an org with a signed assertion, for pipelines.

use applink_api::connection::{ConnectJwtRequest, ConnectionStatus};
use applink_api::entropy::Entropy;

use super::connect::{conclude, interrupted_change};
use super::{new_name, status_title};
use crate::arguments::{AddonArgs, JwtArgs, LoginArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name for the connection: 3 to 30 letters, digits and single `_` or `-`, a letter first
    connection_name: String,
    #[command(flatten)]
    jwt: JwtArgs,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = new_name("connection name", &args.connection_name)?.to_string();
    // Before anything is asked of anybody: what is wrong on this machine is said first.
    let jwt_private_key = args.jwt.read(printer).await?;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let request = ConnectJwtRequest {
        alias: Some(Entropy::system().uuid().to_string()),
        client_id: args.jwt.client_id,
        connection_name: name.clone(),
        jwt_private_key,
        login_url: args.login.login_url,
        username: args.jwt.username,
    };
    let doing = format!("Adding credentials for {} to {} as {name}...", request.username, addon.app_label());
    let progress = printer.start(doing);
    match poll::interruptible(client.connections().connect_jwt(&request)).await {
        Waited::Done(Ok(connection)) => {
            debug_assert_ne!(connection.status, ConnectionStatus::Connecting, "JWT connects in one step");
            progress.finish(&status_title(connection.status.as_str()));
            conclude(&connection, args.output.json, printer)
        }
        Waited::Done(Err(error)) => Err(addon.explain(error)),
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "connect the org", &format!("applink connections:info {name}")))
        }
    }
}
