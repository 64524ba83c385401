//! `applink:tokens…`: API keys of an add-on, which people make for themselves. A new one goes to standard output, alone.

use applink_api::operator::CreateOwnApiKey;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::Settings;

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// List the API keys of an add-on
    #[command(name = "applink:tokens", visible_alias = "tokens")]
    List(ListArgs),
    /// Make an API key of your own for an add-on
    #[command(name = "applink:tokens:create", visible_alias = "tokens:create")]
    Create(CreateArgs),
    /// Make an API key of an add-on void
    #[command(name = "applink:tokens:revoke", visible_alias = "tokens:revoke")]
    Revoke(RevokeArgs),
}

/// Runs one of them.
pub(crate) async fn dispatch(
    command: Command,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    match command {
        Command::List(args) => list(args, settings, printer).await,
        Command::Create(args) => create(args, settings, printer).await,
        Command::Revoke(args) => revoke(args, settings, printer).await,
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Days until the key ends by itself, up to 365 [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=365))]
    expires_in_days: Option<u16>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// ID of the key, as `tokens` lists it
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    addon: AddonArgs,
}

async fn list(args: ListArgs, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let keys = addon.client(printer)?.keys().list().await.map_err(|error| addon.explain(error))?;
    if args.output.json {
        printer.json(&keys)?;
        return Ok(ExitStatus::Success);
    }
    if keys.is_empty() {
        printer.data(&format!("There are no API keys of add-on {}.", addon.label()))?;
        return Ok(ExitStatus::Success);
    }
    let mut table = Table::new(&["ID", "Owner", "Begins with", "Made", "Ends"]);
    for key in keys {
        let ends = key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        table.row([key.id.to_string(), key.owner, key.shown_prefix, key.created_at.to_string(), ends]);
    }
    printer.data(&format!("=== API keys of add-on {}\n\n{table}", addon.label()))?;
    Ok(ExitStatus::Success)
}

async fn create(args: CreateArgs, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let request = CreateOwnApiKey { expires_in_days: args.expires_in_days };
    let made = addon.client(printer)?.keys().create(request).await.map_err(|error| addon.explain(error))?;
    if args.output.json {
        printer.json(&made)?;
    } else {
        printer.data(made.key.expose_secret())?;
        printer.note("The key is shown only now; set it as APPLINK_API_KEY.");
    }
    Ok(ExitStatus::Success)
}

async fn revoke(args: RevokeArgs, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let gone = addon.client(printer)?.keys().revoke(args.id).await;
    gone.map_err(|error| {
        if error.is_not_found() {
            CliError::refused(format!("add-on {} has no live key {}", addon.label(), args.id))
                .hint("`applink tokens` lists them")
        } else {
            addon.explain(error)
        }
    })?;
    printer.note("The key is void.");
    Ok(ExitStatus::Success)
}
