//! How a mesh is set up, whoever starts it.
//!
//! The binary fills [`MeshConfig`] from arguments, environment and YAML ([`MeshConfig::resolve`]); `applink dev` and
//! tests fill it by hand from [`MeshConfig::new`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::ids::AppUuid;
use http::uri::Authority;
use secrecy::SecretString;

use crate::bypass::{BypassRules, HealthAnswer, HealthRoute};
use crate::child::ChildConfig;
use crate::path::PathRule;
use crate::record::access::AccessLog;

mod allowed_hosts;
mod arguments;
mod environment;
mod resolve;
mod trust;
mod yaml;

pub use allowed_hosts::AllowedHosts;
pub use arguments::{Arguments, ArgumentsError, USAGE};
pub use environment::{EnvironmentError, VARIABLES};
pub(crate) use environment::{RELOAD_SIGNAL, SECRET};
pub use resolve::{ConfigError, Sources, YAML_NAMES};
pub use trust::{TrustSettings, VerifyRule};
pub use yaml::YamlError;

/// The public mesh's default.
pub const DEFAULT_PORT: u16 = 8070;
/// The public mesh's default.
pub const DEFAULT_APP_PORT: u16 = 3000;
/// Where metrics are served, on loopback, unless another port is set or it is taken.
pub const DEFAULT_METRICS_PORT: u16 = 19_070;
/// The public mesh's default.
pub const DEFAULT_HEALTH_PATH: &str = "/healthcheck";

/// Everything a mesh needs to know.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Where it listens.
    pub listen: Listen,
    /// Where the app listens.
    pub app: AppAddress,
    /// The control plane's URL, up to and including the add-on (`HEROKU_APPLINK_API_URL`).
    pub api_url: String,
    /// The add-on's token (`HEROKU_APPLINK_TOKEN`).
    pub token: SecretString,
    /// This app (`HEROKU_APP_ID`). Calls meant for another app are then refused before anybody is asked.
    pub app_uuid: Option<AppUuid>,
    /// Which paths need no authentication.
    pub bypass: BypassRules,
    /// What verified calls may have in their path.
    pub paths: PathRule,
    /// How the context's id must relate to the request's.
    pub request_id: RequestIdRule,
    /// Who verifies the orgs' tokens.
    pub trust: TrustSettings,
    /// Whether a token with an id may be used twice here.
    pub replay: ReplayRule,
    /// What counts as the control plane's yes.
    pub verdicts: VerdictRule,
    /// Which hosts requests may be for; others, and requests from web pages of other sites, are refused. `None`, the
    /// default, is any: who runs an app may lead any name to it. For a mesh on a developer's own machine.
    pub allowed_hosts: Option<AllowedHosts>,
    /// Which `Host` the app sees.
    pub host: HostRule,
    /// Whether `x-forwarded-*` of the caller are believed.
    pub forwarded: ForwardedRule,
    /// What the mesh and the app share (`APPLINK_MESH_SECRET`). Made at every start when a child is given and this
    /// is `None`; without a child and without this the app can't tell whether a request came through the mesh.
    pub mesh_secret: Option<SecretString>,
    /// Bounds.
    pub limits: Limits,
    /// Threads that serve connections; with 0 the runtime it is started on does.
    pub threads: usize,
    /// Where metrics are served, when they are.
    pub metrics: Option<SocketAddr>,
    /// How often the control plane is told what happened, when it is.
    pub report_every: Option<Duration>,
    /// Where the line of each request goes.
    pub access_log: AccessLog,
    /// Where traces go, when they go anywhere.
    #[cfg(feature = "otel")]
    pub traces: Option<crate::traces::TraceSettings>,
    /// The app's command, when the mesh starts the app.
    pub child: Option<ChildConfig>,
    /// The time.
    pub clock: Clock,
    /// Random bytes.
    pub entropy: Entropy,
}

impl MeshConfig {
    /// The defaults: any free loopback port, app on 127.0.0.1:3000, no child, `/healthcheck` answered by the mesh.
    pub fn new(api_url: impl Into<String>, token: SecretString) -> Self {
        let health = HealthRoute { path: DEFAULT_HEALTH_PATH.to_owned(), answer: HealthAnswer::Mesh };
        Self {
            listen: Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            app: AppAddress::loopback(DEFAULT_APP_PORT),
            api_url: api_url.into(),
            token,
            app_uuid: None,
            bypass: BypassRules { health: Some(health), ..BypassRules::default() },
            paths: PathRule::default(),
            request_id: RequestIdRule::default(),
            trust: TrustSettings::default(),
            replay: ReplayRule::default(),
            verdicts: VerdictRule::default(),
            allowed_hosts: None,
            host: HostRule::default(),
            forwarded: ForwardedRule::default(),
            mesh_secret: None,
            limits: Limits::default(),
            threads: 0,
            metrics: None,
            report_every: Some(Duration::from_secs(5)),
            access_log: AccessLog::default(),
            #[cfg(feature = "otel")]
            traces: None,
            child: None,
            clock: Clock::system(),
            entropy: Entropy::system(),
        }
    }
}

/// Where the mesh listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This port of every interface, IPv6 and IPv4, as the public mesh.
    Everywhere(u16),
    /// This address only.
    At(SocketAddr),
}

