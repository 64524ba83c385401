//! Moments as text.

use jiff::Timestamp;

/// RFC 3339, UTC, six fraction digits: what this simulator's own `/_sim` answers.
pub(crate) fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
