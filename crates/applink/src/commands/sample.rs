//! `sample`: the bundled sample app, started by `dev` as the mesh's child.

use std::time::Duration;

use applink_sdk::env::ProcessEnv;
use provisioning_service::{Settings as SampleSettings, StartError};

use crate::error::{CliError, ExitStatus};
use crate::logging;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sample for Data Cloud
    #[arg(long)]
    data_cloud: bool,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<ExitStatus, CliError> {
    logging::start(settings, "warn")?;
    if args.data_cloud {
        let settings = click_events::Settings::from_env(ProcessEnv)?;
        tokio::select! {
            ended = click_events::run(settings) => ended?,
            () = orphaned() => {}
        }
        return Ok(ExitStatus::Success);
    }
    let settings = SampleSettings::from_env(ProcessEnv).map_err(StartError::from)?;
    tokio::select! {
        ended = provisioning_service::run(settings) => ended?,
        () = orphaned() => {}
    }
    Ok(ExitStatus::Success)
}

/// How often the sample looks whether its stack is still there.
const LOOK: Duration = Duration::from_millis(500);

/// A stack that is killed can't stop its app any more, so this app ends by itself.
async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(LOOK).await;
    }
}

impl From<click_events::StartError> for CliError {
    fn from(error: click_events::StartError) -> Self {
        Self::broken(error.to_string()).because(error)
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::broken(error.to_string()).because(error)
    }
}
