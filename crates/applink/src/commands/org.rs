//! `org`: a local Salesforce org, and what is set up in it.

pub(crate) mod look;
pub(crate) mod permsets;
pub(crate) mod run;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Run a local Salesforce org
    #[command(name = "org:serve", visible_alias = "org")]
    Serve(run::Args),
    /// List the users of a local org
    #[command(name = "org:users")]
    Users(look::OrgArgs),
    /// List the permission sets of a local org, and who has them
    #[command(name = "org:permsets", alias = "org:permsets:list")]
    Permsets(look::OrgArgs),
    /// Assign a permission set to a user of a local org
    #[command(name = "org:permsets:assign")]
    PermsetsAssign(permsets::Args),
    /// Take a permission set from a user of a local org
    #[command(name = "org:permsets:unassign")]
    PermsetsUnassign(permsets::Args),
    /// Show records of a local org as one of its users sees them
    #[command(name = "org:records")]
    Records(look::RecordsArgs),
    /// Show the callbacks that arrived at a local org
    #[command(name = "org:callbacks")]
    Callbacks(look::CallbacksArgs),
}

/// Runs one of them.
pub(crate) async fn dispatch(
    command: Command,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    match command {
        Command::Serve(args) => run::run(args, settings, printer).await,
        Command::Users(args) => look::users(args, settings, printer).await,
        Command::Permsets(args) => look::permission_sets(args, settings, printer).await,
        Command::PermsetsAssign(args) => permsets::assign(args, settings, printer).await,
        Command::PermsetsUnassign(args) => permsets::unassign(args, settings, printer).await,
        Command::Records(args) => look::records(args, settings, printer).await,
        Command::Callbacks(args) => look::callbacks(args, settings, printer).await,
    }
}
