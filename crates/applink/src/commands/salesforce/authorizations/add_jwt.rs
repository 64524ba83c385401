//! `salesforce:authorizations:add:jwt` and `datacloud:authorizations:add:jwt`: stores a user with a signed assertion, for pipelines.

use applink_api::authorization::AuthorizeJwtRequest;
use applink_api::names::Alias;
use applink_api::org::OrgType;

use super::add::conclude;
use crate::arguments::{AddonArgs, JwtArgs, LoginArgs, OutputArgs};
use crate::commands::salesforce::connect::interrupted_change;
use crate::commands::salesforce::{new_name, status_title};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name, by which the app asks for the user: 3 to 30 letters, digits and single `_` or `-`, a letter first
    developer_name: String,
    #[command(flatten)]
    jwt: JwtArgs,
    /// Its second name.
    #[arg(help = "Second name for the authorization [default: applink:<DEVELOPER_NAME>]")]
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(
    org_type: OrgType,
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let name = new_name("developer name", &args.developer_name)?;
    let alias = match &args.alias {
        Some(alias) => alias.parse::<Alias>().map_err(|error| CliError::refused(error.to_string()))?,
        None => Alias::default_for(&name),
    };
    // Before anything is asked of anybody: what is wrong on this machine is said first.
    let jwt_private_key = args.jwt.read(printer).await?;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let request = AuthorizeJwtRequest {
        alias: Some(alias.as_str().to_owned()),
        client_id: args.jwt.client_id,
        developer_name: name.to_string(),
        jwt_private_key,
        login_url: args.login.login_url,
        username: args.jwt.username,
    };
    let doing = format!("Adding credentials for {} to {} as {name}...", request.username, addon.app_label());
    let progress = printer.start(doing);
    match poll::interruptible(client.authorizations().add_jwt_to(org_type, &request)).await {
        Waited::Done(Ok(authorization)) => {
            progress.finish(&status_title(authorization.status.as_str()));
            conclude(authorization, args.output.json, printer)
        }
        Waited::Done(Err(error)) => {
            progress.finish("Failed");
            Err(addon.explain(error))
        }
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "store the user", &format!("applink authorizations:info {name}")))
        }
    }
}
