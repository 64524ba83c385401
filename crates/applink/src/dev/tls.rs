//! `applink dev --tls`: the way in for the stock Heroku CLI, publish included.
//!
//! The CLI calls `https://api.heroku.com`, and for the AppLink API the *host name* in the app's `…_API_URL`, on port 443
//! and over TLS whatever that URL says. So:
//!
//! 1. a certificate for those names is issued by an authority made for this state folder ([`identity`]);
//! 2. a TLS port in front of the control plane has it ([`door`]);
//! 3. a proxy leads the CLI's connections to those names there, and no others anywhere ([`proxy`]); or, with
//!    `--bind-443`, the TLS port is 443 itself and the CLI is told the address.

mod door;
pub(crate) mod identity;
mod proxy;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use applink_api::clock::Clock;
use thiserror::Error;
use tokio::net::TcpListener;

use super::ports::again;
use super::state_dir::{Ports, StateDir, StateError};
use identity::Identity;
use tunnel::Listening;

/// Names of Heroku's the stock CLI calls, which the control plane answers to meanwhile.
pub(super) const HEROKU_HOSTS: [&str; 2] = ["api.heroku.com", "particleboard.heroku.com"];
/// Names of our own: the host in the app's `…_API_URL`, and its other spelling.
const OWN_HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];
/// The authority's certificate, below the state folder.
const CA_FILE: &str = "ca.pem";
const HTTPS: u16 = 443;

/// How the CLI finds the TLS port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Through a proxy on this port (0 is any free one), by Heroku's own names.
    Proxy(u16),
    /// It is port 443 of this machine.
    Port443,
}

/// There is no way in.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error("no certificate can be made")]
    Issue(#[source] rcgen::Error),
    #[error("the certificate of this folder can't be used")]
    Use(#[source] rustls::Error),
    #[error("port {port} of the {part} can't be listened on")]
    Bind { part: &'static str, port: u16, source: std::io::Error },
    #[error(transparent)]
    State(#[from] StateError),
}

impl TlsError {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bind { port: HTTPS, .. } => Some(
                "port 443 takes root or another program's leave (Linux: sysctl net.ipv4.ip_unprivileged_port_start); --tls alone needs neither",
            ),
            Self::Bind { .. } => Some("choose another with --proxy-port, or 0 for any free one"),
            Self::Use(_) => Some("start over with --fresh"),
            Self::Issue(_) => None,
            Self::State(error) => Some(error.hint()),
        }
    }
}

/// The open way in; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Tls {
    door: Listening,
    proxy: Option<Listening>,
    ca_file: PathBuf,
}

impl Tls {
    /// Opens it in front of the control plane, with the certificate of the last start while that is good.
    pub(crate) async fn open(
        way: Way,
        control_plane: SocketAddr,
        known: &mut Option<Identity>,
        ports: &mut Ports,
        dir: &StateDir,
    ) -> Result<Self, TlsError> {
        let identity = current(known)?;
        dir.write(CA_FILE, identity.ca_pem.as_bytes())?;
        let ca_file = std::path::absolute(dir.join(CA_FILE)).unwrap_or_else(|_| dir.join(CA_FILE));
        let config = identity.server_config().map_err(TlsError::Use)?;
        let door = match way {
            Way::Proxy(_) => again(0, ports.tls),
            Way::Port443 => HTTPS,
        };
        let door = door::open(bind("TLS door", door).await?, config, control_plane);
        let proxy = match way {
            Way::Proxy(asked) => {
                let listener = bind("proxy", again(asked, ports.proxy)).await?;
                Some(proxy::open(listener, &hosts(), door.addr))
            }
            Way::Port443 => None,
        };
        ports.tls = door.addr.port();
        ports.proxy = proxy.as_ref().map_or(0, |proxy| proxy.addr.port());
        Ok(Self { door, proxy, ca_file })
    }

    /// What a person and a script need to know.
    pub(crate) fn facts(&self, env_file: PathBuf) -> TlsFacts {
        TlsFacts {
            url: match self.door.addr.port() {
                HTTPS => format!("https://{}", self.door.addr.ip()),
                _ => format!("https://{}", self.door.addr),
            },
            proxy_url: self.proxy.as_ref().map(|proxy| format!("http://{}", proxy.addr)),
            ca_file: self.ca_file.clone(),
            env_file,
        }
    }
}

/// Where the way in is.
#[derive(Clone, Debug)]
pub(crate) struct TlsFacts {
    /// The TLS port.
    pub(crate) url: String,
    /// The proxy, when there is one.
    pub(crate) proxy_url: Option<String>,
    /// The authority's certificate.
    pub(crate) ca_file: PathBuf,
    /// The environment of the stock CLI.
    pub(crate) env_file: PathBuf,
}

/// Every name the certificate is for and the proxy leads.
fn hosts() -> Vec<String> {
    HEROKU_HOSTS.iter().chain(&OWN_HOSTS).map(ToString::to_string).collect()
}

fn current(known: &mut Option<Identity>) -> Result<&Identity, TlsError> {
    let (names, now) = (hosts(), Clock::system().now());
    let good = known.take().filter(|identity| identity.is_good(&names, now));
    let identity = good.map_or_else(|| Identity::issue(&names, now), Ok).map_err(TlsError::Issue)?;
    Ok(known.insert(identity))
}

async fn bind(part: &'static str, port: u16) -> Result<TcpListener, TlsError> {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).await.map_err(|source| TlsError::Bind { part, port, source })
}
