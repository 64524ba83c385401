//! Callers this process knows: keys and tokens it looked up before, so that a read costs no query for them.
//!
//! 1. A number in the database grows with every change of a key, token, attachment, add-on's or app's name (triggers
//!    count, so nobody can forget to). It is read at most once a second; when it grew, everything known is forgotten.
//! 2. A change this process commits itself is looked for at the very next request.
//! 3. What was looked up while the number was being read is not remembered: it may be older than the change.
//! 4. While the database is away, what is known stays known as long as hand-outs may go on ([`crate::spool`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use applink_api::time::Timestamp;
use sea_orm::{FromQueryResult, Statement};
use tokio::time::{Instant, timeout};

use crate::addons::Attachment;
use crate::api_keys::ApiKey;
use crate::app::App;
use crate::db::StoreError;
use crate::error::ApiError;

/// What is known may be this old.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long a request waits for the number.
const PATIENCE: Duration = Duration::from_secs(1);
/// A database that has not told the number for this long is away.
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// Callers remembered; beyond that all are forgotten and looked up again.
const REMEMBERED: usize = 10_000;

/// Somebody with a right secret.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// An app with its add-on token.
    Token(Arc<Attachment>),
    /// A person or pipeline with an API key.
    Key(Arc<ApiKey>),
}

impl Known {
    fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self, Self::Key(key) if key.expires_at.is_some_and(|end| end <= now))
    }
}

/// The callers a process knows.
#[derive(Debug, Default)]
pub struct Callers {
    known: RwLock<HashMap<String, Known>>,
    checked: Mutex<Checked>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Checked {
    epoch: Option<i64>,
    /// When it was last asked for.
    at: Option<Instant>,
    /// When it was last told.
    told: Option<Instant>,
    /// Grows whenever everything is forgotten.
    generation: u64,
}

/// What was known when a look-up began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Callers {
    /// Makes sure that what is known may still be used.
    pub(super) async fn check(&self, app: &App) -> Result<Generation, ApiError> {
        let changed_here = app.store.take_changed();
        if !changed_here && self.is_fresh(app) {
            return Ok(self.generation());
        }
        let looking = match self.looking.try_lock() {
            Ok(looking) => looking,
            // Somebody looks already; what he finds is as new as what this one would.
            Err(_) if !changed_here && self.checked().at.is_some() => return Ok(self.generation()),
            Err(_) => self.looking.lock().await,
        };
        let asked = Instant::now();
        let read = timeout(PATIENCE, epoch(app)).await.unwrap_or_else(|_| Err(StoreError::timed_out()));
        let outcome = match read {
            Ok(epoch) => {
                self.looked(epoch, asked);
                Ok(())
            }
            Err(error) if error.is_unavailable() => {
                let told_lately = self.unanswered(asked);
                if !told_lately {
                    app.spool.failed(&error);
                }
                let too_long = app.spool.outage().is_too_long(app.clock.now());
                if too_long { Err(error.into()) } else { Ok(()) }
            }
            Err(error) => Err(error.into()),
        };
        drop(looking);
        outcome.map(|()| self.generation())
    }

    fn is_fresh(&self, app: &App) -> bool {
        // A database that is away is not asked by every request.
        let away = app.spool.outage().is_on();
        let checked = self.checked();
        let fresh_for = if away && checked.at != checked.told { AWAY_AFTER } else { FRESH_FOR };
        checked.at.is_some_and(|at| at.elapsed() < fresh_for)
    }

    fn generation(&self) -> Generation {
        Generation(self.checked().generation)
    }

    /// Whether it was told lately nevertheless: one slow answer is no outage.
    fn unanswered(&self, asked: Instant) -> bool {
        let mut checked = self.checked();
        checked.at = Some(asked);
        checked.told.is_some_and(|told| told.elapsed() < AWAY_AFTER)
    }

    fn looked(&self, epoch: i64, asked: Instant) {
        let mut checked = self.checked();
        if checked.epoch != Some(epoch) {
            checked.epoch = Some(epoch);
            checked.generation += 1;
            self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        (checked.at, checked.told) = (Some(asked), Some(asked));
    }

    pub(super) fn find(&self, hash: &str, now: Timestamp) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|known| !known.is_expired(now)).cloned()
    }

    /// Remembers a caller that was looked up since `since`.
    pub(super) fn remember(&self, hash: String, caller: Known, since: Generation) {
        let checked = self.checked();
        if checked.generation != since.0 {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(hash, caller);
    }

    fn checked(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(FromQueryResult)]
struct Epoch {
    value: i64,
}

async fn epoch(app: &App) -> Result<i64, StoreError> {
    let reader = app.store.reader();
    let sql = "SELECT value FROM epochs WHERE id = 'callers'";
    let statement = Statement::from_string(reader.get_database_backend(), sql);
    let found = Epoch::find_by_statement(statement).one(reader).await?;
    Ok(found.map_or(0, |epoch| epoch.value))
}
