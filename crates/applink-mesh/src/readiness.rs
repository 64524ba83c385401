//! Whether the app accepts connections, whether the mesh is about to stop, and how many requests the app has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::config::AppAddress;

/// Between two looks at the app's port. Short: every start of every app waits for it.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// When an app takes this long, it probably listens elsewhere.
const HINT_AFTER: Duration = Duration::from_secs(20);

/// Where the mesh is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The app does not listen yet.
    Starting,
    /// Requests are forwarded.
    Ready,
    /// A stop signal came: requests are still forwarded, but the health route says no.
    Draining,
    /// No request is served any more; tunnels are closed.
    Stopped,
}

/// The stage, for all who must know. It only ever advances. And the gate before the app, which is closed while the
/// app is exchanged for a new one.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    stage: watch::Sender<Stage>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    held: watch::Sender<bool>,
    at_app: AtomicUsize,
    last_left: Notify,
}

/// A request that the app has, until its answer is through; or what has become of it: a tunnel, or an upload that the app
/// answered before it read it.
#[derive(Debug)]
pub(crate) struct AtApp(Arc<Gate>);

impl Clone for AtApp {
    /// Both have to go.
    fn clone(&self) -> Self {
        Self::enter(&self.0)
    }
}

impl AtApp {
    fn enter(gate: &Arc<Gate>) -> Self {
        gate.at_app.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(gate))
    }
}

impl Drop for AtApp {
    fn drop(&mut self) {
        if self.0.at_app.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.last_left.notify_waiters();
        }
    }
}

impl Readiness {
    pub(crate) fn new(stage: Stage) -> Self {
        let gate =
            Gate { held: watch::Sender::new(false), at_app: AtomicUsize::new(0), last_left: Notify::new() };
        Self { stage: watch::Sender::new(stage), gate: Arc::new(gate) }
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Do requests reach the app now?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage(), Stage::Ready | Stage::Draining) && !self.is_held()
    }

    /// Is the app being exchanged?
    pub(crate) fn is_held(&self) -> bool {
        *self.gate.held.borrow()
    }

    pub(crate) fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let later = to > *stage;
            *stage = to.max(*stage);
            later
        });
    }

    /// Waits until `stage` is reached or passed.
    pub(crate) async fn reached(&self, stage: Stage) {
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Goes through to the app; while it is being exchanged, waits at most `patience`. `None` when it was too long,
    /// or the app never listened yet.
    pub(crate) async fn enter(&self, patience: Duration) -> Option<AtApp> {
        if self.stage() == Stage::Starting {
            return None;
        }
        loop {
            // Counted before the look at the gate: who closes it sees everybody who is through.
            let entered = AtApp::enter(&self.gate);
            if !self.is_held() {
                return Some(entered);
            }
            drop(entered);
            if !Box::pin(self.released(patience)).await {
                return None;
            }
        }
    }

    /// Waits until the gate is open, at most `patience`. False when it was too long.
    async fn released(&self, patience: Duration) -> bool {
        let mut held = self.gate.held.subscribe();
        let opened = async { held.wait_for(|held| !held).await.is_ok() };
        tokio::time::timeout(patience, opened).await.unwrap_or(false)
    }

    /// Lets no more requests through until [`Readiness::release`].
    pub(crate) fn hold(&self) {
        self.gate.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.gate.held.send_replace(false);
    }

    /// Waits until the app has no request any more, and no tunnel either.
    pub(crate) async fn left(&self) {
        loop {
            let mut last_left = std::pin::pin!(self.gate.last_left.notified());
            last_left.as_mut().enable();
            if self.gate.at_app.load(Ordering::SeqCst) == 0 {
                return;
            }
            last_left.await;
        }
    }

    /// Looks at the app's port until it accepts connections.
    pub(crate) async fn watch_app(self, app: AppAddress) {
        wait_for(&app).await;
        self.advance(Stage::Ready);
    }
}

/// Until the app accepts connections.
pub(crate) async fn wait_for(app: &AppAddress) {
    let mut hint = Box::pin(tokio::time::sleep(HINT_AFTER));
    let mut hinted = false;
    while !accepts_connections(app).await {
        tokio::select! {
            () = tokio::time::sleep(PROBE_EVERY) => {}
            () = &mut hint, if !hinted => {
                hinted = true;
                tracing::warn!("the app does not listen on {} yet; it must listen on APP_PORT, not on PORT", app.authority());
            }
        }
    }
}

/// Does anything listen at the app's address?
pub(crate) async fn accepts_connections(app: &AppAddress) -> bool {
    TcpStream::connect(app.authority().as_str()).await.is_ok()
}
