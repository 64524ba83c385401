//! The parts of `applink dev`, started in the order in which they need each other:
//!
//! 1. two orgs, a production org and a sandbox, side by side;
//! 2. the control plane, which is led to them instead of login.salesforce.com and test.salesforce.com;
//! 3. an app and an add-on, on the first start;
//! 4. with `--tls`, the way in for the stock Heroku CLI;
//! 5. the mesh, which starts the app as its child.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use applink_api::client::{Client, Operator};
use applink_api::context::RequestContext;
use applink_api::entropy::Entropy;
use applink_api::headers::REQUEST_CONTEXT;
use applink_api::ids::{AddonId, AppUuid};
use applink_api::operator::{CreateAddon, CreateApiKey, CreateApp, Scope};
use applink_mesh::bypass::BypassRoute;
use applink_mesh::child::{ChildConfig, ChildOutput};
use applink_mesh::config::{AllowedHosts, Listen, MeshConfig, Sources, YAML_NAMES};
use applink_mesh::{Mesh, RunningMesh};
use applink_orgsim::{Org, OrgConfig, OrgKind, RunningOrg};
use applink_server::{Config, RunningServer, Server};
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use super::DevSettings;
use super::facts::{Facts, HEROKU_ENV, SampleUser};
use super::platform;
use super::ports::PortError;
use super::state_dir::{AddonState, Ports, State, StateDir, StateError};
use super::tls::{Tls, TlsError};
use super::tour::Failure;
use super::visitor::{Decision, Person};
use crate::error::ExitStatus;
use crate::sim::{Sim, SimError};

/// The connection the tour makes.
pub(crate) const CONNECTION: &str = "acme";
/// The authorization the sample reads campaigns through.
pub(crate) const AUTHORIZATION: &str = "influencerPortal";
/// The sample's name in the org.
pub(crate) const SERVICE: &str = "ProvisioningService";
/// The session-based permission set of the sample's user-plus mode.
pub(crate) const PERMISSION_SET: &str = "ProvisioningServicePermissions";
/// The sample's public routes: a web page, its data, and the ingest API.
const PUBLIC_ROUTES: [&str; 3] = ["/", "/api/campaigns", "/api/products/*"];
/// The public routes of the sample for Data Cloud.
const CLICK_ROUTES: [&str; 2] = ["/api/clicks", "/api/interested"];
/// How long an app may take to listen.
const APP_PATIENCE: Duration = Duration::from_secs(60);
/// Whose key the stack's own API key is.
pub(super) const OWNER: &str = "developer@localhost";

/// The running stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) facts: Facts,
    pub(crate) sim: Sim,
    pub(crate) http: reqwest::Client,
    org: RunningOrg,
    sandbox: RunningOrg,
    server: RunningServer,
    mesh: RunningMesh,
    tls: Option<Tls>,
    users: BTreeMap<String, SampleUser>,
}

