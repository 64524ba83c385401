//! Every command, and which runtime it needs.

pub(crate) mod admin;
pub(crate) mod apex_stubs;
pub(crate) mod audit;
pub(crate) mod authorizations;
pub(crate) mod completions;
pub(crate) mod connections;
pub(crate) mod datacloud;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod invoke;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod mesh;
pub(crate) mod open;
pub(crate) mod org;
pub(crate) mod rename;
pub(crate) mod run;
pub(crate) mod salesforce;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod spec;
pub(crate) mod tokens;
pub(crate) mod webhooks;

use applink_api::org::OrgType;
use tokio::runtime::{Builder, Runtime};

use self::datacloud::data_action_target as target;
use self::salesforce::{authorizations as users, connect, disconnect};
use crate::cli::Command;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

const SALESFORCE: OrgType = OrgType::SalesforceOrg;
const DATA_CLOUD: OrgType = OrgType::DataCloudOrg;

/// Runs `command` to its end, or until a person presses Ctrl-C.
///
/// # Errors
/// What the command answers.
pub(crate) fn run(command: Command, printer: Printer) -> Result<ExitStatus, CliError> {
    let settings = Settings::of_this_process()?;
    let runtime = runtime(&command)?;
    if stops_by_itself(&command) {
        return runtime.block_on(dispatch(command, &settings, printer));
    }
    let ended = runtime.block_on(poll::interruptible(dispatch(command, &settings, printer)));
    // What still blocks a thread, a look-up of a name or standard input, is not waited for.
    runtime.shutdown_background();
    match ended {
        Waited::Done(ended) => ended,
        // Commands that know more about the state of things have said so by themselves.
        Waited::Interrupted => Err(CliError::interrupted("stopped before the answer came")
            .note("if something was to be changed, that may be done already, or be done yet")
            .hint("look how things are before you ask again")),
    }
}

/// A client command waits for one answer at a time; a server uses the machine.
fn runtime(command: &Command) -> Result<Runtime, CliError> {
    let serves = matches!(
        command,
        Command::Dev(_) | Command::Org(org::Command::Serve(_)) | Command::Sample(_) | Command::Serve(_)
    );
    let mut builder = if serves { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder
        .enable_all()
        .build()
        .map_err(|error| CliError::broken("the system gives no thread or event queue").because(error))
}

/// Servers have a way of their own to stop.
fn stops_by_itself(command: &Command) -> bool {
    matches!(
        command,
        Command::Dev(_)
            | Command::Mesh(_)
            | Command::Org(org::Command::Serve(_))
            | Command::Sample(_)
            | Command::Serve(_)
    )
}

async fn dispatch(command: Command, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    match command {
        Command::Dev(args) => dev::run(args, settings, printer).await,
        Command::SalesforceConnect(args) => connect::run(SALESFORCE, args, settings, printer).await,
        Command::SalesforceConnectJwt(args) => salesforce::connect_jwt::run(args, settings, printer).await,
        Command::SalesforceDisconnect(args) => disconnect::run(SALESFORCE, args, settings, printer).await,
        Command::SalesforceAuthorizationsAdd(args) => {
            users::add::run(SALESFORCE, args, settings, printer).await
        }
        Command::SalesforceAuthorizationsAddJwt(args) => {
            users::add_jwt::run(SALESFORCE, args, settings, printer).await
        }
        Command::SalesforceAuthorizationsRemove(args) | Command::DatacloudAuthorizationsRemove(args) => {
            users::remove::run(args, settings, printer).await
        }
        Command::DatacloudConnect(args) => connect::run(DATA_CLOUD, args, settings, printer).await,
        Command::DatacloudDisconnect(args) => disconnect::run(DATA_CLOUD, args, settings, printer).await,
        Command::DatacloudAuthorizationsAdd(args) => {
            users::add::run(DATA_CLOUD, args, settings, printer).await
        }
        Command::DatacloudAuthorizationsAddJwt(args) => {
            users::add_jwt::run(DATA_CLOUD, args, settings, printer).await
        }
        Command::DataActionTargetCreate(args) => target::create(args, settings, printer).await,
        Command::DataActionTargetList(args) => target::list(args, settings, printer).await,
        Command::DataActionTargetInfo(args) => target::info(args, settings, printer).await,
        Command::DataActionTargetRotate(args) => target::rotate(args, settings, printer).await,
        Command::DataActionTargetRemove(args) => target::remove(args, settings, printer).await,
        Command::SalesforcePublish(args) => salesforce::publish::run(args, settings, printer).await,
        Command::SalesforcePublications(args) => salesforce::publications::run(args, settings, printer).await,
        Command::SalesforceHistory(args) => salesforce::history::run(args, settings, printer).await,
        Command::SalesforceUnpublish(args) => salesforce::unpublish::run(args, settings, printer).await,
        Command::SpecCheck(args) => spec::check(&args, printer),
        Command::ApexStubs(args) => apex_stubs::run(&args, printer),
        Command::Connections(args) => connections::list::run(args, settings, printer).await,
        Command::ConnectionsInfo(args) => connections::info::run(args, settings, printer).await,
        Command::Authorizations(args) => authorizations::list::run(args, settings, printer).await,
        Command::AuthorizationsInfo(args) => authorizations::info::run(args, settings, printer).await,
        Command::ConnectionsReconnect(args) => connections::reconnect::run(args, settings, printer).await,
        Command::ConnectionsWait(args) => connections::wait::run(args, settings, printer).await,
        Command::ConnectionsRename(args) => connections::rename::run(args, settings, printer).await,
        Command::ConnectionsRotateKey(args) => connections::rotate_key::run(args, settings, printer).await,
        Command::AuthorizationsTest(args) => authorizations::test::run(args, settings, printer).await,
        Command::AuthorizationsRefresh(args) => authorizations::refresh::run(args, settings, printer).await,
        Command::AuthorizationsReconnect(args) => {
            authorizations::reconnect::run(args, settings, printer).await
        }
        Command::AuthorizationsRename(args) => authorizations::rename::run(args, settings, printer).await,
        Command::AuthorizationsRotateKey(args) => {
            authorizations::rotate_key::run(args, settings, printer).await
        }
        Command::Webhooks(command) => webhooks::dispatch(command, settings, printer).await,
        Command::Tokens(command) => tokens::dispatch(command, settings, printer).await,
        Command::Admin(command) => admin::dispatch(command, settings, printer).await,
        Command::Org(command) => org::dispatch(command, settings, printer).await,
        Command::Login(args) => login::login(args, settings, printer).await,
        Command::Logout(args) => login::logout(&args, settings, printer),
        Command::Init(args) => init::run(&args, settings, printer).await,
        Command::Doctor(args) => doctor::run(args, settings, printer).await,
        Command::Open(args) => open::run(args, settings, printer).await,
        Command::Run(args) => run::run(args, settings).await,
        Command::Rename(args) => rename::run(args, settings, printer).await,
        Command::Logs(args) => logs::run(args, settings, printer).await,
        Command::Man(args) => man::run(&args, printer),
        Command::Invoke(args) => invoke::run(args, settings, printer).await,
        Command::Serve(args) => serve::run(args, settings, printer).await,
        Command::Mesh(args) => mesh::run(args).await,
        Command::Sample(args) => sample::run(args, settings).await,
        Command::AuditVerify(args) => audit::verify::run(args, settings, printer).await,
        Command::Completions(args) => completions::run(&args, printer),
    }
}
