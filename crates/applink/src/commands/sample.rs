//! `sample`: the bundled sample app, started by `dev` as the mesh's child.

use applink_sdk::env::ProcessEnv;
use provisioning_service::{Settings, StartError};

use crate::error::{CliError, ExitStatus};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args) -> Result<ExitStatus, CliError> {
    let settings = Settings::from_env(ProcessEnv).map_err(StartError::from)?;
    provisioning_service::run(settings).await?;
    Ok(ExitStatus::Success)
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::broken(error.to_string()).because(error)
    }
}
