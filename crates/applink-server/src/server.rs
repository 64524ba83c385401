//! Starting and stopping a control plane, in `serve` or inside another process.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use applink_salesforce::OrgEgress;
use applink_salesforce::egress::{EgressError, EgressSettings};
use applink_salesforce::oauth::OAuth;
use axum::extract::Request;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapRequest;
use url::Url;

use crate::app::{App, Parts};
use crate::audit::{self, CHAIN_PURPOSE, ChainKeys, Journal, Recorder};
use crate::authorizations::{HandedOut, Reads};
use crate::config::{Config, Reconciling};
use crate::data_cloud::exchanges::Exchanges;
use crate::db::{Database, OpenError, Store};
use crate::egress::{OperatorEgressError, TenantEgress};
use crate::error::chain;
use crate::invocations::keys::KeyRing;
use crate::limits::Limiter;
use crate::provider::heroku::Heroku;
use crate::publications;
use crate::reconcilers::{Nudges, runner};
use crate::spool::{self, FILE_PURPOSE, Spool, SpoolError};
use crate::tokens::flights::Flights;
use crate::urls::Urls;
use crate::vault::{KeySource, Vault, VaultError};
use crate::web::auth::Callers;
use crate::{env_vars, router, web};

/// How long requests and renewals may take to finish once the server is to stop: a token call's deadline and some.
const DRAIN: Duration = Duration::from_secs(15);
/// By the group or by everyone.
const READABLE_BY_OTHERS: u32 = 0o044;

/// A control plane that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Somebody listens there already.
    #[error(
        "{address} is in use: stop what listens there, or choose another address with {}",
        env_vars::BIND
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
    },
    /// The address can't be listened on for another reason.
    #[error("{address} can't be listened on: choose another address with {}", env_vars::BIND)]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address has no URL.
    #[error("no URL leads to {0}")]
    Url(SocketAddr),
    /// The database can't be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The master key is not the one this database was sealed with, or a data key is damaged.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The spool can't be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The HTTP client can't be built.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The HTTP client for the operator's own services can't be built.
    #[error(transparent)]
    OperatorEgress(#[from] OperatorEgressError),
}

impl ServerError {
    /// Whether another address would help.
    pub fn is_port_taken(&self) -> bool {
        matches!(self, Self::PortTaken { .. })
    }
}

/// Starts control planes.
#[derive(Clone, Copy, Debug)]
pub struct Server;

/// A control plane that runs.
#[derive(Debug)]
pub struct RunningServer {
    app: App,
    addr: SocketAddr,
    stop: CancellationToken,
    stop_recorder: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
    background: TaskTracker,
    recorder: JoinHandle<()>,
}

impl Server {
    /// Binds the address, opens database and vault, and serves. When this returns, requests are answered.
    ///
    /// # Errors
    /// [`ServerError`]; nothing runs then.
    pub async fn start(config: Config) -> Result<RunningServer, ServerError> {
        let listener = bind(config.bind).await?;
        let addr =
            listener.local_addr().map_err(|source| ServerError::Bind { address: config.bind, source })?;
        let (stop, stop_recorder) = (CancellationToken::new(), CancellationToken::new());
        let (app, recorder) = assemble(config, addr, &stop_recorder).await?;
        warn_about_settings(&app);
        if let Err(error) = spool::replay(&app).await {
            // It is tried again every second, and before that nothing is refreshed.
            tracing::error!(error = %chain(&error), "the spool can't be replayed");
        }
        if let Err(error) = publications::reconcile::take_over(&app).await {
            tracing::warn!(error = %chain(&error), "deploys that were under way wait until their leases end");
        }
        let background = TaskTracker::new();
        if app.config.reconciling == Reconciling::Running {
            runner::start(&app, &background, &stop);
        }
        let serving = tokio::spawn(serve(listener, app.clone(), stop.clone()));
        tracing::info!(url = app.urls.base(), %addr, "the control plane is up");
        Ok(RunningServer { app, addr, stop, stop_recorder, serving, background, recorder })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::PortTaken { address },
        _ => ServerError::Bind { address, source },
    })
}

