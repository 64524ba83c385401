//! What the vault does by itself: says which master keys this process has, reads the key file again, and goes on with
//! a rotation.

use std::time::Duration;

use tokio::time::Instant;

use super::rotation;
use crate::app::App;
use crate::reconcilers::{Status, StepError};

/// One run does steps for this long, then others have their turn.
const RUN: Duration = Duration::from_secs(2);

/// One run.
///
/// # Errors
/// [`StepError`].
pub async fn run(app: &App) -> Result<Status, StepError> {
    // First that it lives: a rotation waits for this process whatever becomes of its key source.
    app.vault.beat().await.map_err(StepError::Vault)?;
    match app.vault.reload_masters().await {
        Ok(false) => {}
        Ok(true) => app.vault.beat().await.map_err(StepError::Vault)?,
        // What it has still opens everything, and a rotation that is under way goes on.
        Err(error) => {
            tracing::error!(error = %crate::error::chain(&error),
                "the master keys can't be read again; the ones from before stay in use");
        }
    }
    let (started, mut done) = (Instant::now(), 0);
    while let Some(sealed) = rotation::step(&app.store, &app.vault).await.map_err(StepError::Vault)? {
        done += sealed;
        if started.elapsed() >= RUN {
            app.nudges.vault.notify_one();
            break;
        }
    }
    Ok(Status { done })
}