/// The stack does not start. Nothing is left running.
#[derive(Debug, Error)]
pub(crate) enum StackError {
    #[error("port {port} of the {part} is taken")]
    PortTaken {
        part: &'static str,
        port: u16,
        flag: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the {part} does not start")]
    Start { part: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("`{command}` can't be run")]
    Command { command: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the app ended before it listened on port {port}")]
    AppEnded { port: u16 },
    #[error("the app does not listen on port {port} within {} s", APP_PATIENCE.as_secs())]
    AppSilent { port: u16 },
    #[error("the stack's own add-on can't be made")]
    Provision(#[source] applink_api::client::ClientError),
    #[error("the stack's own add-on is not at the Platform API stand-in")]
    Introduce(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl StackError {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::PortTaken { flag, .. } => {
                Some(format!("choose another with {flag}, or 0 for any free one"))
            }
            Self::Command { .. } => Some("is it installed, and on the PATH?".to_owned()),
            Self::AppEnded { .. } | Self::AppSilent { .. } => {
                Some("its own words are above; it must listen on the port in PORT".to_owned())
            }
            Self::Port(_) => Some("leave the flag out, or start over with --fresh".to_owned()),
            Self::State(error) => Some(error.hint().to_owned()),
            Self::Tls(error) => error.hint().map(ToOwned::to_owned),
            Self::Provision(_) | Self::Introduce(_) => Some("start over with --fresh".to_owned()),
            Self::Start { .. } => None,
        }
    }
}

fn start_error(part: &'static str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> StackError {
    move |source| StackError::Start { part, source }
}

impl Stack {
    /// Starts everything and waits until it answers.
    pub(crate) async fn start(settings: &DevSettings, dir: &StateDir) -> Result<Self, StackError> {
        let entropy = Entropy::system();
        let mut state = match dir.load()? {
            Some(state) => state,
            None => first_state(&entropy),
        };
        // Before anything is sealed with these keys: a start that is cut short must not lose them.
        dir.save(&state)?;
        let ports = settings.ports.choose(state.ports)?;
        let (org, sandbox) = tokio::try_join!(
            start_org(OrgKind::Production, ports.org, &state, dir),
            start_org(OrgKind::Sandbox, ports.sandbox, &state, dir),
        )?;
        let server = start_server(ports.control_plane, &state, dir, &org, &sandbox, settings).await?;
        let mesh_url = format!("http://127.0.0.1:{}", ports.mesh);
        let addon = provisioned(&server, &mut state, &mesh_url, settings).await?;
        let platform_key = platform::introduce(&server, &mut state, &addon).await;
        let platform_key = platform_key.map_err(StackError::Introduce)?;
        state.ports = Ports {
            control_plane: server.addr().port(),
            org: org.addr().port(),
            sandbox: sandbox.addr().port(),
            ..ports
        };
        let tls = open_tls(settings, server.addr(), &mut state, dir).await?;
        dir.save(&state)?;
        let api_url = format!("{}/addons/{}", server.url(), addon.addon_id);
        let mesh = start_mesh(settings, ports, &addon, &api_url).await?;
        let facts = Facts {
            server_url: server.url().to_owned(),
            api_url,
            token: addon.token,
            api_key: addon.api_key,
            platform_key,
            app_id: addon.app_id,
            app_name: addon.app_name,
            addon_id: addon.addon_id,
            addon_name: addon.addon_name,
            org_url: org.url().to_owned(),
            org_id: org.org_id().to_owned(),
            sandbox_url: sandbox.url().to_owned(),
            mesh_url: mesh.url(),
            app_url: format!("http://127.0.0.1:{}", ports.app),
            sim_key: state.sim_key,
            users: org.users().iter().map(sample_user).collect(),
            sandbox_users: sandbox.users().iter().map(sample_user).collect(),
            operator_key: state.operator_key,
            env_file: dir.join("dev.env"),
            tls: tls.as_ref().map(|tls| tls.facts(dir.join(HEROKU_ENV))),
        };
        let sim = Sim::new(&facts.org_url, facts.sim_key.clone()).map_err(sim_error)?;
        let users = facts.users.iter().map(|user| (user.role.clone(), user.clone())).collect();
        let http = visitor_client().map_err(|source| start_error("tour")(source.into()))?;
        Ok(Self { facts, sim, http, org, sandbox, server, mesh, tls, users })
    }

    /// A client with the stack's API key, as the CLI has it.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let client = Client::builder(&self.facts.api_url)
            .token(self.facts.token.clone())
            .api_key(self.facts.api_key.clone())
            .app(self.facts.app_id)
            .build()?;
        Ok(client)
    }

    /// The username of the sample user with this role.
    pub(crate) fn username(&self, role: &str) -> &str {
        self.users.get(role).map_or("", |user| &user.username)
    }

    /// The sample user with this role, in front of a browser.
    pub(crate) fn person(&self, role: &str, decision: Decision) -> Result<Person, Failure> {
        let user = self.users.get(role);
        let user = user.ok_or_else(|| Failure::new(format!("the org has no user with the role {role}")))?;
        Ok(Person { username: user.username.clone(), password: user.password.clone(), decision })
    }

    /// What the sandbox org, which is not connected, would send to call the app.
    pub(crate) fn headers_of_an_unconnected_org(&self) -> Result<HeaderMap, Failure> {
        headers_of(&self.sandbox, self.facts.app_id)
    }

    /// What the connected org would send, with a signature that is not its own.
    pub(crate) fn forged_headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = headers_of(&self.org, self.facts.app_id)?;
        let context = headers.get(REQUEST_CONTEXT).map(HeaderValue::as_bytes).unwrap_or_default();
        let mut context = RequestContext::decode(context).map_err(|error| Failure::because(&error))?;
        context.auth = with_another_signature(&context.auth)?;
        let context = context.encode().map_err(|error| Failure::because(&error))?;
        let context = HeaderValue::try_from(context).map_err(|error| Failure::because(&error))?;
        headers.insert(REQUEST_CONTEXT, context);
        Ok(headers)
    }

    /// Waits until the app ends: with its exit code.
    pub(crate) async fn app_ended(&self) -> ExitStatus {
        ExitStatus::Child(self.mesh.wait_for_child().await.code())
    }

    /// Stops everything, the door first.
    pub(crate) async fn stop(self) {
        drop(self.tls);
        self.mesh.stop().await;
        tokio::join!(self.server.stop(), self.org.stop(), self.sandbox.stop());
    }
}

fn headers_of(org: &RunningOrg, app: AppUuid) -> Result<HeaderMap, Failure> {
    let admin = org.users().iter().find(|user| user.role == "admin");
    let admin = admin.ok_or_else(|| Failure::new("the org has no admin"))?;
    org.vouch(&admin.username, &app.to_string()).map_err(|error| Failure::because(&error))
}

/// The same header and claims under a signature of as many zeros.
fn with_another_signature(token: &SecretString) -> Result<SecretString, Failure> {
    let token = token.expose_secret();
    let (signed, signature) =
        token.rsplit_once('.').ok_or_else(|| Failure::new("the org's token is not a JWT"))?;
    Ok(SecretString::from(format!("{signed}.{}", "A".repeat(signature.len()))))
}

fn sim_error(error: SimError) -> StackError {
    start_error("org")(error.into())
}

fn visitor_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
}

