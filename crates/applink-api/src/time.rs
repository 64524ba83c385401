//! Times as the AppLink API writes them: UTC, RFC 3339, exactly six fraction digits, `Z`.
//!
//! The Python SDK parses with `%Y-%m-%dT%H:%M:%S.%fZ`, so a time without a fraction, with an offset or with
//! nanoseconds breaks it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since the Unix epoch, UTC. This is also how times are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::text("date-time")
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Timestamp {}

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down (the form of JWT claims, RFC 7519 §2).
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved forward by `duration`, saturating at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This time moved back by `duration`, saturating at the start of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time; write it like 2025-05-30T18:55:42.863808Z")]
pub struct ParseTimestampError {
    text: String,
    source: jiff::Error,
}

impl std::str::FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp =
            text.parse().map_err(|source| ParseTimestampError { text: text.to_owned(), source })?;
        Ok(Self(time.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_writes_six_digits_and_z() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_748_631_342_863_808, "2025-05-30T18:55:42.863808Z"),
            (1_748_631_342_000_000, "2025-05-30T18:55:42.000000Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap().as_micros(), micros);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let now = Timestamp::from_seconds(10);
        assert_eq!(now.minus(Duration::from_secs(4)).as_seconds(), 6);
        assert_eq!(Timestamp::from_seconds(5).since(now), Duration::ZERO);
        assert_eq!(now.since(Timestamp::from_seconds(4)), Duration::from_secs(6));
        assert_eq!(Timestamp::from_micros(i64::MAX).plus(Duration::from_secs(1)).as_micros(), i64::MAX);
    }

    proptest::proptest! {
        #[test]
        fn reads_what_it_writes(micros in -60_000_000_000_000_000i64..200_000_000_000_000_000) {
            let time = Timestamp::from_micros(micros);
            proptest::prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }
}
