//! `org`: runs a local Salesforce org until it is stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use applink_api::entropy::Entropy;
use applink_orgsim::{Org, OrgConfig, OrgKind, OrgsimError, RunningOrg};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

use crate::error::{CliError, ExitStatus};
use crate::logging;
use crate::printer::{Printer, Table};
use crate::settings::Settings;
use crate::signals::StopSignals;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port to listen on; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 7701)]
    port: u16,
    /// Which login host leads to it
    #[arg(long, value_enum, default_value_t = Kind::Production)]
    kind: Kind,
    /// Name on the org's pages
    #[arg(long, value_name = "NAME", default_value = "Acme")]
    name: String,
    /// Directory to keep the org in; without one it is forgotten at the end
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Listen on every network interface, not only this machine's own; others reach the org by this URL
    #[arg(long, value_name = "URL")]
    expose: Option<Url>,
    /// Write one line of JSON when the org is ready
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// Reached through login.salesforce.com
    Production,
    /// Reached through test.salesforce.com
    Sandbox,
}

/// What a program needs to use the org. The passwords and keys are this org's own, and worth nothing elsewhere.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    org_url: &'a str,
    org_id: &'a str,
    kind: &'static str,
    sim_key: &'a str,
    oauth_client_id: &'a str,
    oauth_client_secret: &'a str,
    jwt_client_id: &'a str,
    users: Vec<User<'a>>,
}

#[derive(Debug, Serialize)]
struct User<'a> {
    username: &'a str,
    password: &'a str,
    role: &'a str,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    logging::start(settings, "warn")?;
    let mut signals = StopSignals::listen()?;
    let org = Org::start(config(&args, settings)).await.map_err(|error| failure(error, args.port))?;
    show(&org, args.json, printer)?;
    printer.note("Press Ctrl-C to stop.");
    signals.next().await;
    org.stop().await;
    printer.note("The org has stopped.");
    Ok(ExitStatus::Success)
}

fn config(args: &Args, settings: &Settings) -> OrgConfig {
    let sim_key = settings.environment().secret("APPLINK_SIM_KEY").unwrap_or_else(new_key);
    let ip = if args.expose.is_some() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let mut config = OrgConfig::new(&args.name, sim_key);
    config.kind = args.kind.into();
    config.bind = SocketAddr::new(IpAddr::V4(ip), args.port);
    config.expose = args.expose.is_some();
    config.public_url.clone_from(&args.expose);
    config.state_dir.clone_from(&args.state_dir);
    config
}

fn new_key() -> SecretString {
    Entropy::system().url_token().into()
}

fn show(org: &RunningOrg, json: bool, printer: Printer) -> Result<(), CliError> {
    let (client_id, client_secret) = org.oauth_client();
    let jwt_client = org.jwt_client();
    let users = org.users().iter().map(|user| User {
        username: &user.username,
        password: user.password.expose_secret(),
        role: &user.role,
    });
    let ready = Ready {
        org_url: org.url(),
        org_id: org.org_id(),
        kind: org.kind().name(),
        sim_key: org.sim_key().expose_secret(),
        oauth_client_id: &client_id,
        oauth_client_secret: client_secret.expose_secret(),
        jwt_client_id: &jwt_client,
        users: users.collect(),
    };
    if json { printer.json_line(&ready) } else { printer.data(&ready.for_people()) }
}

impl Ready<'_> {
    /// The assignments can be pasted into the shell of `applink serve` and `applink invoke`.
    fn for_people(&self) -> String {
        let mut table = Table::new(&["Role", "Username", "Password"]);
        for user in &self.users {
            table.row([user.role, user.username, user.password].map(str::to_owned));
        }
        let login_host = if self.kind == "sandbox" { "test" } else { "login" };
        format!(
            "=== {} org {} at {}\n\n{table}\n\n\
             APPLINK_ORG_URL='{}'\nAPPLINK_SIM_KEY='{}'\n\
             APPLINK_OAUTH_CLIENT_ID='{}'\nAPPLINK_OAUTH_CLIENT_SECRET='{}'\nAPPLINK_ORG_ORIGINS='{}'\n\
             APPLINK_LOGIN_HOST_MAP='https://{login_host}.salesforce.com={}'",
            self.kind,
            self.org_id,
            self.org_url,
            self.org_url,
            self.sim_key,
            self.oauth_client_id,
            self.oauth_client_secret,
            self.org_url,
            self.org_url
        )
    }
}

impl From<Kind> for OrgKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Production => Self::Production,
            Kind::Sandbox => Self::Sandbox,
        }
    }
}

fn failure(error: OrgsimError, port: u16) -> CliError {
    match error {
        OrgsimError::AddressInUse { .. } => CliError::broken(format!("port {port} is already in use"))
            .hint("choose another one with --port; 0 picks a free one"),
        OrgsimError::WeakSimKey => CliError::broken(error.to_string())
            .hint("set APPLINK_SIM_KEY to a longer one, or leave it out to have one made"),
        other => CliError::broken(other.to_string()).because(other),
    }
}
