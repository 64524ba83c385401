//! `sample`: the bundled sample app, started by `dev` as the mesh's child.

use applink_sdk::env::ProcessEnv;
use provisioning_service::{Settings as SampleSettings, StartError};

use crate::error::{CliError, ExitStatus};
use crate::logging;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args, settings: &Settings) -> Result<ExitStatus, CliError> {
    logging::start(settings, "warn")?;
    let settings = SampleSettings::from_env(ProcessEnv).map_err(StartError::from)?;
    provisioning_service::run(settings).await?;
    Ok(ExitStatus::Success)
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::broken(error.to_string()).because(error)
    }
}
