//! `applink:connections:reconnect`: a person logs a connection in again, in place.

use applink_api::connection::{Connection, ConnectionStatus, UpdateConnection};

use super::failed;
use crate::arguments::{AddonArgs, LoginArgs, OutputArgs};
use crate::browser::Browser;
use crate::commands::salesforce::connect::conclude;
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::log_in::LogIn;
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
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
