//! The command tree, and nothing else.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::{
    admin, apex_stubs, audit, authorizations, completions, connections, dev, invoke, mesh, org, salesforce,
    sample, serve, spec, webhooks,
};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::spelling::{self, Spelled};

const EXIT_STATUS: &str = "A space works as well as `:` in a command's name, and the topic `applink` may be left out.\n\n\
Exit status: 0 done, 1 the answer is no, 2 it broke or could not be tried, 130 stopped with Ctrl-C.";

/// AppLink: let apps and Salesforce orgs call each other as the right user
#[derive(Debug, Parser)]
#[command(name = "applink", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Every command. The names are the official ones where there is an official one.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole stack on this machine: org, control plane, mesh and an app
    Dev(dev::Args),
    /// Connect a Salesforce org to an app
    #[command(name = "salesforce:connect")]
    SalesforceConnect(salesforce::connect::Args),
    /// Connect a Salesforce org to an app without a browser
    #[command(name = "salesforce:connect:jwt")]
    SalesforceConnectJwt(salesforce::connect_jwt::Args),
    /// Disconnect a Salesforce org from an app
    #[command(name = "salesforce:disconnect")]
    SalesforceDisconnect(salesforce::disconnect::Args),
    /// Store a Salesforce user's credentials for an app
    #[command(name = "salesforce:authorizations:add")]
    SalesforceAuthorizationsAdd(salesforce::authorizations::add::Args),
    /// Store a Salesforce user's credentials for an app without a browser
    #[command(name = "salesforce:authorizations:add:jwt", alias = "salesforce:authorizations:jwt:add")]
    SalesforceAuthorizationsAddJwt(salesforce::authorizations::add_jwt::Args),
    /// Forget a Salesforce user's credentials
    #[command(name = "salesforce:authorizations:remove")]
    SalesforceAuthorizationsRemove(salesforce::authorizations::remove::Args),
    /// Publish an app's API into a connected Salesforce org
    #[command(name = "salesforce:publish", visible_alias = "publish")]
    SalesforcePublish(salesforce::publish::Args),
    /// List the Salesforce orgs an app is published to
    #[command(name = "salesforce:publications", visible_alias = "publications")]
    SalesforcePublications(salesforce::publications::Args),
    /// List what was published under a name, or fetch its document
    #[command(name = "salesforce:publications:history", visible_alias = "publications:history")]
    SalesforceHistory(salesforce::history::Args),
    /// Take a published app out of a Salesforce org
    #[command(name = "salesforce:unpublish", visible_alias = "unpublish")]
    SalesforceUnpublish(salesforce::unpublish::Args),
    /// Check an OpenAPI document against the rules of External Services
    #[command(name = "spec:check")]
    SpecCheck(spec::CheckArgs),
    /// Write the Apex classes an org will generate, for editors
    #[command(name = "apex-stubs")]
    ApexStubs(apex_stubs::Args),
    /// List the connected orgs
    #[command(name = "applink:connections", visible_alias = "connections")]
    Connections(connections::ListArgs),
    /// Show one connected org
    #[command(name = "applink:connections:info", visible_alias = "connections:info")]
    ConnectionsInfo(connections::InfoArgs),
    /// List the stored users
    #[command(name = "applink:authorizations", visible_alias = "authorizations")]
    Authorizations(authorizations::ListArgs),
    /// Show one stored user
    #[command(name = "applink:authorizations:info", visible_alias = "authorizations:info")]
    AuthorizationsInfo(authorizations::InfoArgs),
    /// List who is told what happens
    #[command(name = "applink:webhooks", visible_alias = "webhooks", aliases = ["applink:webhooks:list", "webhooks:list"])]
    Webhooks(webhooks::ListArgs),
    /// Have events sent to a URL, signed
    #[command(name = "applink:webhooks:create", visible_alias = "webhooks:create")]
    WebhooksCreate(webhooks::CreateArgs),
    /// Show one webhook
    #[command(name = "applink:webhooks:show", visible_alias = "webhooks:show", aliases = ["applink:webhooks:info", "webhooks:info"])]
    WebhooksShow(webhooks::OneArgs),
    /// Change where events go, or which, or whether
    #[command(name = "applink:webhooks:update", visible_alias = "webhooks:update")]
    WebhooksUpdate(webhooks::UpdateArgs),
    /// Remove a webhook
    #[command(name = "applink:webhooks:remove", visible_alias = "webhooks:remove")]
    WebhooksRemove(webhooks::RemoveArgs),
    /// Give a webhook a new secret
    #[command(name = "applink:webhooks:rotate-secret", visible_alias = "webhooks:rotate-secret")]
    WebhooksRotateSecret(webhooks::RotateArgs),
    /// Send a webhook a test
    #[command(name = "applink:webhooks:test", visible_alias = "webhooks:test")]
    WebhooksTest(webhooks::OneArgs),
    /// List what was delivered to a webhook, and how often it was tried
    #[command(name = "applink:webhooks:deliveries", visible_alias = "webhooks:deliveries")]
    WebhooksDeliveries(webhooks::OneArgs),
    /// Have a local org call a published app as one of its users
    Invoke(invoke::Args),
    /// Run a local Salesforce org
    Org(org::run::Args),
    /// Assign a permission set to a user of a local org
    #[command(name = "org:permsets:assign")]
    OrgPermsetsAssign(org::permsets::Args),
    /// Run the control plane
    Serve(serve::Args),
    /// Run the service mesh in front of an app
    Mesh(mesh::Args),
    /// List the apps of a control plane
    #[command(name = "admin:apps", alias = "admin:apps:list")]
    AdminApps(admin::apps::ListArgs),
    /// Make an app known to a control plane
    #[command(name = "admin:apps:create")]
    AdminAppsCreate(admin::apps::CreateArgs),
    /// Change where orgs call an app
    #[command(name = "admin:apps:set-url")]
    AdminAppsSetUrl(admin::apps::SetUrlArgs),
    /// List the add-ons of a control plane
    #[command(name = "admin:addons", alias = "admin:addons:list")]
    AdminAddons(admin::addons::ListArgs),
    /// Provision an add-on and attach it to an app
    #[command(name = "admin:addons:create")]
    AdminAddonsCreate(admin::addons::CreateArgs),
    /// Attach an add-on to one more app
    #[command(name = "admin:addons:attach")]
    AdminAddonsAttach(admin::addons::AttachArgs),
    /// Detach an add-on from an app
    #[command(name = "admin:addons:detach")]
    AdminAddonsDetach(admin::addons::DetachArgs),
    /// Destroy an add-on: revoke what it has at orgs, and erase it
    #[command(name = "admin:addons:destroy")]
    AdminAddonsDestroy(admin::addons::DestroyArgs),
    /// List the API keys of a control plane
    #[command(name = "admin:keys", alias = "admin:keys:list")]
    AdminKeys(admin::keys::ListArgs),
    /// Make an API key
    #[command(name = "admin:keys:create")]
    AdminKeysCreate(admin::keys::CreateArgs),
    /// Make an API key void
    #[command(name = "admin:keys:revoke")]
    AdminKeysRevoke(admin::keys::RevokeArgs),
    /// Erase a person's name from the audit log
    #[command(name = "admin:audit:erase-name")]
    AdminAuditEraseName(admin::audit::EraseArgs),
    /// Show which keys seal what, and how far a rotation is
    #[command(name = "admin:vault:status", alias = "admin:vault")]
    AdminVaultStatus(admin::vault::VaultArgs),
    /// Change over to the new master key while serving
    #[command(name = "admin:vault:rotate-master")]
    AdminVaultRotateMaster(admin::vault::VaultArgs),
    /// Replace every data key and seal every secret anew
    #[command(name = "admin:vault:rotate-data")]
    AdminVaultRotateData(admin::vault::VaultArgs),
    /// Write the manifest that makes a control plane a Heroku add-on
    #[command(name = "admin:manifest")]
    AdminManifest(admin::manifest::Args),
    /// List the add-ons that were destroyed, and what is left in orgs
    #[command(name = "admin:removals", alias = "admin:removals:list")]
    AdminRemovals(admin::removals::ListArgs),
    /// Run the bundled sample app, as `dev` does behind the mesh
    #[command(hide = true)]
    Sample(sample::Args),
    /// Check that the audit ledger is as it was written
    #[command(name = "audit:verify")]
    AuditVerify(audit::verify::Args),
    /// Write the completions of a shell to standard output
    Completions(completions::Args),
}

