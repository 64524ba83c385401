//! Configuration, read once: variables ([`crate::env_vars`]) over a TOML file over defaults. Everything that is
//! wrong is reported at once.
//!
//! The file has the same settings:
//!
//! ```toml
//! database_url = "postgres://applink@db/applink"
//! bind = "0.0.0.0:7700"
//! public_url = "https://applink.example"
//! master_key_file = "/run/secrets/applink-master-key"
//! org_origins = []
//! webhook_origins = []
//!
//! [oauth]
//! confirm = "always"
//!
//! [[oauth.clients]]            # one per login host; without login_host it serves the others
//! login_host = "https://test.salesforce.com"
//! client_id = "3MVG9…"
//! client_secrets = ["…"]       # tried in order while one is being rotated
//!
//! [limits]                     # 0 is no limit
//! management = 4500            # calls an hour, per add-on
//! run_time = 600               # token hand-outs and calls of the mesh a second, per add-on
//! log_in = 120                 # steps of a log-in a minute, per network address
//! forwarded_for = false        # behind a router that appends the caller's address
//!
//! [heroku]                     # being a Heroku add-on; see `applink admin manifest`
//! slug = "my-applink"
//! password = "…"
//! client_secret = "…"
//! plans = ["free"]             # every plan when absent
//!
//! [oidc]                       # signing in to the dashboard, in a build with the feature `oidc`
//! issuer = "https://id.acme.example"
//! client_id = "applink"
//! client_secret = "…"          # or client_secret_file
//! access = ["group:platform=manage", "email:ann@acme.example=view@applink-regular-78506"]
//!
//! [login_host_map]
//! "https://login.salesforce.com" = "http://127.0.0.1:7701"
//! ```

mod file;
mod openid;
mod read;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_salesforce::OrgHosts;
use applink_salesforce::oauth::OAuthClient;
use secrecy::SecretString;
use url::Url;

use crate::audit::recorder::Reads;
use crate::db::DatabaseUrl;
use crate::limits::LimitsConfig;
use crate::openid::OpenIdConfig;
use crate::platform::PlatformConfig;
use crate::provider::ProviderConfig;
use crate::spool::outage::OutageConfig;
use crate::spool::{DEFAULT_LIMIT, SpoolConfig};
use crate::tokens::points::Points;
use crate::vault::{KeySource, MasterKey, MasterKeys};

/// How to make a master key; the sentence a start without one ends with.
pub const MASTER_KEY_ADVICE: &str = "make one with `openssl rand -base64 32`, set it as APPLINK_MASTER_KEY (or put it in a file named by APPLINK_MASTER_KEY_FILE), and keep a copy elsewhere: without it the database can't be read";

/// Everything a control plane needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the data is.
    pub database_url: DatabaseUrl,
    /// Where to listen; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Under which URL others reach us; derived from the bound address when absent.
    pub public_url: Option<Url>,
    /// What seals every secret.
    pub master_keys: MasterKeys,
    /// Where further master keys come from while it runs.
    pub key_source: KeySource,
    /// The browser round trip.
    pub oauth: OAuthConfig,
    /// Whom we may call as an org, and where log-ins are led.
    pub org_hosts: OrgHosts,
    /// Who may change things.
    pub access: AccessConfig,
    /// The stand-in for the Heroku Platform API, where it is to be mounted. Nothing in the environment or the file
    /// asks for it: `applink dev` does.
    pub platform: Option<PlatformConfig>,
    /// How often somebody may call.
    pub limits: LimitsConfig,
    /// What happens at certain points of a refresh: nothing, outside of tests.
    pub points: Points,
    /// Origins of the operator's own network that webhooks may go to.
    pub webhook_origins: Vec<Url>,
    /// How often a live grant is looked at, to notice its death before an app does.
    pub health_check_period: Duration,
    /// Being a Heroku add-on, where that is asked for.
    pub provider: Option<ProviderConfig>,
    /// An OpenID provider that signs people in to the dashboard.
    pub openid: Option<OpenIdConfig>,
    /// How long an access token is taken to live when nothing better is known.
    pub token_lifetime: Duration,
    /// What keeps audit rows and refresh answers while the database is away.
    pub spool: SpoolConfig,
    /// How reads are recorded in the audit log.
    pub audit_reads: Reads,
    /// How long hand-outs go on without the database.
    pub outage: OutageConfig,
    /// Whether reconcilers run by themselves.
    pub reconciling: Reconciling,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where random bytes come from.
    pub entropy: Entropy,
}

/// Whether reconcilers run by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reconciling {
    /// Periodically and when nudged.
    #[default]
    Running,
    /// Only when somebody runs one ([`crate::reconcilers::ALL`]): for tests that step through.
    ByHand,
}

/// The browser round trip.
#[derive(Clone, Debug, Default)]
pub struct OAuthConfig {
    /// Our external client apps.
    pub clients: Vec<LoginClient>,
    /// Whether a person confirms before tokens are fetched.
    pub confirm: Confirm,
    /// How long a person has to log in.
    pub timeout: ConnectTimeout,
    /// Whether orgs replace refresh tokens as they are used.
    pub rotation: RotationSetting,
}

