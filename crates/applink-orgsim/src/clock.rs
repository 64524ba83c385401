//! The simulator's time. Time is a parameter, so that expiry tests are instant and exact.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Microseconds in one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// A source of the current time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

/// The handle that moves a [`Clock::mock`].
#[derive(Debug, Clone)]
pub struct MockClock(Arc<AtomicI64>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(system_micros)
    }

    /// A clock that asks `now` for microseconds since the Unix epoch, UTC.
    pub fn from_fn(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that stands still at `micros`.
    pub fn fixed(micros: i64) -> Self {
        Self::from_fn(move || micros)
    }

    /// A clock that starts at `micros` and moves only when the handle says so.
    pub fn mock(micros: i64) -> (Self, MockClock) {
        let now = MockClock(Arc::new(AtomicI64::new(micros)));
        let reader = now.clone();
        (Self::from_fn(move || reader.0.load(Ordering::SeqCst)), now)
    }

    /// Microseconds since the Unix epoch, UTC.
    pub fn now_micros(&self) -> i64 {
        (self.0)()
    }

    /// Milliseconds since the Unix epoch, as OAuth's `issued_at` wants them.
    pub fn now_millis(&self) -> i64 {
        self.now_micros().div_euclid(1000)
    }

    /// Whole seconds since the Unix epoch, as JWT claims want them.
    pub fn now_seconds(&self) -> i64 {
        self.now_micros().div_euclid(MICROS_PER_SECOND)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now_micros()).finish()
    }
}

impl MockClock {
    /// Moves the clock forward (or back, when negative) by `micros`.
    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Moves the clock forward by whole seconds.
    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_micros(seconds.saturating_mul(MICROS_PER_SECOND));
    }

    /// Sets the clock to `micros` since the Unix epoch.
    pub fn set_micros(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where orgsim reads the machine's clock")]
fn system_micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_clock_moves_only_when_told() {
        let (clock, handle) = Clock::mock(1_500_000);
        assert_eq!(clock.now_seconds(), 1);
        handle.advance_seconds(60);
        assert_eq!(clock.now_micros(), 61_500_000);
        handle.set_micros(0);
        assert_eq!(clock.now_millis(), 0);
    }
}