fn sample_user(user: &applink_orgsim::SampleUser) -> SampleUser {
    SampleUser { username: user.username.clone(), password: user.password.clone(), role: user.role.clone() }
}

fn first_state(entropy: &Entropy) -> State {
    use base64::Engine as _;
    let master_key = base64::engine::general_purpose::STANDARD.encode(entropy.bytes::<32>());
    let key = || SecretString::from(entropy.url_token());
    let operator_key = format!("{}{}", applink_api::operator::API_KEY_PREFIX, entropy.url_token());
    State::new(master_key.into(), key(), operator_key.into())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn start_org(
    kind: OrgKind,
    port: u16,
    state: &State,
    dir: &StateDir,
) -> Result<RunningOrg, StackError> {
    let (name, folder, domain, part, flag) = match kind {
        OrgKind::Production => ("Acme", "org", "acme.example", "org", "--org-port"),
        OrgKind::Sandbox => {
            ("Acme Sandbox", "sandbox", "acme.example.sandbox", "sandbox org", "--sandbox-port")
        }
    };
    let mut config = OrgConfig::new(name, state.sim_key.clone());
    config.kind = kind;
    config.bind = loopback(port);
    config.state_dir = Some(dir.folder(folder)?);
    config.username_domain = domain.to_owned();
    Org::start(config).await.map_err(|error| match error {
        applink_orgsim::OrgsimError::AddressInUse { .. } => {
            StackError::PortTaken { part, port, flag, source: error.into() }
        }
        other => start_error(part)(other.into()),
    })
}

async fn open_tls(
    settings: &DevSettings,
    control_plane: SocketAddr,
    state: &mut State,
    dir: &StateDir,
) -> Result<Option<Tls>, StackError> {
    let Some(way) = settings.tls else { return Ok(None) };
    Ok(Some(Tls::open(way, control_plane, &mut state.tls, &mut state.ports, dir).await?))
}

async fn start_server(
    port: u16,
    state: &State,
    dir: &StateDir,
    org: &RunningOrg,
    sandbox: &RunningOrg,
    settings: &DevSettings,
) -> Result<RunningServer, StackError> {
    let mut config = server_config(port, state, dir, org, sandbox).map_err(start_error("control plane"))?;
    platform::mount(&mut config, &Entropy::system(), settings.tls.is_some());
    config.webhook_origins.clone_from(&settings.webhook_origins);
    Server::start(config).await.map_err(|error| {
        if error.is_port_taken() {
            StackError::PortTaken { part: "control plane", port, flag: "--port", source: error.into() }
        } else {
            start_error("control plane")(error.into())
        }
    })
}

fn server_config(
    port: u16,
    state: &State,
    dir: &StateDir,
    org: &RunningOrg,
    sandbox: &RunningOrg,
) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
    let database = format!("sqlite://{}", dir.join("applink.db").display());
    let master_key = applink_server::vault::MasterKey::parse(&state.master_key)?;
    let mut config = Config::local(database.parse()?, master_key);
    config.bind = loopback(port);
    config.access.operator_key = Some(state.operator_key.clone());
    for (login_host, org) in [(LOGIN, org), (TEST, sandbox)] {
        config.org_hosts = config.org_hosts.list(org.url())?.lead(login_host, org.url())?;
        let (client_id, secret) = org.oauth_client();
        for host in [login_host, org.url()] {
            config.oauth.clients.push(applink_server::config::LoginClient {
                login_host: Some(host.to_owned()),
                client_id: client_id.clone(),
                client_secrets: vec![secret.clone()],
            });
        }
    }
    Ok(config)
}

