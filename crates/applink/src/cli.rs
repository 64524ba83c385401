//! The command tree, and nothing else.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::datacloud::data_action_target;
use crate::commands::{
    admin, apex_stubs, audit, authorizations, completions, connections, dev, doctor, init, invoke, login,
    logs, man, mesh, open, org, rename, run, salesforce, sample, serve, spec, tokens, webhooks,
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
///
/// A command's arguments are made when it is asked for: those of all of them are most of what a start would take.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
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
    /// Connect a Data Cloud org to an app
    #[command(name = "datacloud:connect")]
    DatacloudConnect(salesforce::connect::Args),
    /// Disconnect a Data Cloud org from an app
    #[command(name = "datacloud:disconnect")]
    DatacloudDisconnect(salesforce::disconnect::Args),
    /// Store a Data Cloud user's credentials for an app
    #[command(name = "datacloud:authorizations:add")]
    DatacloudAuthorizationsAdd(salesforce::authorizations::add::Args),
    /// Store a Data Cloud user's credentials for an app without a browser
    #[command(name = "datacloud:authorizations:add:jwt", alias = "datacloud:authorizations:jwt:add")]
    DatacloudAuthorizationsAddJwt(salesforce::authorizations::add_jwt::Args),
    /// Forget a Data Cloud user's credentials
    #[command(name = "datacloud:authorizations:remove")]
    DatacloudAuthorizationsRemove(salesforce::authorizations::remove::Args),
    /// Have Data Cloud call a path of an app when data changes
    #[command(name = "datacloud:data-action-target:create", visible_alias = "data-action-target:create")]
    DataActionTargetCreate(data_action_target::CreateArgs),
    /// List the data action targets of a Data Cloud org
    #[command(
        name = "datacloud:data-action-target:list",
        visible_alias = "data-action-target:list",
        alias = "datacloud:data-action-target"
    )]
    DataActionTargetList(data_action_target::ListArgs),
    /// Show one data action target
    #[command(name = "datacloud:data-action-target:info", visible_alias = "data-action-target:info")]
    DataActionTargetInfo(data_action_target::OneArgs),
    /// Give a data action target a new signing key
    #[command(name = "datacloud:data-action-target:rotate", visible_alias = "data-action-target:rotate")]
    DataActionTargetRotate(data_action_target::OneArgs),
    /// Remove a data action target
    #[command(name = "datacloud:data-action-target:remove", visible_alias = "data-action-target:remove")]
    DataActionTargetRemove(data_action_target::RemoveArgs),
    /// List the connected orgs
    #[command(name = "applink:connections", visible_alias = "connections")]
    Connections(connections::list::Args),
    /// Show one connected org
    #[command(name = "applink:connections:info", visible_alias = "connections:info")]
    ConnectionsInfo(connections::info::Args),
    /// Log a connection in again without interrupting what runs
    #[command(name = "applink:connections:reconnect", visible_alias = "connections:reconnect")]
    ConnectionsReconnect(connections::reconnect::Args),
    /// Wait until a connection has settled
    #[command(name = "applink:connections:wait", visible_alias = "connections:wait")]
    ConnectionsWait(connections::wait::Args),
    /// Give a connection another name
    #[command(name = "applink:connections:rename", visible_alias = "connections:rename")]
    ConnectionsRename(connections::rename::Args),
    /// Give a connection that was made with a key another key
    #[command(name = "applink:connections:rotate-key", visible_alias = "connections:rotate-key")]
    ConnectionsRotateKey(connections::rotate_key::Args),
    /// List the stored users
    #[command(name = "applink:authorizations", visible_alias = "authorizations")]
    Authorizations(authorizations::list::Args),
    /// Show one stored user
    #[command(name = "applink:authorizations:info", visible_alias = "authorizations:info")]
    AuthorizationsInfo(authorizations::info::Args),
    /// See whether a stored user's token works, whose it is, and what is left of the org's limits
    #[command(name = "applink:authorizations:test", visible_alias = "authorizations:test")]
    AuthorizationsTest(authorizations::test::Args),
    /// Renew a stored user's access token
    #[command(name = "applink:authorizations:refresh", visible_alias = "authorizations:refresh")]
    AuthorizationsRefresh(authorizations::refresh::Args),
    /// Log a stored user in again without interrupting what runs
    #[command(name = "applink:authorizations:reconnect", visible_alias = "authorizations:reconnect")]
    AuthorizationsReconnect(authorizations::reconnect::Args),
    /// Give an authorization another name
    #[command(name = "applink:authorizations:rename", visible_alias = "authorizations:rename")]
    AuthorizationsRename(authorizations::rename::Args),
    /// Give an authorization that was made with a key another key
    #[command(name = "applink:authorizations:rotate-key", visible_alias = "authorizations:rotate-key")]
    AuthorizationsRotateKey(authorizations::rotate_key::Args),
    /// Give a connection or an authorization another name
    Rename(rename::Args),
    #[command(flatten)]
    Webhooks(webhooks::Command),
    #[command(flatten)]
    Tokens(tokens::Command),
    /// Make a new app that an org can call, from a template
    Init(init::Args),
    /// Look for what is wrong between app, add-on and orgs, and how to mend it
    Doctor(doctor::Args),
    /// Remember an add-on of a control plane without Heroku, its key in the keyring
    Login(login::LoginArgs),
    /// Forget what `login` remembered
    Logout(login::LogoutArgs),
    /// Show what happened in an add-on, and the calls its meshes saw
    Logs(logs::Args),
    /// Open the add-on's dashboard in a browser
    #[command(visible_alias = "addons:open")]
    Open(open::Args),
    /// Run a command with the add-on's environment, as the app would find it
    Run(run::Args),
    /// Have a local org call a published app as one of its users
    Invoke(invoke::Args),
    #[command(flatten)]
    Org(org::Command),
    /// Run the control plane
    Serve(serve::Args),
    /// Run the service mesh in front of an app
    Mesh(mesh::Args),
    #[command(flatten)]
    Admin(admin::Command),
    /// Run the bundled sample app, as `dev` does behind the mesh
    #[command(hide = true)]
    Sample(sample::Args),
    /// Check that the audit ledger is as it was written
    #[command(name = "audit:verify")]
    AuditVerify(audit::verify::Args),
    /// Write the completions of a shell to standard output
    Completions(completions::Args),
    /// Write manual pages, or the reference of all commands
    Man(man::Args),
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
    // Of a short word everything is near.
    let near_enough = (typed.chars().count() / 3).clamp(1, 3);
    let near = nearest.filter(|name| strsim::damerau_levenshtein(name, typed) <= near_enough);
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
    let named = |command: &clap::Command| {
        let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
        names.filter(|name| name.starts_with(&start)).map(str::to_owned).next()
    };
    let commands: Vec<_> =
        cli.get_subcommands().filter_map(|command| Some((named(command)?, command))).collect();
    let width = commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = commands.iter().map(|(name, command)| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {name:width$}  {about}")
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
