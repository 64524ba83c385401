//! A running mesh: the port, the app behind it, and how both come to an end.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::authenticate::control_plane::ControlPlaneVerifier;
use crate::authenticate::data_action::DataActionVerifier;
use crate::authenticate::local::LocalVerifier;
use crate::authenticate::replay::{Replay, ReplayGuard};
use crate::authenticate::{Authenticator, Verifier};
use crate::child::{Child, ChildConfig, ChildExit, ChildSignal, ChildStartError};
use crate::closing::Closing;
use crate::config::{MeshConfig, ReplayRule, SECRET, VerifyRule};
use crate::connection::Connections;
use crate::control_plane::{ControlPlane, ControlPlaneConfigError};
use crate::decide::DecisionRules;
use crate::listener;
use crate::pipeline::Pipeline;
use crate::readiness::{Readiness, Stage, accepts_connections, wait_for};
use crate::record::{Counters, Recorder, metrics, report};
use crate::sanitize::Sanitizer;
use crate::trust::{Trust, poll};

/// When the app has ended, requests in progress have lost their other half: they need only be answered.
const DRAIN_WITHOUT_APP: Duration = Duration::from_millis(400);

/// A mesh that stops waits this long for whoever is told: platforms kill what takes too long.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// An app that crashed is to be started again: its supervisor learns of it within a second, whoever else is slow.
const LAST_WORDS_WITHOUT_APP: Duration = Duration::from_millis(400);

