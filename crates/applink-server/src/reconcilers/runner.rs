//! Runs every reconciler until told to stop; a run that has begun is finished.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ALL, Reconciler, StepError};
use crate::app::App;
use crate::error::chain;

/// Starts one task per reconciler.
pub fn start(app: &App, tasks: &TaskTracker, stop: &CancellationToken) {
    for reconciler in ALL {
        tasks.spawn(run(app.clone(), *reconciler, stop.clone()));
    }
}

/// The output of a run, none when it panicked: a defect in one run must not end all later ones. What it had claimed is
/// due again when its lease is over, and what it had not committed is undone.
async fn unpanicked<F: Future>(run: F) -> Option<F::Output> {
    AssertUnwindSafe(run).catch_unwind().await.ok()
}

/// Periodically and on nudge. A failed run is tried again after the period: the rows say what is due.
async fn run(app: App, reconciler: Reconciler, stop: CancellationToken) {
    loop {
        match unpanicked(reconciler.run(&app)).await {
            None => tracing::error!(
                reconciler = reconciler.name,
                "a reconciler's run panicked; it goes on after its period"
            ),
            Some(Ok(status)) if status.done > 0 => {
                tracing::info!(reconciler = reconciler.name, done = status.done, "reconciled");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                // A process that nobody asks anything notices an outage all the same.
                if let StepError::Store(error) = &error
                    && error.is_unavailable()
                {
                    app.spool.failed(error);
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_run_and_no_more() {
        assert_eq!(unpanicked(async { 1 }).await, Some(1));
        assert_eq!(unpanicked(async { panic!("a defect") }).await, None::<u8>);
    }
}
