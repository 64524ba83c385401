//! Whether the app accepts connections, and whether the mesh is about to stop.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

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
    /// Over; tunnels are closed.
    Stopped,
}

/// The stage, for all who must know. It only ever advances.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(watch::Sender<Stage>);

impl Readiness {
    pub(crate) fn new(stage: Stage) -> Self {
        Self(watch::Sender::new(stage))
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    pub(crate) fn advance(&self, to: Stage) {
        self.0.send_if_modified(|stage| {
            let later = to > *stage;
            *stage = to.max(*stage);
            later
        });
    }

    /// Waits until `stage` is reached or passed.
    pub(crate) async fn reached(&self, stage: Stage) {
        let _ = self.0.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Looks at the app's port until it accepts connections.
    pub(crate) async fn watch_app(self, app: AppAddress) {
        let mut hint = Box::pin(tokio::time::sleep(HINT_AFTER));
        let mut hinted = false;
        while !accepts_connections(&app).await {
            tokio::select! {
                () = tokio::time::sleep(PROBE_EVERY) => {}
                () = &mut hint, if !hinted => {
                    hinted = true;
                    tracing::warn!("the app does not listen on {} yet; it must listen on APP_PORT, not on PORT", app.authority());
                }
            }
        }
        self.advance(Stage::Ready);
    }
}

/// Does anything listen at the app's address?
pub(crate) async fn accepts_connections(app: &AppAddress) -> bool {
    TcpStream::connect(app.authority().as_str()).await.is_ok()
}