async fn assemble(
    config: Config,
    addr: SocketAddr,
    stop_recorder: &CancellationToken,
) -> Result<(App, JoinHandle<()>), ServerError> {
    let (clock, entropy) = (config.clock.clone(), config.entropy.clone());
    let public_url = match &config.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("http://{addr}")).map_err(|_| ServerError::Url(addr))?,
    };
    let database = Database::open(&config.database_url, clock.clone()).await?;
    let process = format!("{}-{}", std::process::id(), entropy.hex::<4>());
    let vault = open_vault(&config, &database, &process).await?;
    let keys = ChainKeys::of(&vault.derived(CHAIN_PURPOSE).await?);
    let journal = Journal::with_keys(keys, process, clock.clone(), entropy.clone());
    let store = Store::new(database, Arc::new(journal));
    let egress = OrgEgress::new(EgressSettings {
        user_agent: concat!("applink/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..EgressSettings::default()
    })?;
    let heroku = config.provider.as_ref().map(Heroku::new).transpose()?;
    #[cfg(feature = "oidc")]
    let openid = config.openid.as_ref().map(crate::openid::provider::Provider::new).transpose()?;
    let spool = Spool::open(
        &config.spool,
        config.outage,
        vault.derived(FILE_PURPOSE).await?,
        clock.clone(),
        entropy.clone(),
    )?;
    let (recorder, writing) = Recorder::start(store.clone(), spool.clone(), stop_recorder.clone());
    let recorder = recorder.with_reads(config.audit_reads);
    let app = App::new(Parts {
        hosts: config.org_hosts.clone(),
        oauth: OAuth::new(egress.clone()),
        heroku,
        #[cfg(feature = "oidc")]
        openid,
        urls: Urls::new(public_url),
        flights: Flights::default(),
        exchanges: Exchanges::default(),
        callers: Callers::default(),
        handed_out: HandedOut::default(),
        reads: Reads::default(),
        keys: KeyRing::default(),
        limiter: Limiter::default(),
        nudges: Nudges { webhooks: Arc::clone(store.told()), ..Nudges::default() },
        tenant: TenantEgress::new(&config.webhook_origins),
        tasks: TaskTracker::new(),
        config,
        store,
        vault,
        spool,
        recorder,
        clock,
        entropy,
        egress,
    });
    Ok((app, writing))
}

/// With the master keys that were configured, or those a key service has.
async fn open_vault(config: &Config, database: &Database, process: &str) -> Result<Vault, VaultError> {
    let (source, clock, entropy) = (config.key_source.clone(), config.clock.clone(), config.entropy.clone());
    let masters = source.first(database, &config.master_keys, &clock, &entropy).await;
    let masters = masters.map_err(VaultError::Source)?;
    Vault::open_from(database.clone(), masters, source, process, clock, entropy).await
}

fn warn_about_settings(app: &App) {
    if let KeySource::File(path) = &app.config.key_source
        && std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & READABLE_BY_OTHERS != 0)
    {
        tracing::warn!(
            file = %path.display(),
            "others on this machine can read the master key, which opens every secret in the database: `chmod 600` it"
        );
    }
    if app.config.access.allow_token_management {
        tracing::warn!(
            "{} is on: a bare add-on token, which is in every dyno's environment, may change things",
            env_vars::ALLOW_TOKEN_MANAGEMENT
        );
    }
}

async fn serve(listener: TcpListener, app: App, stop: CancellationToken) -> io::Result<()> {
    let service = MapRequest::new(router::build(app), web::collapse_slashes::<axum::body::Body>);
    let make = axum::ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(service);
    axum::serve(listener, make).with_graceful_shutdown(stop.cancelled_owned()).await
}

impl RunningServer {
    /// The public URL, without a slash at the end.
    pub fn url(&self) -> &str {
        self.app.urls.base()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The running app, for setting things up without HTTP.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Waits until serving ends by itself, which it only does when the listener breaks.
    pub async fn wait(&mut self) {
        if let Ok(Err(error)) = (&mut self.serving).await {
            tracing::error!(error = %chain(&error), "serving ended");
        }
    }

    /// Stops in an orderly way: no new requests; those under way, reconcilers and renewals are finished (for at most
    /// [`DRAIN`] each); the audit segment is closed; the database is closed.
    pub async fn stop(self) {
        let Self { app, stop, stop_recorder, mut serving, background, recorder, .. } = self;
        stop.cancel();
        if !serving.is_finished() && tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
            tracing::warn!("requests were still under way and are cut off");
            serving.abort();
        }
        for tasks in [&background, &app.tasks] {
            tasks.close();
            if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
                tracing::warn!("background work was still under way and is cut off");
            }
        }
        if let Err(error) = app.recorder.settle_reads(None).await {
            tracing::error!(error = %chain(&error), "the last reads could not be counted in the audit log");
        }
        stop_recorder.cancel();
        if recorder.await.is_err() {
            tracing::error!("the audit writer ended early");
        }
        if let Err(error) = app.vault.say_goodbye().await {
            tracing::warn!(error = %chain(&error), "a rotation may wait half a minute for this process");
        }
        if let Err(error) = audit::anchor::close(&app.store, app.clock.now()).await {
            tracing::error!(error = %chain(&error), "the audit segment could not be closed");
        }
        app.store.database().close().await;
    }
}
