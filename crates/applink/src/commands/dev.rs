//! `dev`: the whole stack in one process.

use std::path::PathBuf;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the tour and exit, with status 1 if a step failed
    #[arg(long)]
    once: bool,
    /// Print one line of JSON when everything is ready
    #[arg(long)]
    json: bool,
    /// Discard the kept state first
    #[arg(long)]
    fresh: bool,
    /// Break one step of the tour, to see how a failure looks
    #[arg(long = "break", value_name = "STEP")]
    break_step: Option<String>,
    /// Port of the org; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 7701)]
    org_port: u16,
    /// Port of the control plane; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 7700)]
    port: u16,
    /// Port of the mesh; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8070)]
    mesh_port: u16,
    /// Port of the app; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    app_port: u16,
    /// Where state is kept
    #[arg(long, value_name = "DIR", default_value = ".applink")]
    state_dir: PathBuf,
    /// Listen on every network interface, not only this machine's own
    #[arg(long)]
    expose: bool,
    /// Your own app, run behind the mesh instead of the sample
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(
    _args: Args,
    _settings: &Settings,
    _printer: Printer,
) -> Result<ExitStatus, CliError> {
    Err(CliError::broken("`dev` is not part of this build"))
}
