//! Public keys of connected orgs, fetched when they are due: an hour after the last time, or half a minute after the
//! org could not be asked. Old keys are used on meanwhile.
//!
//! Two processes may ask the same org at the same time; both write the same.

use std::time::Duration;

use applink_api::time::Timestamp;
use applink_api::trust::TrustedKey;
use applink_salesforce::OrgError;
use applink_salesforce::keys::{SigningPublicKey, signing_keys};
use futures_util::future::join_all;

use super::store;
use crate::app::App;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};

/// How long keys are used without asking again.
pub const KEPT: Duration = Duration::from_secs(3600);
/// Until an org that could not be asked is asked again.
const PAUSE: Duration = Duration::from_secs(30);

/// Asks every org whose keys are due.
///
/// # Errors
/// [`StepError`].
pub async fn fetch_due(app: &App) -> Result<Status, StepError> {
    let due = store::due_urls(app.store.reader(), app.clock.now()).await?;
    let asked = join_all(due.iter().map(|url| fetch(app, url))).await;
    let now = app.clock.now();
    for (url, answer) in due.iter().zip(asked) {
        keep(app, url, answer, now).await?;
    }
    Ok(Status { done: u64::try_from(due.len()).unwrap_or(u64::MAX) })
}

async fn fetch(app: &App, url: &str) -> Result<Vec<SigningPublicKey>, String> {
    let org = app.hosts.instance(url).map_err(|error| chain(&error))?;
    signing_keys(&app.egress, &org).await.map_err(|error: OrgError| chain(&error))
}

async fn keep(
    app: &App,
    url: &str,
    answer: Result<Vec<SigningPublicKey>, String>,
    now: Timestamp,
) -> Result<(), StepError> {
    let tx = app.store.begin().await?;
    match answer {
        Ok(keys) => store::put_keys(&*tx, url, &to_wire(keys), (now, now.plus(KEPT))).await?,
        Err(error) => {
            tracing::warn!(org = url, error, "an org's keys can't be fetched; the old ones are used on");
            store::put_off(&*tx, url, now.plus(PAUSE)).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Remembers keys that were fetched for a call which could not wait.
pub(crate) async fn remember(app: &App, url: &str, keys: &[SigningPublicKey]) -> Result<(), StepError> {
    let now = app.clock.now();
    let tx = app.store.begin().await?;
    store::put_keys(&*tx, url, &to_wire(keys.to_vec()), (now, now.plus(KEPT))).await?;
    tx.commit().await?;
    Ok(())
}

fn to_wire(keys: Vec<SigningPublicKey>) -> Vec<TrustedKey> {
    keys.into_iter().map(|key| TrustedKey { kid: key.kid, n: key.n, e: key.e }).collect()
}
