//! Grants nobody uses. An org may end a refresh token that was not used for 30 days, so it is used before that.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::store::{self, Model};
use crate::app::App;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};

/// A grant that was not refreshed for this long is refreshed. With what follows, no grant idles for 20 days.
const IDLE: Duration = Duration::from_secs(18 * 24 * 3600);
/// Grants looked at in one run: the longest waiting first, so that those that fail don't delay the others.
const BATCH: u64 = 200;
/// Refreshes side by side.
const AT_ONCE: usize = 8;

/// Refreshes what has idled. Nothing is claimed here: each renewal has its own lease, and of several processes that see
/// the same grant one refreshes it.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn refresh_idle(app: &App) -> Result<Status, StepError> {
    let now = app.clock.now();
    let idle = store::idle(app.store.reader(), now, now.before(IDLE), BATCH).await?;
    let refreshed = stream::iter(idle).map(|grant| refresh(app, grant)).buffer_unordered(AT_ONCE);
    let done = refreshed.filter(|done| std::future::ready(*done)).count().await;
    Ok(Status { done: u64::try_from(done).unwrap_or_default() })
}

async fn refresh(app: &App, grant: Model) -> bool {
    match app.flights.start(app, &grant, None).wait().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(grant = %grant.id, error = %chain(&error), "an idle grant could not be refreshed; it is tried again");
            false
        }
    }
}