/// Clap or the topic list already has the answer: a help text, the version, or what is wrong with the arguments.
#[derive(Debug)]
pub(crate) enum Answered {
    Clap(Box<clap::Error>),
    Topic(String),
    Unknown(Box<CliError>),
}

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Command, Answered> {
    let mut cli = Cli::command();
    match spelling::read(arguments, &names(&cli)) {
        Spelled::Topic(topic) => Err(Answered::Topic(topic_help(&cli, &topic))),
        Spelled::Command(arguments) => {
            let arguments = std::iter::once(OsString::from("applink")).chain(arguments);
            let matches = cli.try_get_matches_from_mut(arguments);
            matches
                .and_then(|matches| Cli::from_arg_matches(&matches))
                .map(|cli| cli.command)
                .map_err(|error| answered(error, &names(&cli)))
        }
    }
}

/// Of the names clap finds similar, which all share a topic, only the nearest helps.
fn answered(error: clap::Error, names: &BTreeSet<String>) -> Answered {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) if error.kind() == ErrorKind::InvalidSubcommand => typed,
        _ => return Answered::Clap(Box::new(error)),
    };
    let told = CliError::broken(format!("there is no command {typed}"));
    let nearest = names.iter().min_by_key(|name| strsim::damerau_levenshtein(name, typed));
    let near = nearest.filter(|name| strsim::damerau_levenshtein(name, typed) <= 3);
    Answered::Unknown(Box::new(match near {
        Some(name) => told.hint(format!("did you mean `applink {name}`?")),
        None => told.hint("`applink --help` lists the commands"),
    }))
}

impl Answered {
    /// Help and version go to standard output, complaints to standard error.
    pub(crate) fn print(&self, printer: Printer) -> ExitStatus {
        match self {
            Self::Clap(error) => {
                let _ = error.print();
                if error.use_stderr() { ExitStatus::Broken } else { ExitStatus::Success }
            }
            Self::Topic(text) => {
                let _ = printer.data(text);
                ExitStatus::Success
            }
            Self::Unknown(error) => {
                printer.error(error);
                error.status()
            }
        }
    }
}

fn names(cli: &clap::Command) -> BTreeSet<String> {
    let all = cli
        .get_subcommands()
        .flat_map(|command| std::iter::once(command.get_name()).chain(command.get_all_aliases()));
    all.map(str::to_owned).collect()
}

fn topic_help(cli: &clap::Command, topic: &str) -> String {
    let start = format!("{topic}:");
    let commands = || cli.get_subcommands().filter(|command| command.get_name().starts_with(&start));
    let width = commands().map(|command| command.get_name().len()).max().unwrap_or(0);
    let lines = commands().map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:width$}  {about}", command.get_name())
    });
    format!("Commands of `{topic}`:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_cli() {
        Cli::command().debug_assert();
    }
}
