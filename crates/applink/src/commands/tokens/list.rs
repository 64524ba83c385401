//! `applink:tokens`: the live API keys of an add-on.

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let keys = addon.client(printer)?.keys().list().await.map_err(|error| addon.explain(error))?;
    if args.output.json {
        printer.json(&keys)?;
        return Ok(ExitStatus::Success);
    }
    if keys.is_empty() {
        printer.data(&format!("There are no API keys of add-on {}.", addon.label()))?;
        return Ok(ExitStatus::Success);
    }
    let mut table = Table::new(&["ID", "Owner", "Begins with", "Made", "Ends"]);
    for key in keys {
        let ends = key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        table.row([key.id.to_string(), key.owner, key.shown_prefix, key.created_at.to_string(), ends]);
    }
    printer.data(&format!("=== API keys of add-on {}\n\n{table}", addon.label()))?;
    Ok(ExitStatus::Success)
}
