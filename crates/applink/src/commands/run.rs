//! `run`: an app, or anything else, with its add-on's environment.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use secrecy::ExposeSecret as _;

use crate::arguments::AddonArgs;
use crate::error::{CliError, ExitStatus};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// This process becomes the command, so that its signals and its exit status are the command's own. Credentials reach it
/// through its environment alone.
pub(crate) async fn run(args: Args, settings: &Settings) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_default();
    let variables = addon.app_variables();
    let variables = variables.iter().map(|(name, value)| (name, value.expose_secret()));
    let error = Command::new(&program).args(words).envs(variables).exec();
    Err(CliError::broken(format!("can't start {}", program.display())).because(error))
}