/// The mesh does not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum MeshStartError {
    /// The public port is taken.
    #[error("port {} is taken, so the mesh can't listen on {address}; choose another with `--port` (or PORT)", address.port())]
    PortTaken {
        /// Where it should listen.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// The public address can't be used.
    #[error("the mesh can't listen on {address}")]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// Another program listens where the app should: verified calls would go to it.
    #[error(
        "something already listens on {app}, where the app should; stop it, or choose another port with APP_PORT"
    )]
    AppPortTaken {
        /// Where the app should listen.
        app: Authority,
    },
    /// The app's command.
    #[error(transparent)]
    Child(#[from] ChildStartError),
    /// The control plane's URL or token.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneConfigError),
    /// The mesh secret can't be sent in a header.
    #[error("APPLINK_MESH_SECRET has characters that no HTTP header can carry; use letters and digits")]
    Secret(#[source] http::header::InvalidHeaderValue),
}

/// See [`Mesh::start`].
#[derive(Clone, Copy, Debug)]
pub struct Mesh;

/// A mesh that serves. Dropping it stops it at once and kills the app it started; [`RunningMesh::stop`] is gentler.
pub struct RunningMesh {
    address: SocketAddr,
    readiness: Readiness,
    pipeline: Arc<Pipeline>,
    child: Option<Child>,
    stop: Option<oneshot::Sender<Duration>>,
    server: JoinHandle<()>,
    /// What runs beside the traffic.
    tasks: Vec<JoinHandle<()>>,
    closing: Closing,
    config: Arc<MeshConfig>,
    secret: Option<SecretString>,
    metrics: Option<SocketAddr>,
}

impl Mesh {
    /// Starts to listen, and the app when there is a command for it.
    ///
    /// Requests are answered at once; those for the app get 503 with `Retry-After` until it accepts connections.
    /// Without a command the app is taken to be running.
    ///
    /// # Errors
    /// [`MeshStartError`]; then neither mesh nor app is running.
    pub async fn start(mut config: MeshConfig) -> Result<RunningMesh, MeshStartError> {
        warn_of_risks(&config);
        let control_plane = ControlPlane::new(&config.api_url, &config.token)?;
        // The port first: an app must not be started for a mesh that can't be reached.
        let socket =
            listener::bind(config.listen).map_err(|(address, source)| listen_error(address, source))?;
        let secret = mesh_secret(&mut config);
        let child = start_child(&config, secret.as_ref()).await?;
        // Listening last: a command that can't be run is never seen as a mesh that came and went.
        let (listener, address) = open(socket, config.listen.candidates().first().copied())?;
        let readiness = Readiness::new(if child.is_some() { Stage::Starting } else { Stage::Ready });
        let trust = Trust::new(config.clock.clone(), config.trust.max_staleness);
        let pipeline =
            Arc::new(pipeline(&config, control_plane.clone(), trust.clone(), secret.as_ref(), &readiness)?);
        let config = Arc::new(config);
        let (metrics, served) = match serve_metrics(&config, &pipeline, &trust).await {
            Some((address, task)) => (Some(address), Some(task)),
            None => (None, None),
        };
        let closing = closing(&config, &pipeline, control_plane.clone())?;
        let mut tasks = tasks(&config, &pipeline, trust, control_plane);
        tasks.extend(served);
        let (stop, stopped) = oneshot::channel();
        let server =
            tokio::spawn(listener::serve(listener, Arc::clone(&pipeline), Arc::clone(&config), stopped));
        Ok(RunningMesh {
            address,
            readiness,
            pipeline,
            child,
            stop: Some(stop),
            server,
            tasks,
            closing,
            config,
            secret,
            metrics,
        })
    }
}

fn listen_error(address: SocketAddr, source: std::io::Error) -> MeshStartError {
    if source.kind() == std::io::ErrorKind::AddrInUse {
        MeshStartError::PortTaken { address, source }
    } else {
        MeshStartError::Listen { address, source }
    }
}

fn open(
    socket: tokio::net::TcpSocket,
    wanted: Option<SocketAddr>,
) -> Result<(tokio::net::TcpListener, SocketAddr), MeshStartError> {
    let wanted = wanted.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    let listener = listener::listen(socket).map_err(|source| listen_error(wanted, source))?;
    let address = listener.local_addr().map_err(|source| listen_error(wanted, source))?;
    Ok((listener, address))
}

/// Made anew at every start, when the mesh can tell it to the app.
fn mesh_secret(config: &mut MeshConfig) -> Option<SecretString> {
    let made = config.child.as_ref().map(|_| SecretString::from(config.entropy.url_token()));
    config.mesh_secret.take().or(made)
}

async fn start_child(
    config: &MeshConfig,
    secret: Option<&SecretString>,
) -> Result<Option<Child>, MeshStartError> {
    let Some(child) = &config.child else { return Ok(None) };
    if accepts_connections(&config.app).await {
        return Err(MeshStartError::AppPortTaken { app: config.app.authority().clone() });
    }
    Ok(Some(start(child, config, secret)?))
}

fn start(
    child: &ChildConfig,
    config: &MeshConfig,
    secret: Option<&SecretString>,
) -> Result<Child, ChildStartError> {
    let port = config.app.port().to_string();
    let mut extra = vec![("APP_PORT", OsStr::new(&port))];
    if let Some(secret) = secret {
        extra.push((SECRET, OsStr::new(secret.expose_secret())));
    }
    Child::start(child, &extra)
}

/// Starts what runs beside the traffic.
fn tasks(
    config: &MeshConfig,
    pipeline: &Arc<Pipeline>,
    trust: Trust,
    control_plane: ControlPlane,
) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    if config.child.is_some() {
        tasks.push(tokio::spawn(pipeline.readiness.clone().watch_app(config.app.clone())));
    }
    if config.trust.verify == VerifyRule::Local && !config.bypass.all {
        tasks.push(tokio::spawn(poll::run(trust, control_plane.clone(), config.trust.poll_every)));
    }
    tasks
}

/// Starts what tells of the traffic.
#[cfg_attr(not(feature = "otel"), expect(clippy::unnecessary_wraps, reason = "traces can fail to start"))]
fn closing(
    config: &MeshConfig,
    pipeline: &Arc<Pipeline>,
    control_plane: ControlPlane,
) -> Result<Closing, MeshStartError> {
    let mut closing = Closing::new();
    if let Some(every) = config.report_every {
        closing.spawn(|over| report::run(Arc::clone(pipeline), control_plane, every, over));
    }
    #[cfg(feature = "otel")]
    if let (Some(settings), Some(traces)) = (config.traces.clone(), pipeline.recorder.traces.clone()) {
        let exporter = crate::traces::Exporter::new(settings)?;
        closing.spawn(|over| exporter.run(traces, over));
    }
    Ok(closing)
}

