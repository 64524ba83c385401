//! Runs every reconciler until told to stop; a run that has begun is finished.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ALL, Reconciler};
use crate::app::App;
use crate::error::chain;

/// Starts one task per reconciler.
pub fn start(app: &App, tasks: &TaskTracker, stop: &CancellationToken) {
    for reconciler in ALL {
        tasks.spawn(run(app.clone(), reconciler, stop.clone()));
    }
}

/// Periodically and on nudge. A failed run is tried again after the period: the rows say what is due.
async fn run(app: App, reconciler: Reconciler, stop: CancellationToken) {
    loop {
        match reconciler.run(&app).await {
            Ok(status) if status.done > 0 => {
                tracing::info!(reconciler = reconciler.name, done = status.done, "reconciled");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(reconciler = reconciler.name, error = %chain(&error), "a reconciler's run failed");
            }
        }
        let nudge = (reconciler.nudge)(&app.nudges);
        tokio::select! {
            () = stop.cancelled() => return,
            () = nudge.notified() => {}
            () = tokio::time::sleep(reconciler.period) => {}
        }
    }
}
