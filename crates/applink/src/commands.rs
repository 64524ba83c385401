//! Every command, and which runtime it needs.

pub(crate) mod admin;
pub(crate) mod apex_stubs;
pub(crate) mod audit;
pub(crate) mod authorizations;
pub(crate) mod completions;
pub(crate) mod connections;
pub(crate) mod dev;
pub(crate) mod invoke;
pub(crate) mod mesh;
pub(crate) mod org;
pub(crate) mod salesforce;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod spec;
pub(crate) mod webhooks;

use tokio::runtime::{Builder, Runtime};

use crate::cli::Command;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

/// Runs `command` to its end.
///
/// # Errors
/// What the command answers.
pub(crate) fn run(command: Command, printer: Printer) -> Result<ExitStatus, CliError> {
    let settings = Settings::of_this_process()?;
    runtime(&command)?.block_on(dispatch(command, &settings, printer))
}

/// A client command waits for one answer at a time; a server uses the machine.
fn runtime(command: &Command) -> Result<Runtime, CliError> {
    let serves =
        matches!(command, Command::Dev(_) | Command::Org(_) | Command::Sample(_) | Command::Serve(_));
    let mut builder = if serves { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder
        .enable_all()
        .build()
        .map_err(|error| CliError::broken("the system gives no thread or event queue").because(error))
}

async fn dispatch(command: Command, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    match command {
        Command::Dev(args) => dev::run(args, settings, printer).await,
        Command::SalesforceConnect(args) => salesforce::connect::run(args, settings, printer).await,
        Command::SalesforceConnectJwt(args) => salesforce::connect_jwt::run(args, settings, printer).await,
        Command::SalesforceDisconnect(args) => salesforce::disconnect::run(args, settings, printer).await,
        Command::SalesforceAuthorizationsAdd(args) => {
            salesforce::authorizations::add::run(args, settings, printer).await
        }
        Command::SalesforceAuthorizationsAddJwt(args) => {
            salesforce::authorizations::add_jwt::run(args, settings, printer).await
        }
        Command::SalesforceAuthorizationsRemove(args) => {
            salesforce::authorizations::remove::run(args, settings, printer).await
        }
        Command::SalesforcePublish(args) => salesforce::publish::run(args, settings, printer).await,
        Command::SalesforcePublications(args) => salesforce::publications::run(args, settings, printer).await,
        Command::SalesforceHistory(args) => salesforce::history::run(args, settings, printer).await,
        Command::SalesforceUnpublish(args) => salesforce::unpublish::run(args, settings, printer).await,
        Command::SpecCheck(args) => spec::check(&args, printer),
        Command::ApexStubs(args) => apex_stubs::run(&args, printer),
        Command::Connections(args) => connections::list(args, settings, printer).await,
        Command::ConnectionsInfo(args) => connections::info(args, settings, printer).await,
        Command::Authorizations(args) => authorizations::list(args, settings, printer).await,
        Command::AuthorizationsInfo(args) => authorizations::info(args, settings, printer).await,
        Command::Webhooks(args) => webhooks::list(args, settings, printer).await,
        Command::WebhooksCreate(args) => webhooks::create(args, settings, printer).await,
        Command::WebhooksShow(args) => webhooks::show(args, settings, printer).await,
        Command::WebhooksUpdate(args) => webhooks::update(args, settings, printer).await,
        Command::WebhooksRemove(args) => webhooks::remove(args, settings, printer).await,
        Command::WebhooksRotateSecret(args) => webhooks::rotate(args, settings, printer).await,
        Command::WebhooksTest(args) => webhooks::test(args, settings, printer).await,
        Command::WebhooksDeliveries(args) => webhooks::deliveries(args, settings, printer).await,
        Command::Invoke(args) => invoke::run(args, settings, printer).await,
        Command::Org(args) => org::run::run(args, settings, printer).await,
        Command::OrgPermsetsAssign(args) => org::permsets::assign(args, settings, printer).await,
        Command::Serve(args) => serve::run(args, settings, printer).await,
        Command::Mesh(args) => mesh::run(args).await,
        Command::AdminApps(args) => admin::apps::list(args, settings, printer).await,
        Command::AdminAppsCreate(args) => admin::apps::create(args, settings, printer).await,
        Command::AdminAppsSetUrl(args) => admin::apps::set_url(args, settings, printer).await,
        Command::AdminAddons(args) => admin::addons::list(args, settings, printer).await,
        Command::AdminAddonsCreate(args) => admin::addons::create(args, settings, printer).await,
        Command::AdminAddonsAttach(args) => admin::addons::attach(args, settings, printer).await,
        Command::AdminAddonsDetach(args) => admin::addons::detach(args, settings, printer).await,
        Command::AdminAddonsDestroy(args) => admin::addons::destroy(args, settings, printer).await,
        Command::AdminKeys(args) => admin::keys::list(args, settings, printer).await,
        Command::AdminKeysCreate(args) => admin::keys::create(args, settings, printer).await,
        Command::AdminKeysRevoke(args) => admin::keys::revoke(args, settings, printer).await,
        Command::AdminAuditEraseName(args) => admin::audit::erase_name(args, settings, printer).await,
        Command::AdminVaultStatus(args) => admin::vault::status(args, settings, printer).await,
        Command::AdminVaultRotateMaster(args) => admin::vault::rotate_master(args, settings, printer).await,
        Command::AdminVaultRotateData(args) => admin::vault::rotate_data(args, settings, printer).await,
        Command::AdminManifest(args) => admin::manifest::run(&args, settings, printer),
        Command::AdminRemovals(args) => admin::removals::list(args, settings, printer).await,
        Command::Sample(args) => sample::run(args, settings).await,
        Command::AuditVerify(args) => audit::verify::run(args, settings, printer).await,
        Command::Completions(args) => completions::run(&args, printer),
    }
}