/// Metrics are a help, not a need: a mesh without them starts all the same.
async fn serve_metrics(
    config: &MeshConfig,
    pipeline: &Arc<Pipeline>,
    trust: &Trust,
) -> Option<(SocketAddr, JoinHandle<()>)> {
    let wanted = config.metrics?;
    match tokio::net::TcpListener::bind(wanted).await {
        Ok(listener) => {
            let address = listener.local_addr().ok()?;
            let serve = metrics::serve(listener, Arc::clone(pipeline), trust.clone());
            Some((address, tokio::spawn(serve)))
        }
        Err(error) => {
            tracing::warn!(%error, address = %wanted, "no metrics: APPLINK_MESH_METRICS can choose another address");
            None
        }
    }
}

fn verifier(config: &MeshConfig, control_plane: ControlPlane, trust: Trust) -> Box<dyn Verifier> {
    let ask = ControlPlaneVerifier::new(control_plane, config.verdicts, config.clock.clone());
    match config.trust.verify {
        VerifyRule::Ask => Box::new(ask),
        VerifyRule::Local => Box::new(LocalVerifier::new(trust, config.clock.clone(), ask)),
    }
}

fn replay(config: &MeshConfig, control_plane: ControlPlane) -> Replay {
    let guard = || Arc::new(ReplayGuard::new(config.clock.clone()));
    match config.replay {
        ReplayRule::Off => Replay::Off,
        ReplayRule::Local => Replay::Local(guard()),
        ReplayRule::Shared => Replay::Shared(guard(), Box::new(control_plane)),
    }
}

fn pipeline(
    config: &MeshConfig,
    control_plane: ControlPlane,
    trust: Trust,
    secret: Option<&SecretString>,
    readiness: &Readiness,
) -> Result<Pipeline, MeshStartError> {
    let keep_client_context = config.bypass.all && config.bypass.keep_client_context;
    Ok(Pipeline {
        rules: DecisionRules {
            bypass: config.bypass.clone(),
            paths: config.paths,
            request_id: config.request_id,
            allowed_hosts: config.allowed_hosts.clone(),
        },
        authenticator: Authenticator {
            verifier: verifier(config, control_plane.clone(), trust),
            app: config.app_uuid,
            replay: replay(config, control_plane.clone()),
        },
        data_actions: DataActionVerifier::new(
            control_plane,
            config.limits.data_action_body,
            config.limits.body,
            config.clock.clone(),
        ),
        sanitizer: Sanitizer::new(secret, config.forwarded, keep_client_context)
            .map_err(MeshStartError::Secret)?,
        connections: Connections::default(),
        readiness: readiness.clone(),
        recorder: Recorder::new(config),
        entropy: config.entropy.clone(),
        body_limit: config.limits.body,
    })
}

/// What a person should know at every start.
fn warn_of_risks(config: &MeshConfig) {
    if config.bypass.all {
        tracing::warn!(
            "every route is open: HEROKU_APPLINK_SERVICE_MESH_BYPASS_ALL_ROUTES is set, nothing is authenticated"
        );
    }
    if config.bypass.all && config.bypass.keep_client_context {
        tracing::warn!(
            "anybody can act as any user: APPLINK_MESH_KEEP_CLIENT_CONTEXT passes x-client-context on unverified"
        );
    }
    if config.api_url.starts_with("http://") && !is_local(&config.api_url) {
        tracing::warn!("the add-on token travels unencrypted: the control plane's URL begins with http://");
    }
}