/// A page that reloads itself keeps a WebSocket open, and whoever stops a stack at a desk waits for it.
const DRAIN: Duration = Duration::from_secs(1);
const LOGIN: &str = "https://login.salesforce.com";
const TEST: &str = "https://test.salesforce.com";

/// The add-on of this folder: made on the first start, kept afterwards. The app's address follows the mesh's.
async fn provisioned(
    server: &RunningServer,
    state: &mut State,
    mesh_url: &str,
    settings: &DevSettings,
) -> Result<AddonState, StackError> {
    let operator = Client::builder(server.url())
        .api_key(state.operator_key.clone())
        .build()
        .map_err(StackError::Provision)?;
    let operator = operator.operator();
    if let Some(addon) = &mut state.addon {
        operator.set_app_url(&addon.app_name, mesh_url).await.map_err(StackError::Provision)?;
        if !is_good(&addon.api_key, addon.addon_id, server).await? {
            addon.api_key = new_key(&operator, addon.addon_id).await?;
        }
        return Ok(addon.clone());
    }
    let name = if settings.command.is_empty() { "sample-app" } else { "my-app" };
    let create = CreateApp { name: name.to_owned(), url: Some(mesh_url.to_owned()) };
    let app = operator.create_app(&create).await.map_err(StackError::Provision)?;
    let create = CreateAddon { app: app.name.clone(), attachment: None, name: None };
    let addon = operator.create_addon(&create).await.map_err(StackError::Provision)?;
    let api_key = new_key(&operator, addon.id).await?;
    let addon = AddonState {
        addon_id: addon.id,
        addon_name: addon.name,
        app_id: app.id,
        app_name: app.name,
        token: addon.token,
        api_key,
    };
    state.addon = Some(addon.clone());
    Ok(addon)
}

async fn new_key(operator: &Operator<'_>, addon: AddonId) -> Result<SecretString, StackError> {
    let create = CreateApiKey { owner: OWNER.to_owned(), scope: Scope::Manage, addon: Some(addon) };
    Ok(operator.create_key(&create).await.map_err(StackError::Provision)?.key)
}

/// Whether a key from an earlier start still counts: somebody may have revoked it.
async fn is_good(key: &SecretString, addon: AddonId, server: &RunningServer) -> Result<bool, StackError> {
    let url = format!("{}/addons/{addon}", server.url());
    let client = Client::builder(&url).api_key(key.clone()).build().map_err(StackError::Provision)?;
    match client.connections().list().await {
        Err(error) if error.status() == Some(401) => Ok(false),
        Err(error) => Err(StackError::Provision(error)),
        Ok(_) => Ok(true),
    }
}

async fn start_mesh(
    settings: &DevSettings,
    ports: Ports,
    addon: &AddonState,
    api_url: &str,
) -> Result<RunningMesh, StackError> {
    let config = mesh_config(settings, ports, addon, api_url).map_err(start_error("mesh"))?;
    let mesh = Mesh::start(config).await.map_err(|error| mesh_error(error, ports, settings))?;
    match tokio::time::timeout(APP_PATIENCE, mesh.app_ready()).await {
        Ok(true) => Ok(mesh),
        Ok(false) => Err(StackError::AppEnded { port: ports.app }),
        Err(_elapsed) => Err(StackError::AppSilent { port: ports.app }),
    }
}

