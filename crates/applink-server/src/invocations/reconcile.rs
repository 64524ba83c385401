//! Housekeeping: used tokens go when they have expired, what meshes reported after a week.

use std::time::Duration;

use super::store;
use crate::app::App;
use crate::reconcilers::{Status, StepError};

/// How long reports are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes what is over.
///
/// # Errors
/// [`StepError`].
pub async fn forget_old(app: &App) -> Result<Status, StepError> {
    let now = app.clock.now();
    let tx = app.store.begin().await?;
    let done = store::forget(&*tx, now, now.minus(KEPT)).await?;
    tx.commit().await?;
    Ok(Status { done })
}
