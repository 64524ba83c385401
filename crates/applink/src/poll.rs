//! Waiting: for a state to settle, and for anything a person may want to stop.

use std::future::Future;
use std::time::Duration;

use applink_api::client::ClientError;

/// The first look comes soon, since a local org answers at once; later ones every three seconds.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// So many looks in a row may fail for a passing reason before the wait is given up.
const MISSES: u32 = 5;

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// What was waited for.
    Done(T),
    /// Ctrl-C.
    Interrupted,
}

/// Looks until `settled` is true of what is seen, or a person presses Ctrl-C. There is no limit: the service
/// itself ends what nobody completes.
///
/// # Errors
/// What the look answers, except for a few passing failures in a row.
pub(crate) async fn until<T>(
    look: impl AsyncFnMut() -> Result<T, ClientError>,
    settled: impl Fn(&T) -> bool,
) -> Result<Waited<T>, ClientError> {
    match interruptible(repeat(look, settled)).await {
        Waited::Done(outcome) => outcome.map(Waited::Done),
        Waited::Interrupted => Ok(Waited::Interrupted),
    }
}

/// The same for at most `limit`; nothing when the time is up.
///
/// # Errors
/// What the look answers, except for a few passing failures in a row.
pub(crate) async fn until_at_most<T>(
    limit: Option<Duration>,
    look: impl AsyncFnMut() -> Result<T, ClientError>,
    settled: impl Fn(&T) -> bool,
) -> Result<Option<Waited<T>>, ClientError> {
    let elapsed = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        waited = until(look, settled) => waited.map(Some),
        () = elapsed => Ok(None),
    }
}

async fn repeat<T>(
    mut look: impl AsyncFnMut() -> Result<T, ClientError>,
    settled: impl Fn(&T) -> bool,
) -> Result<T, ClientError> {
    let mut wait = FIRST_WAIT;
    let mut misses = 0;
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(LONGEST_WAIT);
        match look().await {
            Ok(seen) if settled(&seen) => return Ok(seen),
            Ok(_) => misses = 0,
            Err(error) if error.is_transient() && misses < MISSES => misses += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Runs `work`, and stops it when a person presses Ctrl-C.
pub(crate) async fn interruptible<T>(work: impl Future<Output = T>) -> Waited<T> {
    tokio::select! {
        biased;
        done = work => Waited::Done(done),
        () = interrupt() => Waited::Interrupted,
    }
}

/// Where Ctrl-C can't be caught, it ends the process by itself.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