fn is_local(url: &str) -> bool {
    let host =
        url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let name = host.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl RunningMesh {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where a client on this machine reaches it, without a slash at the end.
    pub fn url(&self) -> String {
        let ip = self.address.ip();
        let local = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        let host = if local.contains(':') { format!("[{local}]") } else { local };
        format!("http://{host}:{}", self.address.port())
    }

    /// The process id of the app it started.
    pub fn child_id(&self) -> Option<i32> {
        self.child.as_ref().map(Child::id)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.pipeline.counters()
    }

    /// Do requests reach the app?
    pub fn app_is_ready(&self) -> bool {
        self.readiness.stage() >= Stage::Ready
    }

    /// Waits until requests reach the app. False when the app it started ended before.
    pub async fn app_ready(&self) -> bool {
        tokio::select! {
            biased;
            () = self.readiness.reached(Stage::Ready) => true,
            _ = self.wait_for_child() => false,
        }
    }

    /// Waits until the app it started has ended; for ever when it started none.
    pub async fn wait_for_child(&self) -> ChildExit {
        let exit = match &self.child {
            Some(child) => child.wait().await,
            None => None,
        };
        match exit {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }

    /// Passes a signal on to the app, and nothing else.
    pub fn signal_child(&self, signal: ChildSignal) {
        if let Some(child) = &self.child {
            child.signal(signal);
        }
    }

    /// Where metrics are served.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Exchanges the app for a new one without losing a request: new requests wait (at most
    /// [`Limits::reload`](crate::config::Limits)), those the app has are finished (at most
    /// [`Limits::drain`](crate::config::Limits)), the app is stopped and started again, and when it listens the waiting
    /// requests go to it. A mesh that started no app does nothing.
    ///
    /// # Errors
    /// [`ChildStartError`] when the command can't be run any more; then the old app is gone, and
    /// [`RunningMesh::wait_for_child`] says how it ended.
    pub async fn reload(&mut self) -> Result<(), ChildStartError> {
        let (Some(command), Some(child)) = (&self.config.child, &self.child) else { return Ok(()) };
        self.readiness.hold();
        let limits = &self.config.limits;
        let _ = tokio::time::timeout(limits.drain, self.readiness.left()).await;
        child.signal(ChildSignal::Terminate);
        child.wait_or_kill(limits.child_stop).await;
        let child = self.child.insert(start(command, &self.config, self.secret.as_ref())?);
        tokio::select! {
            () = wait_for(&self.config.app) => {
                self.readiness.advance(Stage::Ready);
                self.readiness.release();
            }
            // Who waits for the child learns of it.
            _ = child.wait() => {}
        }
        Ok(())
    }

    /// [`RunningMesh::stop_with`] SIGTERM.
    pub async fn stop(self) -> Option<ChildExit> {
        self.stop_with(ChildSignal::Terminate).await
    }

    /// Stops in order: the health route says no; new connections are still served for
    /// [`Limits::grace`](crate::config::Limits), then no more; requests in progress and tunnels are finished, within
    /// [`Limits::drain`](crate::config::Limits), and closed after it; the app gets `signal`, and is killed when it has not ended within
    /// [`Limits::child_stop`](crate::config::Limits), while the last report and spans are sent. Gives how the app ended, when the mesh started one.
    pub async fn stop_with(mut self, signal: ChildSignal) -> Option<ChildExit> {
        self.readiness.advance(Stage::Draining);
        let ended = self.child.as_ref().is_some_and(|child| child.exited().is_some());
        let limits = self.config.limits.clone();
        let (drain, last_words) = if ended {
            (DRAIN_WITHOUT_APP.min(limits.drain), LAST_WORDS_WITHOUT_APP)
        } else {
            (limits.drain, LAST_WORDS)
        };
        if !ended {
            tokio::time::sleep(limits.grace).await;
        }
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(drain);
        }
        let _ = (&mut self.server).await;
        // Closes the tunnels that are left, before the app is told.
        self.readiness.advance(Stage::Stopped);
        let child = async {
            match &self.child {
                Some(child) => {
                    child.signal(signal);
                    child.wait_or_kill(limits.child_stop).await
                }
                None => None,
            }
        };
        let (exit, ()) = tokio::join!(child, self.closing.close(last_words));
        exit
    }
}

impl fmt::Debug for RunningMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningMesh")
            .field("address", &self.address)
            .field("stage", &self.readiness.stage())
            .field("child", &self.child)
            .finish_non_exhaustive()
    }
}

impl Drop for RunningMesh {
    fn drop(&mut self) {
        self.readiness.advance(Stage::Stopped);
        self.server.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
