//! `applink:tokens…`: API keys of an add-on, which people make for themselves.

mod create;
mod list;
mod revoke;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// List the API keys of an add-on
    #[command(name = "applink:tokens", visible_alias = "tokens")]
    List(list::Args),
    /// Make an API key of your own for an add-on
    #[command(name = "applink:tokens:create", visible_alias = "tokens:create")]
    Create(create::Args),
    /// Make an API key of an add-on void
    #[command(name = "applink:tokens:revoke", visible_alias = "tokens:revoke")]
    Revoke(revoke::Args),
}

/// Runs one of them.
pub(crate) async fn dispatch(
    command: Command,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    match command {
        Command::List(args) => list::run(args, settings, printer).await,
        Command::Create(args) => create::run(args, settings, printer).await,
        Command::Revoke(args) => revoke::run(args, settings, printer).await,
    }
}
