//! Whether the database takes writes, and since when it does or does not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::time::Timestamp;

/// How long hand-outs may go on without the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutageConfig {
    /// At most this long.
    pub max: Duration,
}

impl Default for OutageConfig {
    fn default() -> Self {
        Self { max: Duration::from_secs(15 * 60) }
    }
}

/// How long after an outage another process may still hold an answer that it could not commit: it finds out within a
/// few seconds that the database is back, and writes such answers first.
const OTHERS_REPLAY: Duration = Duration::from_secs(60);

/// What this process knows about the database.
#[derive(Debug)]
pub struct Outage {
    config: OutageConfig,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    away_since: Option<Timestamp>,
    /// It has taken writes since then, as far as this process knows: its start, or the end of the last outage.
    back_since: Timestamp,
}

impl Outage {
    pub(super) fn new(config: OutageConfig, now: Timestamp) -> Self {
        Self { config, known: Mutex::new(Known { away_since: None, back_since: now }) }
    }

    /// A write or a read failed because the database is away.
    pub fn failed(&self, now: Timestamp) {
        let mut known = self.known();
        if known.away_since.is_none() {
            tracing::error!(
                "the database is away: tokens in memory are handed out for a while, no refresh starts"
            );
            known.away_since = Some(now);
        }
    }

    /// The database took a write.
    pub(super) fn ended(&self, now: Timestamp) {
        let mut known = self.known();
        if known.away_since.take().is_some() {
            tracing::info!("the database is back");
            known.back_since = now;
        }
    }

    /// Whether it is away.
    pub fn is_on(&self) -> bool {
        self.known().away_since.is_some()
    }

    /// Whether it has been away for longer than hand-outs may go on.
    pub fn is_too_long(&self, now: Timestamp) -> bool {
        self.known().away_since.is_some_and(|since| now.since(since) >= self.config.max)
    }

    /// From when on every process surely has committed the answers it held back, so that a refresh token in doubt may
    /// be sent once more.
    pub(crate) fn last_chance_from(&self) -> Timestamp {
        self.known().back_since.plus(OTHERS_REPLAY)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_its_first_failure_to_the_first_write() {
        let start = Timestamp::from_seconds(1000);
        let outage = Outage::new(OutageConfig::default(), start);
        assert_eq!(outage.last_chance_from(), start.plus(OTHERS_REPLAY), "others may have just begun, too");
        assert!(!outage.is_too_long(start));
        outage.failed(start);
        outage.failed(start.plus(Duration::from_secs(600)));
        assert!(outage.is_on() && !outage.is_too_long(start.plus(Duration::from_secs(899))));
        assert!(outage.is_too_long(start.plus(Duration::from_secs(900))));
        let back = start.plus(Duration::from_secs(1000));
        outage.ended(back);
        assert!(!outage.is_on() && !outage.is_too_long(start.plus(Duration::from_secs(900))));
        outage.ended(back.plus(Duration::from_secs(50)));
        assert_eq!(outage.last_chance_from(), back.plus(OTHERS_REPLAY), "counted from the first write");
    }
}
