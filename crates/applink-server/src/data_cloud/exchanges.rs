//! The trades under way in this process: one per grant at a time, as a task of its own. Whoever wants its end waits for it
//! as long as they like; after a failure there is a pause, which is remembered here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use applink_api::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{PAUSE, trade};
use crate::app::App;
use crate::credentials::Credential;
use crate::db::RowId;
use crate::tokens::{FreshToken, TokenError};

type Outcome = Result<FreshToken, Arc<TokenError>>;

/// The trades under way, and those that failed a moment ago.
#[derive(Debug, Default)]
pub struct Exchanges {
    known: Mutex<HashMap<RowId, Known>>,
}

#[derive(Debug)]
enum Known {
    UnderWay(Trade),
    Failed { until: Timestamp, error: Arc<TokenError> },
}

/// A trade that was begun.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    /// When it was begun.
    pub(super) since: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Exchanges {
    /// Joins the trade for this grant, or begins one: for a token other than the `refused` one, by its fingerprint.
    pub(super) fn begin(
        &self,
        app: &App,
        credential: &Credential,
        grant: RowId,
        refused: Option<String>,
    ) -> Trade {
        let mut known = self.locked();
        // One whose task is gone without a word (it panicked) is not under way any more.
        if let Some(Known::UnderWay(trade)) = known.get(&grant)
            && trade.outcome.has_changed().is_ok()
        {
            return trade.clone();
        }
        let now = app.clock.now();
        known.retain(|_, known| !matches!(known, Known::Failed { until, .. } if *until <= now));
        let (report, outcome) = watch::channel(None);
        let begun = Trade { since: Instant::now(), outcome };
        known.insert(grant, Known::UnderWay(begun.clone()));
        let (app, credential) = (app.clone(), credential.clone());
        let tasks = app.tasks.clone();
        let work = async move {
            let outcome = trade(&app, &credential, refused).await.map_err(Arc::new);
            app.exchanges.ended(&app, grant, &outcome);
            // Nobody may be waiting.
            let _ = report.send(Some(outcome));
        };
        tasks.spawn(work.in_current_span());
        begun
    }

    /// The same, unless the last one failed a moment ago.
    ///
    /// # Errors
    /// What it failed with.
    pub(super) fn begin_unless_paused(
        &self,
        app: &App,
        credential: &Credential,
        grant: RowId,
    ) -> Result<Trade, TokenError> {
        if let Some(Known::Failed { until, error }) = self.locked().get(&grant)
            && app.clock.now() < *until
        {
            return Err(shared(error));
        }
        Ok(self.begin(app, credential, grant, None))
    }

    fn ended(&self, app: &App, grant: RowId, outcome: &Outcome) {
        let mut known = self.locked();
        match outcome {
            Ok(_) => known.remove(&grant),
            Err(error) => {
                let until = app.clock.now().plus(PAUSE);
                known.insert(grant, Known::Failed { until, error: Arc::clone(error) })
            }
        };
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<RowId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trade {
    /// Waits for its end, and no longer than until then.
    pub(super) async fn ended(mut self, until: Instant) -> Result<FreshToken, TokenError> {
        let outcome = async {
            let ended = self.outcome.wait_for(Option::is_some).await;
            ended.ok().and_then(|outcome| outcome.clone())
        };
        match tokio::time::timeout_at(until, outcome).await {
            Ok(Some(Ok(token))) => Ok(token),
            Ok(Some(Err(error))) => Err(shared(&error)),
            // Too slow; or its task ended without a word, since the process is stopping.
            Ok(None) | Err(_) => Err(TokenError::RetryAfter(PAUSE)),
        }
    }
}

/// An error for each of those who waited.
fn shared(error: &Arc<TokenError>) -> TokenError {
    match error.as_ref() {
        TokenError::NotLive => TokenError::NotLive,
        TokenError::ReauthRequired(error) => TokenError::ReauthRequired(error.clone()),
        TokenError::RetryAfter(wait) => TokenError::RetryAfter(*wait),
        TokenError::TooSoon(wait) => TokenError::TooSoon(*wait),
        TokenError::Refused { sentence, wait } => {
            TokenError::Refused { sentence: sentence.clone(), wait: *wait }
        }
        TokenError::Host(refused) => TokenError::Host(refused.clone()),
        // One of the org's own tokens.
        TokenError::Renewal(error) => TokenError::Renewal(Arc::clone(error)),
        TokenError::Store(_) | TokenError::Vault(_) => TokenError::Renewal(Arc::clone(error)),
    }
}