impl Listen {
    /// The addresses to try, in order: a machine without IPv6 has only the second.
    pub(crate) fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Everywhere(port) => vec![
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            ],
        }
    }
}

/// Where the app listens; plain HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppAddress {
    authority: Authority,
    port: u16,
}

/// `app.host` is not an address the mesh can forward to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host of an app: write it like http://127.0.0.1, without port or path")]
pub struct AppAddressError(String);

impl AppAddress {
    /// An app on this machine.
    pub fn loopback(port: u16) -> Self {
        let authority = Authority::try_from(format!("127.0.0.1:{port}"))
            .unwrap_or_else(|_| Authority::from_static("127.0.0.1"));
        Self { authority, port }
    }

    /// `host` as in the YAML file (`http://127.0.0.1`; without a scheme it is read as one).
    ///
    /// # Errors
    /// [`AppAddressError`] for another scheme, a path, a port or credentials.
    pub fn parse(host: &str, port: u16) -> Result<Self, AppAddressError> {
        let wrong = || AppAddressError(host.to_owned());
        let name = host.strip_prefix("http://").unwrap_or(host).trim_end_matches('/');
        let authority = Authority::try_from(format!("{name}:{port}")).map_err(|_| wrong())?;
        let plain = !name.is_empty() && authority.port_u16() == Some(port) && authority.host() == name;
        if plain { Ok(Self { authority, port }) } else { Err(wrong()) }
    }

    /// `host:port`.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Is the app on this machine?
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// How the id inside `x-request-context` must relate to `x-request-id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestIdRule {
    /// They are equal.
    #[default]
    Equal,
    /// The id occurs somewhere in the request id, as in the public mesh.
    Contains,
}

impl RequestIdRule {
    pub(crate) fn accepts(self, context_id: &str, request_id: &str) -> bool {
        match self {
            Self::Equal => context_id == request_id,
            Self::Contains => request_id.contains(context_id),
        }
    }
}

/// Whether a token that carries an id may be used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayRule {
    /// Not at this mesh, while the token lives.
    #[default]
    Local,
    /// Not at any mesh of this add-on; the control plane is told about each token.
    Shared,
    /// As often as it lives.
    Off,
}

/// What counts as the control plane's yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictRule {
    /// A 200 that says what was verified.
    #[default]
    RequireVerdict,
    /// Any 200, for control planes that say no more. The calling user is then not checked.
    AcceptBare,
}

/// Which `Host` the app sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostRule {
    /// The app's own address, as in the public mesh; the original is in `x-forwarded-host`.
    #[default]
    App,
    /// The one the caller sent.
    Preserve,
}

/// What happens to `x-forwarded-for`, `-proto`, `-port` and `forwarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedRule {
    /// Set from the connection: whoever connects is the caller.
    #[default]
    Overwrite,
    /// Passed on: whoever connects is a router that sets them, as on Heroku.
    Trust,
}

/// Bounds, with safe defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request to the end of its headers. 10 s: a mobile network's worst case; longer
    /// means somebody holds connections open on purpose.
    pub header: Duration,
    /// A connection without a request on it. 60 s: as the usual load balancers in front.
    pub idle: Duration,
    /// Between two pieces of a request's body. 60 s.
    pub body: Duration,
    /// From the last piece of a request's body to the head of the app's response. 125 s: Apex waits at most 120.
    pub response: Duration,
    /// The largest body of a data action, in bytes. 1 MiB; it is held in memory while its signature is checked.
    pub data_action_body: usize,
    /// After a stop signal, how long new connections are still served, while the health route already says no. 0;
    /// some seconds where a load balancer learns of the end only from the health route (Kubernetes).
    pub grace: Duration,
    /// After that, how long requests that are being answered, and tunnels (WebSocket), may take before they are closed and
    /// the app is told. 10 s.
    pub drain: Duration,
    /// While the app is exchanged for a new one, how long a request waits for it. 30 s, then 503.
    pub reload: Duration,
    /// After the app was told to stop, how long it may take before it is killed. 15 s: with `drain` inside the 30 s
    /// that Heroku and Kubernetes give.
    pub child_stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(60),
            response: Duration::from_secs(125),
            data_action_body: 1024 * 1024,
            grace: Duration::ZERO,
            drain: Duration::from_secs(10),
            reload: Duration::from_secs(30),
            child_stop: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_hosts_are_plain_http_names() {
        for host in ["http://127.0.0.1", "127.0.0.1", "http://localhost/", "http://[::1]", "app.internal"] {
            let app = AppAddress::parse(host, 3000).unwrap();
            assert_eq!(app.authority().port_u16(), Some(3000), "{host}");
        }
        for host in ["https://app", "http://app:80", "http://u@app", "http://app/path", "", "a b"] {
            assert!(AppAddress::parse(host, 3000).is_err(), "{host}");
        }
        assert!(AppAddress::parse("http://[::1]", 1).unwrap().is_loopback());
        assert!(!AppAddress::parse("http://10.0.0.1", 1).unwrap().is_loopback());
    }

    #[test]
    fn context_ids_are_equal_or_contained() {
        assert!(RequestIdRule::Equal.accepts("r-1", "r-1"));
        assert!(!RequestIdRule::Equal.accepts("r", "r-1"));
        assert!(RequestIdRule::Contains.accepts("r", "r-1"));
    }
}
