//! `salesforce:authorizations:add` and `datacloud:authorizations:add`: a person logs in at the org in a browser, and the app may act as that user.
//!
//! 1. the service makes an `authorizing` row and answers where to log in;
//! 2. the person's browser is led there;
//! 3. the row is looked at until it has settled.

use applink_api::authorization::{Authorization, AuthorizationStatus, AuthorizeRequest};
use applink_api::org::OrgType;

use crate::arguments::{AddonArgs, LoginArgs, OutputArgs};
use crate::browser::Browser;
use crate::commands::authorizations::without_credential;
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
    addon: AddonArgs,
    #[command(flatten)]
    login: LoginArgs,
    /// Browser to log in with, for example firefox
    #[arg(long, value_name = "BROWSER")]
    browser: Option<String>,
    /// Go on even when the org may end the user's oldest grant for it (it keeps five of a user)
    #[arg(long)]
    force: bool,
    /// Only print the address to log in at, as JSON
    #[arg(long)]
    url: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(
    org_type: OrgType,
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let name = new_name("developer name", &args.developer_name)?.to_string();
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let request =
        AuthorizeRequest { developer_name: name.clone(), login_url: args.login.login_url, force: args.force };
    let started =
        client.authorizations().add_to(org_type, &request).await.map_err(|error| addon.explain(error))?;
    if args.url {
        printer.json(&started.redirect_uri)?;
        return Ok(ExitStatus::Success);
    }

    if let Some(url) = &started.redirect_uri {
        let browser = Browser::new(args.browser, settings.environment().get("BROWSER").map(str::to_owned));
        let purpose = format!("to add credentials to {} as {name}", addon.app_label());
        browser.lead_to(url, &purpose, &format!("{name} is still authorizing"), printer)?;
    }

    let progress = printer.start(format!("Adding credentials to {} as {name}...", addon.app_label()));
    let id = started.id.to_string();
    let look = async || client.authorizations().get(&id).await;
    match poll::until(look, |seen| seen.status != AuthorizationStatus::Authorizing).await {
        Ok(Waited::Done(authorization)) => {
            progress.finish(&status_title(authorization.status.as_str()));
            conclude(authorization, args.output.json, printer)
        }
        Ok(Waited::Interrupted) => Err(interrupted(&name)),
        Err(error) => Err(addon.explain(error)),
    }
}

/// Prints the authorization, and fails unless it is authorized.
pub(crate) fn conclude(
    authorization: Authorization,
    json: bool,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let authorization = without_credential(authorization);
    if json {
        printer.json(&authorization)?;
    }
    if authorization.status == AuthorizationStatus::Authorized {
        return Ok(ExitStatus::Success);
    }
    let reason = authorization.error.map(|error| error.message);
    Err(CliError::refused(
        reason.unwrap_or_else(|| format!("the authorization is {}", authorization.status.as_str())),
    ))
}

fn interrupted(name: &str) -> CliError {
    CliError::interrupted(format!("stopped waiting; {name} is still authorizing")).hint(format!(
        "run the same command again to go on, or look with `applink authorizations:info {name}`"
    ))
}
