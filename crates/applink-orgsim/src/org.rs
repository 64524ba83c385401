//! Starting and stopping an org.

mod server;
mod setup;
mod state_dir;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clock::Clock;
use crate::data_cloud;
use crate::entropy::Entropy;
use crate::error::OrgsimError;
use crate::invoke::{sweep, vouch};
use crate::keys;
use crate::metadata::worker;
use crate::oauth::clients;
use crate::oauth::faults::{TokenCounts, TokenFault};
use crate::rest;
use crate::state::OrgState;

/// The newest API version an org serves unless told otherwise: Spring '26.
pub const DEFAULT_API_VERSION: u32 = 66;
/// The oldest API version an org serves.
pub const OLDEST_API_VERSION: u32 = 58;

/// What kind of org it is: which login host leads to it, and what `Organization.IsSandbox` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrgKind {
    /// Reached by way of `login.salesforce.com`.
    Production,
    /// Reached by way of `test.salesforce.com`.
    Sandbox,
}

impl OrgKind {
    /// `production` or `sandbox`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Production => "Production",
            Self::Sandbox => "Sandbox",
        }
    }
}

/// Whether deployments and bulk jobs run by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeployMode {
    /// Background workers move them on.
    Automatic,
    /// Each `POST /_sim/deployments/step` (or `jobs/step`) moves the oldest on by one state; for tests.
    Stepped,
}

/// How an org's Data Cloud behaves.
#[derive(Debug, Clone)]
pub struct DataCloudSettings {
    /// Rows of one batch of a query's result.
    pub batch_rows: usize,
    /// How long a tenant's token lives.
    pub token_seconds: i64,
    /// Whether the token exchange names the tenant's host without its scheme, as real ones do.
    pub bare_tenant_host: bool,
    /// Whether a data action target that a data action uses can't be deleted. What real ones do is not public.
    pub keeps_used_targets: bool,
}

impl Default for DataCloudSettings {
    fn default() -> Self {
        Self { batch_rows: 2_000, token_seconds: 7_200, bare_tenant_host: true, keeps_used_targets: false }
    }
}

/// How an org is to be started.
#[derive(Debug, Clone)]
pub struct OrgConfig {
    /// The org's name, as its pages show it.
    pub name: String,
    /// Production or sandbox.
    pub kind: OrgKind,
    /// Where to listen; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Allows an address that other machines reach, and asks for a `sim_key` of 32 characters or more.
    pub expose: bool,
    /// The URL clients know the org by, when it is not `http://<bind>`: `http` or `https`, host and port. Needed
    /// when listening on every address.
    pub public_url: Option<Url>,
    /// Where the org is kept (created with mode 0700); in memory when there is none.
    pub state_dir: Option<PathBuf>,
    /// The org's time.
    pub clock: Clock,
    /// The org's randomness.
    pub entropy: Entropy,
    /// The key of `/_sim`.
    pub sim_key: SecretString,
    /// What usernames end in behind `@`.
    pub username_domain: String,
    /// Callback URLs of the seeded web-server client, besides `/oauth/callback` on any loopback port.
    pub callbacks: Vec<String>,
    /// After how long without use a session ends.
    pub session_timeout: Duration,
    /// How long an app may take to answer; an org waits 120 seconds.
    pub callout_timeout: Duration,
    /// Whether deployments run by themselves.
    pub deploy_mode: DeployMode,
    /// The newest API version served, 58 to 66 and above.
    pub api_version: u32,
    /// How its Data Cloud behaves.
    pub data_cloud: DataCloudSettings,
}

impl OrgConfig {
    /// A production org on a free loopback port, in memory, with the machine's clock and randomness.
    pub fn new(name: impl Into<String>, sim_key: SecretString) -> Self {
        Self {
            name: name.into(),
            kind: OrgKind::Production,
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            expose: false,
            public_url: None,
            state_dir: None,
            clock: Clock::system(),
            entropy: Entropy::system(),
            sim_key,
            username_domain: "acme.example".to_owned(),
            callbacks: Vec::new(),
            session_timeout: Duration::from_secs(2 * 60 * 60),
            callout_timeout: Duration::from_secs(120),
            deploy_mode: DeployMode::Automatic,
            api_version: DEFAULT_API_VERSION,
            data_cloud: DataCloudSettings::default(),
        }
    }
}

/// A sample user.
#[derive(Debug, Clone)]
pub struct SampleUser {
    /// `admin`, `sales`, `intern` or `integration`.
    pub role: String,
    /// Username.
    pub username: String,
    /// Password, generated with the org.
    pub password: SecretString,
    /// 18-character id.
    pub user_id: String,
}

/// Starts orgs.
#[derive(Debug)]
pub struct Org;

