//! Routes, start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use applink_sdk::{AppLink, Authorization, Error};
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::problem::Problem;
use crate::settings::{Settings, SettingsError};
use crate::{campaigns, products, provisioning};

/// Largest request body, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// How long jobs may go on after the app was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    applink: Result<AppLink, Error>,
    portal: String,
    product_key: String,
    jobs: TaskTracker,
}

impl App {
    /// The stored user for campaigns and products.
    pub(crate) async fn portal(&self) -> Result<Authorization, Problem> {
        let applink = self.shared.applink.as_ref().map_err(Problem::no_add_on)?;
        Ok(applink.authorization(&self.shared.portal).await?)
    }

    /// The field that identifies a product.
    pub(crate) fn product_key(&self) -> &str {
        &self.shared.product_key
    }

    /// Work that goes on after the answer; the app waits for it before it ends.
    pub(crate) fn jobs(&self) -> &TaskTracker {
        &self.shared.jobs
    }
}

/// The sample app.
#[derive(Debug)]
pub struct Service;

/// The sample app, listening.
#[derive(Debug)]
pub struct RunningService {
    address: SocketAddr,
    stopping: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    jobs: TaskTracker,
}

/// The app can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A variable can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The address is taken or not this machine's.
    #[error("can't listen on {address}: set APP_PORT to a free port (0 picks one)")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server ended")]
    Serve(#[source] std::io::Error),
    /// Signals can't be waited for.
    #[error("the app can't be told to stop")]
    Signal(#[source] std::io::Error),
}

impl Service {
    /// Binds, then serves in the background.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the port is taken.
    pub async fn start(settings: Settings) -> Result<RunningService, StartError> {
        let address = settings.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (jobs, stopping) = (TaskTracker::new(), CancellationToken::new());
        let router = router(settings, jobs.clone());
        let told = stopping.clone();
        let server =
            axum::serve(listener, router).with_graceful_shutdown(async move { told.cancelled().await });
        let server = tokio::spawn(server.into_future());
        tracing::info!(%address, "listening");
        Ok(RunningService { address, stopping, server, jobs })
    }
}

impl RunningService {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits for those under way, and up to ten seconds for jobs.
    ///
    /// # Errors
    /// [`StartError::Serve`].
    pub async fn stop(self) -> Result<(), StartError> {
        self.stopping.cancel();
        let served = self.server.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        self.jobs.close();
        if tokio::time::timeout(GRACE, self.jobs.wait()).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "stopping before every job has completed");
        }
        served.map_err(StartError::Serve)
    }
}

/// Runs until it is told to stop (SIGTERM or Ctrl-C).
///
/// # Errors
/// [`StartError`].
pub async fn run(settings: Settings) -> Result<(), StartError> {
    let service = Service::start(settings).await?;
    told_to_stop().await.map_err(StartError::Signal)?;
    tracing::info!("stopping");
    service.stop().await
}

async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt,
    }
}

fn router(settings: Settings, jobs: TaskTracker) -> Router {
    let invocations = settings.invocations;
    let shared = Shared {
        applink: settings.applink,
        portal: settings.portal,
        product_key: settings.product_key,
        jobs,
    };
    Router::new()
        // From the org, through the mesh.
        .route("/api/provisionServices", post(provisioning::provision_services))
        // From anybody: the mesh lets these through.
        .route("/", get(campaigns::page))
        .route("/api/campaigns", get(campaigns::list))
        .route("/api/products/import", post(products::import))
        .route("/healthcheck", get(async || "ok"))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(Extension(invocations))
        .with_state(App { shared: Arc::new(shared) })
}
