//! Deliveries of data actions at this mesh: those the app has right now, and those it took a moment ago.
//!
//! The control plane remembers what the apps took, but it learns of it only afterwards. Two deliveries of one event at once
//! would both pass, so the second is told to come again; and one that was verified just before the first was noted
//! is known here. What is in progress is as many as requests are; of what was taken the last [`REMEMBERED`] are known.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::time::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::respond::MeshError;

/// Deliveries that were taken: 32 bytes each, twice.
const REMEMBERED: usize = 4_096;
/// As long as the control plane remembers them.
const LIFE: Duration = Duration::from_secs(5 * 60);

type Key = [u8; 32];

/// All of them.
#[derive(Debug)]
pub(crate) struct Deliveries {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    in_progress: HashSet<Key>,
    taken: HashSet<Key>,
    /// In the order they were taken, with the time they are forgotten.
    order: VecDeque<(Timestamp, Key)>,
}

/// A verified delivery that the app has or is about to get. Others of the same event wait for its end.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) org_id: String,
    pub(crate) event_id: String,
    key: Key,
    deliveries: Arc<Deliveries>,
}

impl Deliveries {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, known: Mutex::default() })
    }

    /// The only one of this event.
    ///
    /// # Errors
    /// [`MeshError::BeingDelivered`] and [`MeshError::AlreadyDelivered`].
    pub(crate) fn begin(self: &Arc<Self>, org_id: String, event_id: String) -> Result<Delivery, MeshError> {
        let key =
            Sha256::new().chain_update(&org_id).chain_update([0]).chain_update(&event_id).finalize().into();
        let mut known = self.lock();
        known.forget(self.clock.now());
        if known.taken.contains(&key) {
            return Err(MeshError::AlreadyDelivered);
        }
        if !known.in_progress.insert(key) {
            return Err(MeshError::BeingDelivered);
        }
        drop(known);
        Ok(Delivery { org_id, event_id, key, deliveries: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, key)) = self.order.front().copied()
            && (until <= now || self.order.len() > REMEMBERED)
        {
            self.order.pop_front();
            self.taken.remove(&key);
        }
    }
}

impl Delivery {
    /// The app took it.
    pub(crate) fn taken(&self) {
        let now = self.deliveries.clock.now();
        let mut known = self.deliveries.lock();
        if known.taken.insert(self.key) {
            known.order.push_back((now.plus(LIFE), self.key));
        }
        known.forget(now);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.deliveries.lock().in_progress.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(deliveries: &Arc<Deliveries>, event: &str) -> Result<Delivery, &'static str> {
        deliveries.begin("00D".to_owned(), event.to_owned()).map_err(|error| error.marker())
    }

    #[test]
    fn one_at_a_time_and_none_after_it_was_taken() {
        let (clock, hand) = Clock::mock(Timestamp::from_seconds(100));
        let deliveries = Deliveries::new(clock);
        let first = begin(&deliveries, "a").unwrap();
        assert_eq!(begin(&deliveries, "a").unwrap_err(), "being-delivered");
        assert!(begin(&deliveries, "b").is_ok());
        drop(first);
        let again = begin(&deliveries, "a").unwrap();
        again.taken();
        drop(again);
        assert_eq!(begin(&deliveries, "a").unwrap_err(), "already-delivered");
        hand.advance(LIFE);
        assert!(begin(&deliveries, "a").is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (clock, _hand) = Clock::mock(Timestamp::from_seconds(100));
        let deliveries = Deliveries::new(clock);
        for number in 0..REMEMBERED + 10 {
            begin(&deliveries, &number.to_string()).unwrap().taken();
        }
        let known = deliveries.lock();
        assert_eq!(
            (known.order.len(), known.taken.len(), known.in_progress.len()),
            (REMEMBERED, REMEMBERED, 0)
        );
    }
}