/// An org that is running. Dropping it stops it; [`RunningOrg::stop`] waits for that.
#[derive(Debug)]
pub struct RunningOrg {
    state: OrgState,
    address: SocketAddr,
    setup: setup::SetUp,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The key of `/_sim` gives every right in the org, so where others reach it, it must not be guessable.
const MIN_EXPOSED_KEY_LENGTH: usize = 32;

/// How long stopping waits for requests that are being answered.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

impl Org {
    /// Starts an org and answers when it can be called.
    ///
    /// # Errors
    /// When the address is taken or not loopback without [`OrgConfig::expose`], the public URL or key is not fit for
    /// that, or the state directory is unusable, in use or newer.
    pub async fn start(config: OrgConfig) -> Result<RunningOrg, OrgsimError> {
        check_exposure(&config)?;
        let listener = bind(&config).await?;
        let address =
            listener.local_addr().map_err(|source| OrgsimError::Bind { address: config.bind, source })?;
        let base_url = config.public_url.clone().unwrap_or_else(|| base_url(address));
        let (state, setup) = setup::set_up(config, base_url).await?;
        sweep::sweep(state.db(), true)?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        if state.limits().deploy_mode == DeployMode::Automatic {
            tasks.spawn(worker::work(state.clone(), stop.clone()));
            tasks.spawn(rest::bulk_worker(state.clone(), stop.clone()));
            tasks.spawn(data_cloud::work(state.clone(), stop.clone()));
        }
        tasks.spawn(sweep::work(state.clone(), stop.clone()));
        tasks.spawn(server::serve(listener, state.clone(), stop.clone()));
        tasks.close();
        tracing::info!(org = state.org_id(), url = state.base(), "org is up");
        Ok(RunningOrg { state, address, setup, stop, tasks })
    }
}

/// Other machines are let in on purpose only, by a URL that works for them and with a key they can't guess.
fn check_exposure(config: &OrgConfig) -> Result<(), OrgsimError> {
    let address = config.bind;
    if !address.ip().is_loopback() && !config.expose {
        return Err(OrgsimError::NotLoopback { address });
    }
    if address.ip().is_unspecified() && config.public_url.is_none() {
        return Err(OrgsimError::NoPublicUrl { address });
    }
    if let Some(url) = config.public_url.as_ref().filter(|url| !is_origin(url)) {
        return Err(OrgsimError::BadPublicUrl { url: url.clone() });
    }
    if config.expose && config.sim_key.expose_secret().len() < MIN_EXPOSED_KEY_LENGTH {
        return Err(OrgsimError::WeakSimKey);
    }
    Ok(())
}

/// Whether a URL is scheme, host and port alone.
fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

async fn bind(config: &OrgConfig) -> Result<TcpListener, OrgsimError> {
    let address = config.bind;
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => OrgsimError::AddressInUse { address },
        _ => OrgsimError::Bind { address, source },
    })
}

/// `http://<address>`.
fn base_url(address: SocketAddr) -> Url {
    let text = format!("http://{address}");
    #[expect(clippy::expect_used, reason = "a socket address always makes a URL")]
    Url::parse(&text).expect("a socket address makes a URL")
}

impl RunningOrg {
    /// The org's URL without a trailing slash.
    pub fn url(&self) -> &str {
        self.state.base()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// 18-character org id.
    pub fn org_id(&self) -> &str {
        self.state.org_id()
    }

    /// Production or sandbox.
    pub fn kind(&self) -> OrgKind {
        self.state.identity().kind
    }

    /// The sample users with their passwords.
    pub fn users(&self) -> &[SampleUser] {
        &self.setup.users
    }

    /// Consumer key and secret of the seeded web-server client, "AppLink Control Plane".
    pub fn oauth_client(&self) -> (String, SecretString) {
        (self.setup.control_plane_key.clone(), self.setup.control_plane_secret.clone())
    }

    /// Consumer key of the seeded JWT bearer client, "AppLink JWT"; see [`RunningOrg::register_jwt_key`].
    pub fn jwt_client(&self) -> String {
        self.setup.jwt_key.clone()
    }

    /// The key of `/_sim`.
    pub fn sim_key(&self) -> &SecretString {
        self.state.sim_key()
    }

    /// Gives the JWT bearer client the certificate or public key (PEM) its assertions are verified with.
    ///
    /// # Errors
    /// When the PEM is neither, or is no RSA key.
    pub fn register_jwt_key(&self, pem: &str) -> Result<(), OrgsimError> {
        let public_key = keys::public_key_from_pem(pem)?;
        let saved = self.state.db().write(|tx| {
            let Some(mut client) = clients::find(tx, &self.setup.jwt_key)? else { return Ok(()) };
            client.public_key = Some(public_key);
            clients::save(tx, &client)
        });
        saved.map_err(|failure| OrgsimError::SignIn(Box::new(failure)))
    }

    /// The next request with a refresh token or an assertion suffers this fault, after those asked for before it.
    pub fn push_token_fault(&self, fault: TokenFault) {
        self.state.token_desk().push(fault);
    }

    /// What the token endpoint was asked and did since the org started.
    pub fn token_counts(&self) -> TokenCounts {
        self.state.token_desk().counts()
    }

    /// The headers with which this org would call an app as a user: its word about who calls, signed now. The
    /// session in them was never opened. For trying what a mesh makes of an org it does not know.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn vouch(&self, username: &str, app_uuid: &str) -> Result<http::HeaderMap, OrgsimError> {
        vouch::headers(&self.state, username, app_uuid)
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &OrgState {
        &self.state
    }

    /// Stops listening, lets requests that are being answered finish for a few seconds, and closes the database.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                org = self.state.org_id(),
                "the org stopped while requests were still being answered"
            );
        }
    }
}

impl Drop for RunningOrg {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
