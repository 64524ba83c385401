//! `admin:keys…`. A new key goes to standard output, alone, this one time.

use applink_api::ids::AddonId;
use applink_api::operator::{ApiKeyInfo, CreateExpiringApiKey, Scope};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// E-mail of the person or pipeline whose key it is
    #[arg(long, value_name = "EMAIL")]
    owner: String,
    /// What the key may do
    #[arg(long, value_enum, default_value_t = KeyScope::Manage)]
    scope: KeyScope,
    /// The add-on a key with scope `manage` reaches, by uuid
    #[arg(long, value_name = "UUID")]
    addon: Option<AddonId>,
    /// Days until the key ends by itself [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
    expires_in_days: Option<u16>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KeyScope {
    /// Change one add-on's connections, authorizations and publications
    Manage,
    /// Everything an operator may do
    Operate,
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Manage => Self::Manage,
            KeyScope::Operate => Self::Operate,
        }
    }
}

pub(crate) async fn create(
    args: CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    if matches!(args.scope, KeyScope::Manage) && args.addon.is_none() {
        return Err(CliError::refused("a key with scope `manage` reaches one add-on, and none was named")
            .hint("give the add-on's uuid with --addon"));
    }
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let request = CreateExpiringApiKey {
        owner: args.owner,
        scope: args.scope.into(),
        addon: args.addon,
        expires_in_days: args.expires_in_days,
    };
    let created = control_plane.client().operator().create_expiring_key(&request).await;
    let created = created.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&created)?;
    } else {
        printer.data(created.key.expose_secret())?;
        printer.note("The key is shown only now; set it as APPLINK_API_KEY.");
    }
    Ok(ExitStatus::Success)
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Uuid of the key, as `admin:keys` lists it
    key: uuid::Uuid,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let found = control_plane.client().operator().list_keys().await;
    let keys = found.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&keys)?;
    } else if keys.is_empty() {
        printer.data("There are no API keys.")?;
    } else {
        printer.data(&table(keys).to_string())?;
    }
    Ok(ExitStatus::Success)
}

fn table(keys: Vec<ApiKeyInfo>) -> Table {
    let mut table = Table::new(&["Owner", "Scope", "Begins with", "ID", "Add-on"]);
    for key in keys {
        let scope = match key.scope {
            Scope::Manage => "manage",
            Scope::Operate => "operate",
        };
        let addon = key.addon.map(|addon| addon.to_string()).unwrap_or_default();
        table.row([key.owner, scope.to_owned(), key.shown_prefix, key.id.to_string(), addon]);
    }
    table
}

pub(crate) async fn revoke(
    args: RevokeArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let gone = control_plane.client().operator().revoke_key(args.key).await;
    gone.map_err(|error| {
        if error.is_not_found() {
            CliError::refused(format!("there is no live key {}", args.key))
                .hint("`applink admin keys` lists them")
        } else {
            control_plane.explain(error)
        }
    })?;
    if args.output.json {
        printer.json(&json!({"id": args.key, "revoked": true}))?;
    } else {
        printer.note("The key is void.");
    }
    Ok(ExitStatus::Success)
}
