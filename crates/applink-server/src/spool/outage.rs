//! Whether the database takes writes, and since when it does not.

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

/// What this process knows about the database.
#[derive(Debug)]
pub struct Outage {
    config: OutageConfig,
    since: Mutex<Option<Timestamp>>,
}

impl Outage {
    pub(super) fn new(config: OutageConfig) -> Self {
        Self { config, since: Mutex::default() }
    }

    /// A write or a read failed because the database is away.
    pub fn failed(&self, now: Timestamp) {
        let mut since = self.since();
        if since.is_none() {
            tracing::error!(
                "the database is away: tokens in memory are handed out for a while, no refresh starts"
            );
            *since = Some(now);
        }
    }

    /// The database took a write.
    pub(crate) fn ended(&self) {
        if self.since().take().is_some() {
            tracing::info!("the database is back");
        }
    }

    /// Whether it is away.
    pub fn is_on(&self) -> bool {
        self.since().is_some()
    }

    /// Whether it has been away for longer than hand-outs may go on.
    pub fn is_too_long(&self, now: Timestamp) -> bool {
        self.since().is_some_and(|since| now.since(since) >= self.config.max)
    }

    fn since(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_its_first_failure_to_the_first_write() {
        let outage = Outage::new(OutageConfig::default());
        let start = Timestamp::from_seconds(1000);
        assert!(!outage.is_too_long(start));
        outage.failed(start);
        outage.failed(start.plus(Duration::from_secs(600)));
        assert!(outage.is_on() && !outage.is_too_long(start.plus(Duration::from_secs(899))));
        assert!(outage.is_too_long(start.plus(Duration::from_secs(900))));
        outage.ended();
        assert!(!outage.is_on() && !outage.is_too_long(start.plus(Duration::from_secs(900))));
    }
}
