//! `admin:audit:erase-name`: a person's name goes from the audit log.

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct EraseArgs {
    /// The name as the audit log has it: an e-mail address
    name: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn erase_name(
    args: EraseArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let erased = control_plane.client().operator().erase_name(&args.name).await;
    let erased = erased.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&erased)?;
    } else {
        printer
            .note(&format!("The name of {} actors is gone; what they did stays in the log.", erased.erased));
    }
    Ok(ExitStatus::Success)
}
