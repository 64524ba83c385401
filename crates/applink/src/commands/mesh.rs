//! `mesh`: the service mesh in front of an app, exactly as `applink-mesh` runs it.

use std::ffi::OsString;

use crate::error::{CliError, ExitStatus};

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Options of the mesh, and after `--` the app's command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// The mesh makes its own runtime, so it gets a thread where that is allowed.
pub(crate) async fn run(args: Args) -> Result<ExitStatus, CliError> {
    let code = tokio::task::spawn_blocking(|| applink_mesh::program::run(args.arguments)).await;
    code.map(ExitStatus::Child)
        .map_err(|error| CliError::broken("the mesh ended without a result").because(error))
}
