//! `applink:authorizations:reconnect`, `:rename`, `:rotate-key` and `:refresh`: what is done to an authorization that
//! exists.

use applink_api::authorization::{Authorization, AuthorizationStatus, RefreshRequest, UpdateAuthorization};
use applink_api::client::ClientError;
use applink_api::names::Alias;

use super::{unknown, without_credential};
use crate::arguments::{AddonArgs, LoginArgs, OutputArgs, RotateKeyArgs};
use crate::browser::Browser;
use crate::commands::reconnect::LogIn;
use crate::commands::salesforce::authorizations::add::conclude;
use crate::commands::salesforce::connect::interrupted_change;
use crate::commands::salesforce::{new_name, status_title};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct ReconnectArgs {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    login: LoginArgs,
    /// Browser to log in with, for example firefox
    #[arg(long, value_name = "BROWSER")]
    browser: Option<String>,
    /// Longest wait for the log-in, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RenameArgs {
    /// Developer name of the authorization
    pub(crate) developer_name: String,
    /// Its name from now on: 3 to 30 letters, digits and single `_` or `-`, a letter first
    pub(crate) new_name: String,
    /// Its second name from now on
    #[arg(long, value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    #[command(flatten)]
    pub(crate) addon: AddonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    key: RotateKeyArgs,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RefreshArgs {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn reconnect(
    args: ReconnectArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let name = &args.developer_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let change = UpdateAuthorization {
        reconnect: true,
        login_url: args.login.login_url,
        ..UpdateAuthorization::default()
    };
    let started =
        client.authorizations().update(name, &change).await.map_err(|error| failed(error, name, &addon))?;
    let Some(url) = &started.redirect_uri else {
        printer.note(&format!("{name} logged in again: {}", status_title(started.status.as_str())));
        return conclude(started, args.output.json, printer);
    };
    let id = started.id.to_string();
    let log_in = LogIn::begin(&client, &addon, name, id.clone()).await;
    let browser = Browser::new(args.browser, settings.environment().get("BROWSER").map(str::to_owned));
    browser.lead_to(url, &format!("to log {name} in again"), &log_in.meanwhile(), printer)?;

    let progress = printer.start(format!("Logging {name} in again on {}...", addon.app_label()));
    let look = async || client.authorizations().get(&id).await;
    let is_new = |seen: &Authorization| {
        seen.status != AuthorizationStatus::Authorizing && seen.last_modified_at != started.last_modified_at
    };
    let authorization = log_in.wait(args.timeout, look, is_new).await?;
    progress.finish(&status_title(authorization.status.as_str()));
    conclude(authorization, args.output.json, printer)
}

pub(crate) async fn rename(
    args: RenameArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let new_name = new_name("developer name", &args.new_name)?.to_string();
    let alias = args.alias.as_deref().map(str::parse::<Alias>).transpose();
    let alias = alias.map_err(|error| CliError::refused(error.to_string()))?;
    let doing = format!("Renaming {} to {new_name}...", args.developer_name);
    let change = UpdateAuthorization {
        developer_name: Some(new_name),
        alias: alias.map(|alias| alias.as_str().to_owned()),
        ..UpdateAuthorization::default()
    };
    update(&args.developer_name, &args.addon, &args.output, doing, change, settings, printer).await
}

pub(crate) async fn rotate_key(
    args: RotateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

async fn update(
    name: &str,
    addon: &AddonArgs,
    output: &OutputArgs,
    doing: String,
    change: UpdateAuthorization,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(addon).await?;
    let client = addon.client(printer)?;
    let progress = printer.start(doing);
    match poll::interruptible(client.authorizations().update(name, &change)).await {
        Waited::Done(Ok(authorization)) => {
            progress.finish("done");
            if output.json {
                printer.json(&without_credential(authorization))?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) => Err(failed(error, name, &addon)),
        Waited::Interrupted => {
            let look = format!("applink authorizations:info {name}");
            Err(interrupted_change(&addon, "change the authorization", &look))
        }
    }
}

pub(crate) async fn refresh(
    args: RefreshArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

fn failed(error: ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() { unknown(name, addon) } else { addon.explain(error) }
}
