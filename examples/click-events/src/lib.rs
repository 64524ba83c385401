//! Sample app: Data Cloud in both directions.
//!
//! 1. A page posts a click; [`clicks`] sends it to Data Cloud as a stored user.
//! 2. When Data Cloud has applied it, it calls the app back; [`reactions`] takes only what is verified, each event once.
//! 3. Who looks at a product three times is interested: `GET /api/interested`.

pub mod clicks;
pub mod reactions;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use applink_sdk::env::Env;
use applink_sdk::invocation::InvocationSettings;
use applink_sdk::{AppLink, Error};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::net::TcpListener;

use reactions::Interest;

/// The stored user whose rights clicks are sent with.
pub const AUTHORIZATION: &str = "clicks";
/// The connector and object that clicks are rows of.
pub const SOURCE: (&str, &str) = ("AcmeWeb", "ClickEvent");

/// How the app is set up.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The add-on.
    pub applink: AppLink,
    /// How calls through the mesh are recognised.
    pub invocations: InvocationSettings,
}

/// The app can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The add-on's variables can't be used.
    #[error(transparent)]
    AppLink(#[from] Error),
    /// `APP_PORT` or `PORT` is not a port.
    #[error("{0:?} is not a port: set APP_PORT to a number from 0 to 65535")]
    Port(String),
    /// The address is taken, or the server ended.
    #[error("the app can't serve on {address}")]
    Serve {
        /// Where it should have.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Settings {
    /// Reads the environment. `APP_PORT` comes first: behind a mesh, `PORT` is the mesh's.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn from_env(env: impl Env) -> Result<Self, StartError> {
        let port =
            ["APP_PORT", "PORT"].iter().find_map(|name| env.var(name).filter(|value| !value.is_empty()));
        let port = port.unwrap_or_else(|| "3000".to_owned());
        let number = port.parse().map_err(|_| StartError::Port(port))?;
        let invocations = InvocationSettings::from_env(&env)?;
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number);
        Ok(Self { listen, invocations, applink: AppLink::from(env, None)? })
    }
}

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct App {
    applink: AppLink,
    interest: Arc<Interest>,
}

/// The routes.
pub fn router(settings: Settings) -> Router {
    let app = App { applink: settings.applink.clone(), interest: Arc::default() };
    Router::new()
        // From a page; the mesh lets them through.
        .route("/api/clicks", post(clicks::take))
        .route("/api/interested", get(reactions::interested))
        // From Data Cloud, through the mesh.
        .route("/clicks", post(reactions::react))
        .layer(Extension(settings.invocations))
        .layer(Extension(settings.applink))
        .with_state(app)
}

/// Serves until the process is told to stop.
///
/// # Errors
/// [`StartError::Serve`].
pub async fn run(settings: Settings) -> Result<(), StartError> {
    let address = settings.listen;
    let failed = |source| StartError::Serve { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    tracing::info!(%address, "listening");
    let served = axum::serve(listener, router(settings)).with_graceful_shutdown(told_to_stop());
    served.await.map_err(failed)
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
