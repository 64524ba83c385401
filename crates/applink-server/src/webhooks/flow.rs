//! When a delivery is tried again and when an endpoint is switched off, pure.

use std::time::Duration;

use applink_api::time::Timestamp;
use applink_api::webhook::EventType;
use http::StatusCode;

/// The pauses after each failed attempt; after the last of them there is one more attempt.
pub const RETRIES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(300),
    Duration::from_secs(1800),
    Duration::from_secs(7200),
    Duration::from_secs(18_000),
    Duration::from_secs(36_000),
    Duration::from_secs(36_000),
];

/// An endpoint that nothing reached for this long is switched off when a delivery is given up.
pub const PATIENCE: Duration = Duration::from_secs(5 * 24 * 3600);

/// How long events and deliveries are kept.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What an attempt means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// Try again then.
    Again(Timestamp),
    /// That was the last attempt.
    GivenUp,
}

/// What the `number`th attempt (from 1) means.
pub fn verdict(number: u32, status: Option<StatusCode>, now: Timestamp) -> Verdict {
    if status.is_some_and(|status| status.is_success()) {
        return Verdict::Delivered;
    }
    if status == Some(StatusCode::GONE) {
        return Verdict::GivenUp;
    }
    let pause = usize::try_from(number).ok().and_then(|number| RETRIES.get(number.checked_sub(1)?));
    pause.map_or(Verdict::GivenUp, |pause| Verdict::Again(now.plus(*pause)))
}

/// Why an endpoint is switched off after an attempt, if it is.
pub fn switched_off(
    verdict: Verdict,
    status: Option<StatusCode>,
    failing_since: Timestamp,
    now: Timestamp,
) -> Option<String> {
    if status == Some(StatusCode::GONE) {
        return Some("The endpoint answered 410 Gone.".to_owned());
    }
    let has_lasted = verdict == Verdict::GivenUp && now.since(failing_since) >= PATIENCE;
    has_lasted.then(|| format!("No delivery succeeded since {failing_since}."))
}

/// Whether an endpoint with these patterns wants events of a type. A test goes to whoever it is for.
pub fn wants(patterns: &[String], kind: EventType) -> bool {
    let matches = |pattern: &String| {
        pattern == kind.as_str()
            || pattern.strip_suffix('*').is_some_and(|noun| kind.as_str().starts_with(noun))
    };
    patterns.is_empty() || patterns.iter().any(matches)
}

/// Whether a pattern stands for any type we send.
pub fn is_pattern(text: &str) -> bool {
    let known = || EventType::ALL.iter().map(|(kind, _)| kind.as_str());
    known().any(|kind| kind == text)
        || text
            .strip_suffix('*')
            .is_some_and(|noun| noun.ends_with('.') && known().any(|kind| kind.starts_with(noun)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn eight_attempts_after_5_300_1800_7200_18000_36000_and_36000_seconds() {
        let failed = Some(StatusCode::INTERNAL_SERVER_ERROR);
        let mut pauses = Vec::new();
        for number in 1.. {
            match verdict(number, failed, NOW) {
                Verdict::Again(at) => pauses.push(at.since(NOW).as_secs()),
                other => {
                    assert_eq!((number, other), (8, Verdict::GivenUp));
                    break;
                }
            }
        }
        assert_eq!(pauses, [5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
    }

    #[test]
    fn only_a_2xx_is_a_delivery() {
        for (status, delivered) in [(200, true), (204, true), (301, false), (404, false), (500, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(verdict(1, Some(status), NOW) == Verdict::Delivered, delivered, "{status}");
        }
        assert!(matches!(verdict(1, None, NOW), Verdict::Again(_)));
        assert_eq!(verdict(1, Some(StatusCode::GONE), NOW), Verdict::GivenUp);
    }

    #[test]
    fn an_endpoint_is_switched_off_after_five_days_of_failures_or_when_it_is_gone() {
        let failed = Some(StatusCode::BAD_GATEWAY);
        let long_ago = NOW.minus(PATIENCE);
        assert!(switched_off(Verdict::GivenUp, failed, long_ago, NOW).is_some());
        assert_eq!(switched_off(Verdict::GivenUp, failed, long_ago.plus(Duration::from_secs(1)), NOW), None);
        assert_eq!(switched_off(Verdict::Again(NOW), failed, long_ago, NOW), None);
        assert!(switched_off(Verdict::GivenUp, Some(StatusCode::GONE), NOW, NOW).is_some());
    }

    #[test]
    fn patterns_name_a_type_or_a_noun() {
        let wants = |patterns: &[&str], kind| {
            super::wants(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), kind)
        };
        assert!(wants(&[], EventType::PublicationFailed));
        assert!(wants(&["connection.*"], EventType::ConnectionRenamed));
        assert!(!wants(&["connection.*", "publication.failed"], EventType::AuthorizationFailed));
        assert!(wants(&["publication.failed"], EventType::PublicationFailed));
        for good in ["connection.failed", "authorization.*", "webhook.test"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", "*", "connection", "connection*", "conn.*", "connection.gone", "connection.failed*"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
