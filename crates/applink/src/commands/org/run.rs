//! placeholder
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) async fn run(
    _args: Args,
    _settings: &Settings,
    _printer: Printer,
) -> Result<ExitStatus, CliError> {
    Err(CliError::broken("later"))
}
