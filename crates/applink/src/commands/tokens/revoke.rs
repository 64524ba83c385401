//! `applink:tokens:revoke`: an API key counts no more.

use serde_json::json;
use uuid::Uuid;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// ID of the key, as `tokens` lists it
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let gone = addon.client(printer)?.keys().revoke(args.id).await;
    gone.map_err(|error| {
        if error.is_not_found() {
            CliError::refused(format!("add-on {} has no live key {}", addon.label(), args.id))
                .hint("`applink tokens` lists them")
        } else {
            addon.explain(error)
        }
    })?;
    if args.output.json {
        printer.json(&json!({"id": args.id, "revoked": true}))?;
    }
    printer.note("The key is void.");
    Ok(ExitStatus::Success)
}