/// Whether orgs replace refresh tokens as they are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RotationSetting {
    /// Each grant's answers tell.
    #[default]
    Learn,
    /// They don't: a refresh whose answer got lost is simply sent again.
    Off,
    /// They do.
    On,
}

/// How long a person has to log in at the org.
#[derive(Clone, Copy, Debug)]
pub struct ConnectTimeout(pub Duration);

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(600))
    }
}

/// Whether a person confirms before an org's tokens are fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Confirm {
    /// A page with a button. Otherwise anyone could send an admin a link and receive that org's tokens.
    #[default]
    Always,
    /// At once. For a machine with one user.
    Never,
}

/// One of our external client apps, and the login host it is for.
#[derive(Clone, Debug)]
pub struct LoginClient {
    /// The login host's origin; none serves every other host.
    pub login_host: Option<String>,
    /// The consumer key.
    pub client_id: String,
    /// Consumer secrets, tried in order while one is being rotated; may be empty.
    pub client_secrets: Vec<SecretString>,
}

impl LoginClient {
    fn with_secret(&self, secret: Option<&SecretString>) -> OAuthClient {
        OAuthClient { consumer_key: self.client_id.clone(), consumer_secret: secret.cloned() }
    }
}

impl OAuthConfig {
    /// The client for a login host: its own, else the one that serves every other.
    pub fn client_for(&self, login_origin: &str) -> Option<&LoginClient> {
        let own = self.clients.iter().find(|client| client.login_host.as_deref() == Some(login_origin));
        own.or_else(|| self.clients.iter().find(|client| client.login_host.is_none()))
    }

    /// The client with a consumer key, as stored with a grant, once per secret in the order they are tried. A client
    /// that is configured no more, or has no secret, is called without one.
    pub fn client_secrets(&self, client_id: &str) -> ClientSecrets {
        let Some(client) = self.clients.iter().find(|client| client.client_id == client_id) else {
            let client = OAuthClient { consumer_key: client_id.to_owned(), consumer_secret: None };
            return ClientSecrets { first: client, others: Vec::new() };
        };
        let mut secrets = client.client_secrets.iter();
        let first = client.with_secret(secrets.next());
        ClientSecrets { first, others: secrets.map(|secret| client.with_secret(Some(secret))).collect() }
    }
}

/// A client with each of its secrets, in the order they are tried.
#[derive(Clone, Debug)]
pub struct ClientSecrets {
    /// With the first secret, or none.
    pub first: OAuthClient,
    /// With the others.
    pub others: Vec<OAuthClient>,
}

/// Who may change things.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// A first operator key.
    pub operator_key: Option<SecretString>,
    /// What Heroku signs single sign-on with.
    pub sso_salt: Option<SecretString>,
    /// Whether a bare add-on token may change things.
    pub allow_token_management: bool,
}

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The variable or the path in the file.
    pub setting: String,
    /// What is wrong and how to mend it. Never the value of a secret.
    pub message: String,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} problem(s): {}", .0.len(), listing(.0))]
pub struct ConfigError(pub Vec<ConfigProblem>);

fn listing(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ConfigProblem::to_string).collect();
    lines.join("; ")
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

impl Config {
    /// Reads variables (through `env`) and the text of the TOML file, when there is one.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem at once.
    pub fn load(env: &dyn Fn(&str) -> Option<String>, file: Option<&str>) -> Result<Self, ConfigError> {
        read::load(env, file)
    }

    /// Settings for a server of one's own process (`applink dev`, tests): loopback on a free port, nobody asked to
    /// confirm, nothing connected to yet.
    pub fn local(database_url: DatabaseUrl, master_key: MasterKey) -> Self {
        let folder = database_url.sqlite_path().map(spool_beside);
        Self {
            database_url,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            master_keys: MasterKeys::new(master_key, Vec::new()),
            key_source: KeySource::Fixed,
            oauth: OAuthConfig { confirm: Confirm::Never, ..OAuthConfig::default() },
            org_hosts: OrgHosts::salesforce(),
            access: AccessConfig::default(),
            platform: None,
            limits: LimitsConfig::default(),
            points: Points::default(),
            webhook_origins: Vec::new(),
            health_check_period: DEFAULT_HEALTH_CHECK_PERIOD,
            provider: None,
            openid: None,
            token_lifetime: DEFAULT_TOKEN_LIFETIME,
            spool: SpoolConfig { folder, limit: DEFAULT_LIMIT },
            audit_reads: Reads::Each,
            outage: OutageConfig::default(),
            reconciling: Reconciling::Running,
            clock: Clock::system(),
            entropy: Entropy::system(),
        }
    }
}

/// Beside a SQLite file.
pub(crate) fn spool_beside(database: PathBuf) -> PathBuf {
    let mut name = database.into_os_string();
    name.push(".spool");
    PathBuf::from(name)
}

/// The shortest session timeout an org can be set to is 15 minutes.
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(900);

/// Four looks a day: what dies overnight is known in the morning.
pub const DEFAULT_HEALTH_CHECK_PERIOD: Duration = Duration::from_secs(6 * 3600);
