//! `applink:connections:reconnect`, `:rename`, `:rotate-key` and `:wait`: what is done to a connection that exists.

use std::time::Duration;

use applink_api::connection::{Connection, ConnectionStatus, UpdateConnection};

use super::unknown;
use crate::arguments::{AddonArgs, LoginArgs, OutputArgs, RotateKeyArgs};
use crate::browser::Browser;
use crate::commands::reconnect::LogIn;
use crate::commands::salesforce::connect::{conclude, interrupted_change};
use crate::commands::salesforce::{new_name, status_title};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct ReconnectArgs {
    /// Name of the connection
    connection_name: String,
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
pub(crate) struct WaitArgs {
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

#[derive(Debug, clap::Args)]
pub(crate) struct RenameArgs {
    /// Name of the connection
    pub(crate) connection_name: String,
    /// Its name from now on: 3 to 30 letters, digits and single `_` or `-`, a letter first
    pub(crate) new_name: String,
    #[command(flatten)]
    pub(crate) addon: AddonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    key: RotateKeyArgs,
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
    let name = &args.connection_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let change =
        UpdateConnection { reconnect: true, login_url: args.login.login_url, ..UpdateConnection::default() };
    let started =
        client.connections().update(name, &change).await.map_err(|error| failed(error, name, &addon))?;
    let Some(url) = &started.redirect_uri else {
        printer.note(&format!("{name} logged in again: {}", status_title(started.status.as_str())));
        return conclude(&started, args.output.json, printer);
    };
    let id = started.id.to_string();
    let log_in = LogIn::begin(&client, &addon, name, id.clone()).await;
    let browser = Browser::new(args.browser, settings.environment().get("BROWSER").map(str::to_owned));
    let purpose = format!("to reconnect {} to {name}", addon.app_label());
    browser.lead_to(url, &purpose, &log_in.meanwhile(), printer)?;

    let progress = printer.start(format!("Reconnecting {name} to {}...", addon.app_label()));
    let look = async || client.connections().get(&id).await;
    let is_new = |seen: &Connection| {
        seen.status != ConnectionStatus::Connecting && seen.last_modified_at != started.last_modified_at
    };
    let connection = log_in.wait(args.timeout, look, is_new).await?;
    progress.finish(&status_title(connection.status.as_str()));
    conclude(&connection, args.output.json, printer)
}

pub(crate) async fn wait(
    args: WaitArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

pub(crate) async fn rename(
    args: RenameArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let new_name = new_name("connection name", &args.new_name)?.to_string();
    let doing = format!("Renaming {} to {new_name}...", args.connection_name);
    let change = UpdateConnection { connection_name: Some(new_name), ..UpdateConnection::default() };
    update(&args.connection_name, &args.addon, &args.output, doing, change, settings, printer).await
}

pub(crate) async fn rotate_key(
    args: RotateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

fn failed(error: applink_api::client::ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() { unknown(name, addon) } else { addon.explain(error) }
}
