//! `open`: the add-on's dashboard in a browser, signed on by Heroku, or by a link of the control plane's own.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::browser::Browser;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    /// Browser to open it with, for example firefox
    #[arg(long, value_name = "BROWSER")]
    browser: Option<String>,
    /// Only print the address; it may sign on whoever opens it first
    #[arg(long)]
    show_url: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon_to_look_at(&args.addon).await?;
    let link = link(&addon, printer).await?;
    let url = link.expose_secret();
    if args.output.json {
        printer.json(&json!({"addon": addon.label(), "url": url}))?;
    } else if args.show_url {
        printer.data(url)?;
    } else {
        let browser = Browser::new(args.browser, settings.environment().get("BROWSER").map(str::to_owned));
        browser.show(url, &format!("to see add-on {}", addon.label()), printer)?;
    }
    Ok(ExitStatus::Success)
}

async fn link(addon: &Addon, printer: Printer) -> Result<SecretString, CliError> {
    if let Some(url) = addon.dashboard() {
        return Ok(url.to_owned().into());
    }
    if addon.is_at_heroku() {
        let message = format!("add-on {} has no dashboard to sign on to", addon.label());
        return Err(CliError::refused(message));
    }
    let made = addon.client(printer)?.sign_in_link().await.map_err(|error| addon.explain(error))?;
    if !made.may_change {
        printer.warning(
            "the add-on's token alone can only look: with APPLINK_API_KEY the dashboard can change things too",
        );
    }
    Ok(made.url)
}
