//! `open`: the add-on's dashboard in a browser, signed on by Heroku.

use serde_json::json;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::browser::Browser;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

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
    let addon = settings.addon_at_heroku(&args.addon).await?;
    let url = addon.dashboard().ok_or_else(|| {
        CliError::refused(format!("add-on {} has no dashboard to sign on to", addon.label()))
    })?;
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
