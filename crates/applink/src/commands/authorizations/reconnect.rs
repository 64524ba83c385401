//! `applink:authorizations:reconnect`: a person logs a stored user in again, in place.

use applink_api::authorization::{Authorization, AuthorizationStatus, UpdateAuthorization};

use super::failed;
use crate::arguments::{AddonArgs, LoginArgs, OutputArgs};
use crate::browser::Browser;
use crate::commands::salesforce::authorizations::add::conclude;
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::log_in::LogIn;
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
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
