//! `salesforce:connect` and `datacloud:connect`: a person logs in at the org in a browser.
//!
//! 1. the service makes a `connecting` row and answers where to log in;
//! 2. the person's browser is led there;
//! 3. the row is looked at until it has settled.

use applink_api::connection::{ConnectRequest, Connection, ConnectionStatus};
use applink_api::org::OrgType;

use super::{new_name, product, status_title};
use crate::arguments::{AddonArgs, LoginArgs, OutputArgs};
use crate::browser::Browser;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name for the connection: 3 to 30 letters, digits and single `_` or `-`, a letter first
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    login: LoginArgs,
    /// Browser to log in with, for example firefox
    #[arg(long, value_name = "BROWSER")]
    browser: Option<String>,
    /// Go on even when the org may end the user's oldest grant for it (it keeps five of a user)
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(
    org_type: OrgType,
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let name = new_name("connection name", &args.connection_name)?.to_string();
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let request =
        ConnectRequest { connection_name: name.clone(), login_url: args.login.login_url, force: args.force };
    let started =
        client.connections().connect_to(org_type, &request).await.map_err(|error| addon.explain(error))?;

    if let Some(url) = &started.redirect_uri {
        let browser = Browser::new(args.browser, settings.environment().get("BROWSER").map(str::to_owned));
        let purpose = format!("to connect {} to {name}", addon.app_label());
        browser.lead_to(url, &purpose, &format!("{name} is still connecting"), printer)?;
    }

    let progress =
        printer.start(format!("Connecting {} org to {} as {name}...", product(org_type), addon.app_label()));
    let id = started.id.to_string();
    let look = async || client.connections().get(&id).await;
    match poll::until(look, |seen| seen.status != ConnectionStatus::Connecting).await {
        Ok(Waited::Done(connection)) => {
            progress.finish(&status_title(connection.status.as_str()));
            conclude(&connection, args.output.json, printer)
        }
        Ok(Waited::Interrupted) => Err(interrupted(&name)),
        Err(error) => Err(addon.explain(error)),
    }
}

/// Prints the connection, and fails unless it is connected.
pub(crate) fn conclude(
    connection: &Connection,
    json: bool,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    if json {
        printer.json(connection)?;
    }
    if connection.status == ConnectionStatus::Connected {
        return Ok(ExitStatus::Success);
    }
    let reason = connection.error.as_ref().map(|error| error.message.clone());
    Err(CliError::refused(
        reason.unwrap_or_else(|| format!("the connection is {}", connection.status.as_str())),
    ))
}

fn interrupted(name: &str) -> CliError {
    CliError::interrupted(format!("stopped waiting; {name} is still connecting"))
        .hint(format!("run the same command again to go on, or look with `applink connections:info {name}`"))
}

/// A change was sent, and its answer not waited for.
pub(crate) fn interrupted_change(addon: &Addon, what: &str, look: &str) -> CliError {
    CliError::interrupted(format!("stopped waiting; {} may still {what}", addon.label()))
        .hint(format!("look with `{look}`"))
}
