//! What happened, counted: since the start for the metrics, and since the last report for the control plane.
//!
//! One short lock for each request; nothing in here waits.

use std::collections::HashMap;
use std::time::Duration;

use applink_api::mesh_report::{InvocationCount, InvocationRecord, MAX_COUNTS, MAX_RECORDS};
use applink_api::time::Timestamp;

/// Upper bounds of the histograms' buckets, in microseconds.
pub(crate) const BUCKETS: [u64; 16] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    30_000_000,
    120_000_000,
];

/// How many took how long.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Histogram {
    /// One more than the bounds: what took longer than all.
    pub(crate) counts: [u64; BUCKETS.len() + 1],
    pub(crate) sum_micros: u64,
}

impl Histogram {
    fn add(&mut self, micros: u64) {
        let at = BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    pub(crate) verdict: &'static str,
    pub(crate) status: u16,
    pub(crate) mesh_micros: u64,
    /// `None` when it did not reach the app.
    pub(crate) app_micros: Option<u64>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) totals: HashMap<(&'static str, u16), u64>,
    pub(crate) mesh: Histogram,
    pub(crate) app: Histogram,
    pub(crate) whole: Histogram,
    pending: Pending,
}

/// What the next report will say.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    counts: HashMap<(i64, &'static str, u16), u64>,
    sample: Vec<InvocationRecord>,
    seen: u64,
    /// State of the generator that picks the sample; any sequence will do.
    dice: u64,
}

impl Tally {
    /// Counts one request. `record` is only called when it falls into the sample.
    pub(crate) fn add(&mut self, ending: Ending, record: impl FnOnce() -> InvocationRecord) {
        *self.totals.entry((ending.verdict, ending.status)).or_default() += 1;
        self.mesh.add(ending.mesh_micros);
        if let Some(app) = ending.app_micros {
            self.app.add(app);
        }
        self.whole.add(ending.mesh_micros.saturating_add(ending.app_micros.unwrap_or_default()));
        self.pending.count(ending);
        if let Some(place) = self.pending.place() {
            self.pending.keep(place, record());
        }
    }

    /// What happened since the last call of this.
    pub(crate) fn take_pending(&mut self) -> Pending {
        let dice = self.pending.dice;
        std::mem::replace(&mut self.pending, Pending { dice, ..Pending::default() })
    }
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.seen == 0
    }

    pub(crate) fn counts(&self) -> Vec<InvocationCount> {
        let count = |(key, count): (&(i64, &'static str, u16), &u64)| InvocationCount {
            minute: Timestamp::from_seconds(key.0 * 60),
            verdict: key.1.to_owned(),
            status: key.2,
            count: *count,
        };
        self.counts.iter().map(count).collect()
    }

    pub(crate) fn sample(&self) -> &[InvocationRecord] {
        &self.sample
    }

    /// How many requests are not in the sample.
    pub(crate) fn left_out(&self) -> u64 {
        self.seen.saturating_sub(u64::try_from(self.sample.len()).unwrap_or(u64::MAX))
    }

    fn count(&mut self, ending: Ending) {
        self.seen += 1;
        let key = (ending.at.as_seconds().div_euclid(60), ending.verdict, ending.status);
        if self.counts.len() < MAX_COUNTS || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// Where in the sample this request goes, if it does: every request has the same chance (reservoir sampling).
    fn place(&mut self) -> Option<usize> {
        if self.sample.len() < MAX_RECORDS {
            return Some(self.sample.len());
        }
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = usize::try_from((self.dice >> 33) % self.seen.max(1)).unwrap_or(usize::MAX);
        (drawn < MAX_RECORDS).then_some(drawn)
    }

    fn keep(&mut self, place: usize, record: InvocationRecord) {
        match self.sample.get_mut(place) {
            Some(kept) => *kept = record,
            None => self.sample.push(record),
        }
    }
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(status: u16, micros: u64) -> Ending {
        let at = Timestamp::from_seconds(125);
        Ending { at, verdict: "open", status, mesh_micros: micros, app_micros: Some(1) }
    }

    fn record(id: usize) -> InvocationRecord {
        InvocationRecord {
            at: Timestamp::from_seconds(125),
            request_id: id.to_string(),
            org_id: String::new(),
            user_id: String::new(),
            operation: "GET /".into(),
            verdict: "open".into(),
            status: 200,
            mesh_micros: 1,
            app_micros: 1,
        }
    }

    #[test]
    fn durations_fall_into_the_bucket_that_bounds_them() {
        let mut histogram = Histogram::default();
        for micros in [0, 250, 251, 120_000_000, 120_000_001] {
            histogram.add(micros);
        }
        assert_eq!((histogram.counts[0], histogram.counts[1]), (2, 1));
        assert_eq!((histogram.counts[15], histogram.counts[16]), (1, 1));
    }

    #[test]
    fn a_report_counts_all_and_samples_some() {
        let mut tally = Tally::default();
        for number in 0..10_000 {
            tally.add(ending(200, 10), || record(number));
        }
        let pending = tally.take_pending();
        assert_eq!(pending.sample().len(), MAX_RECORDS);
        assert_eq!(pending.left_out(), 10_000 - 64);
        let late =
            pending.sample().iter().filter(|kept| kept.request_id.parse::<u32>().unwrap() > 5_000).count();
        assert!((10..=54).contains(&late), "{late} of 64 from the second half");
        let counts = pending.counts();
        assert_eq!((counts.len(), counts[0].count), (1, 10_000));
        assert_eq!(counts[0].minute, Timestamp::from_seconds(120));
        assert!(tally.take_pending().is_empty());
    }

    #[test]
    fn a_report_is_bounded_whatever_the_app_answers() {
        let mut tally = Tally::default();
        for status in 0..1_000 {
            tally.add(ending(status, 10), || record(usize::from(status)));
        }
        assert_eq!(tally.take_pending().counts().len(), MAX_COUNTS);
    }
}