/// For the sample its public routes; for an own app what its `heroku-applink-service-mesh.yaml` says.
fn mesh_config(
    settings: &DevSettings,
    ports: Ports,
    addon: &AddonState,
    api_url: &str,
) -> Result<MeshConfig, Box<dyn std::error::Error + Send + Sync>> {
    let app_id = addon.app_id.to_string();
    let app_port = ports.app.to_string();
    let environment = |name: &str| match name {
        "HEROKU_APPLINK_API_URL" => Some(api_url.to_owned()),
        "HEROKU_APPLINK_TOKEN" => Some(addon.token.expose_secret().to_owned()),
        "HEROKU_APP_ID" => Some(app_id.clone()),
        "APP_PORT" => Some(app_port.clone()),
        _ => None,
    };
    let yaml = if settings.command.is_empty() { None } else { mesh_yaml(&settings.directory)? };
    let sources = Sources { port: Some(ports.mesh), command: Vec::new(), environment: &environment, yaml };
    let mut config = MeshConfig::resolve(sources)?;
    if settings.command.is_empty() {
        let routes = if settings.data_cloud { CLICK_ROUTES.as_slice() } else { PUBLIC_ROUTES.as_slice() };
        let routes = routes.iter().map(|route| BypassRoute::parse(route));
        config.bypass.routes = routes.collect::<Result<_, _>>()?;
    }
    // One process is enough of a stack: the mesh serves on its runtime, and has no port for metrics.
    config.threads = 0;
    config.metrics = None;
    config.listen = Listen::At(loopback(ports.mesh));
    config.allowed_hosts = Some(AllowedHosts::loopback(ports.mesh));
    config.limits.drain = DRAIN;
    config.child = Some(child(settings, ports, addon, api_url)?);
    Ok(config)
}

/// The first of the file's names that exists.
fn mesh_yaml(directory: &Path) -> std::io::Result<Option<(String, String)>> {
    for name in YAML_NAMES {
        match std::fs::read_to_string(directory.join(name)) {
            Ok(text) => return Ok(Some((name.to_owned(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn mesh_error(error: applink_mesh::MeshStartError, ports: Ports, settings: &DevSettings) -> StackError {
    use applink_mesh::MeshStartError;
    match error {
        MeshStartError::PortTaken { .. } => StackError::PortTaken {
            part: "mesh",
            port: ports.mesh,
            flag: "--mesh-port",
            source: error.into(),
        },
        MeshStartError::AppPortTaken { .. } => {
            StackError::PortTaken { part: "app", port: ports.app, flag: "--app-port", source: error.into() }
        }
        MeshStartError::Child(source) => {
            let command = settings.command.first().cloned().unwrap_or_else(|| "applink sample".to_owned());
            StackError::Command { command, source: source.into() }
        }
        other => start_error("mesh")(other.into()),
    }
}

/// The sample is this very program once more, so that the mesh supervises a real process.
fn child(
    settings: &DevSettings,
    ports: Ports,
    addon: &AddonState,
    api_url: &str,
) -> Result<ChildConfig, StackError> {
    let own = settings.command.split_first();
    let (program, arguments): (OsString, Vec<OsString>) = match own {
        Some((program, arguments)) => (program.into(), arguments.iter().map(OsString::from).collect()),
        None if settings.data_cloud => (this_program()?.into(), vec!["sample".into(), "--data-cloud".into()]),
        None => (this_program()?.into(), vec!["sample".into()]),
    };
    let port = ports.app.to_string();
    let app_id = addon.app_id.to_string();
    let variables = [
        ("PORT", port.as_str()),
        ("APP_PORT", &port),
        ("HEROKU_APPLINK_API_URL", api_url),
        ("HEROKU_APPLINK_TOKEN", addon.token.expose_secret()),
        ("HEROKU_APP_ID", &app_id),
        ("HEROKU_APP_NAME", &addon.app_name),
        ("PORTAL_AUTHORIZATION", AUTHORIZATION),
    ];
    let environment = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Ok(ChildConfig {
        program,
        arguments,
        environment: environment.into(),
        directory: None,
        output: ChildOutput::Lines(std::sync::Arc::new(|line| {
            crate::printer::Printer::new().note(&format!("app | {}", line.text))
        })),
    })
}

fn this_program() -> Result<PathBuf, StackError> {
    std::env::current_exe()
        .map_err(|source| StackError::Command { command: "applink".to_owned(), source: source.into() })
}
