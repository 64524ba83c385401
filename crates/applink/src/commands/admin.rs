//! `admin:…`: what an operator sets up on a control plane.

pub(crate) mod addons;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod removals;
pub(crate) mod vault;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// List the apps of a control plane
    #[command(name = "admin:apps", alias = "admin:apps:list")]
    Apps(apps::ListArgs),
    /// Make an app known to a control plane
    #[command(name = "admin:apps:create")]
    AppsCreate(apps::CreateArgs),
    /// Change where orgs call an app
    #[command(name = "admin:apps:set-url")]
    AppsSetUrl(apps::SetUrlArgs),
    /// List the add-ons of a control plane
    #[command(name = "admin:addons", alias = "admin:addons:list")]
    Addons(addons::ListArgs),
    /// Provision an add-on and attach it to an app
    #[command(name = "admin:addons:create")]
    AddonsCreate(addons::CreateArgs),
    /// Attach an add-on to one more app
    #[command(name = "admin:addons:attach")]
    AddonsAttach(addons::AttachArgs),
    /// Detach an add-on from an app
    #[command(name = "admin:addons:detach")]
    AddonsDetach(addons::DetachArgs),
    /// Destroy an add-on: revoke what it has at orgs, and erase it
    #[command(name = "admin:addons:destroy")]
    AddonsDestroy(addons::DestroyArgs),
    /// List the API keys of a control plane
    #[command(name = "admin:keys", alias = "admin:keys:list")]
    Keys(keys::ListArgs),
    /// Make an API key
    #[command(name = "admin:keys:create")]
    KeysCreate(keys::CreateArgs),
    /// Make an API key void
    #[command(name = "admin:keys:revoke")]
    KeysRevoke(keys::RevokeArgs),
    /// Erase a person's name from the audit log
    #[command(name = "admin:audit:erase-name")]
    AuditEraseName(audit::EraseArgs),
    /// Show which keys seal what, and how far a rotation is
    #[command(name = "admin:vault:status", alias = "admin:vault")]
    VaultStatus(vault::VaultArgs),
    /// Change over to the new master key while serving
    #[command(name = "admin:vault:rotate-master")]
    VaultRotateMaster(vault::VaultArgs),
    /// Replace every data key and seal every secret anew
    #[command(name = "admin:vault:rotate-data")]
    VaultRotateData(vault::VaultArgs),
    /// Rotate the keys that seal what a control plane stores
    #[command(name = "keys:rotate")]
    RotateKeys(vault::RotateKeysArgs),
    /// Write the manifest that makes a control plane a Heroku add-on
    #[command(name = "admin:manifest")]
    Manifest(manifest::Args),
    /// List the add-ons that were destroyed, and what is left in orgs
    #[command(name = "admin:removals", alias = "admin:removals:list")]
    Removals(removals::ListArgs),
}

/// Runs one of them.
pub(crate) async fn dispatch(
    command: Command,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    match command {
        Command::Apps(args) => apps::list(args, settings, printer).await,
        Command::AppsCreate(args) => apps::create(args, settings, printer).await,
        Command::AppsSetUrl(args) => apps::set_url(args, settings, printer).await,
        Command::Addons(args) => addons::list(args, settings, printer).await,
        Command::AddonsCreate(args) => addons::create(args, settings, printer).await,
        Command::AddonsAttach(args) => addons::attach(args, settings, printer).await,
        Command::AddonsDetach(args) => addons::detach(args, settings, printer).await,
        Command::AddonsDestroy(args) => addons::destroy(args, settings, printer).await,
        Command::Keys(args) => keys::list(args, settings, printer).await,
        Command::KeysCreate(args) => keys::create(args, settings, printer).await,
        Command::KeysRevoke(args) => keys::revoke(args, settings, printer).await,
        Command::AuditEraseName(args) => audit::erase_name(args, settings, printer).await,
        Command::VaultStatus(args) => vault::status(args, settings, printer).await,
        Command::VaultRotateMaster(args) => vault::rotate_master(args, settings, printer).await,
        Command::VaultRotateData(args) => vault::rotate_data(args, settings, printer).await,
        Command::RotateKeys(args) => vault::rotate_keys(args, settings, printer).await,
        Command::Manifest(args) => manifest::run(&args, settings, printer),
        Command::Removals(args) => removals::list(args, settings, printer).await,
    }
}

// Which control plane.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Address of the control plane [default: APPLINK_SERVER_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}
