//! Protocol upgrades (WebSocket): after the app's 101 both sides speak to each other, bytes in, bytes out.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::connection::InFlight;
use crate::readiness::{AtApp, Readiness, Stage};

/// Connects both sides once both have changed protocol, until one ends or the mesh has stopped. A stop waits for it as for a
/// request, because it is with the app as one is.
pub(crate) fn spawn(client: OnUpgrade, app: OnUpgrade, readiness: Readiness, held: (InFlight, AtApp)) {
    tokio::spawn(async move {
        let _held = held;
        tokio::select! {
            () = join(client, app) => {}
            () = readiness.reached(Stage::Stopped) => {}
        }
    });
}

async fn join(client: OnUpgrade, app: OnUpgrade) {
    let (client, app) = match tokio::try_join!(client, app) {
        Ok(sides) => sides,
        Err(error) => {
            tracing::debug!(%error, "an upgraded connection ended before it began");
            return;
        }
    };
    // Either side may break off at any time; that is how tunnels end.
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(app)).await;
}
