//! What a look does and when the next one is, pure.

use std::time::Duration;

use applink_api::time::Timestamp;

use crate::tokens::lease::LeaseState;

/// Percent of the period by which looks are spread.
const SPREAD_PERCENT: u64 = 10;

/// What a look does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing: somebody is at the grant, or it is paused.
    Leave,
    /// Ask whether the refresh token is good.
    Ask,
    /// Renew what is due anyway.
    Renew,
    /// The access token lives, and nothing else can be asked.
    Alive,
}

/// What to do about a grant.
pub fn look(lease: &LeaseState, has_refresh_token: bool, now: Timestamp) -> Look {
    let is_busy = lease.leased_until.is_some_and(|until| now < until);
    let is_in_doubt = lease.uncertain.is_some() || lease.intent.is_some();
    let is_paused = lease.not_before.is_some_and(|until| now < until);
    if is_busy || is_in_doubt || is_paused {
        return Look::Leave;
    }
    match (has_refresh_token, now < lease.expires_at) {
        (true, _) => Look::Ask,
        (false, true) => Look::Alive,
        (false, false) => Look::Renew,
    }
}

/// The first look at a grant: anywhere in the first period, so that what was connected together is not asked together.
pub fn first(now: Timestamp, period: Duration, draw: impl FnOnce(u64) -> u64) -> Timestamp {
    now.plus(Duration::from_secs(draw(period.as_secs().max(1))))
}

/// The look after this one.
pub fn next(now: Timestamp, period: Duration, draw: impl FnOnce(u64) -> u64) -> Timestamp {
    let spread = (period.as_secs() * SPREAD_PERCENT / 100).max(1);
    now.plus(period - Duration::from_secs(spread.min(period.as_secs())))
        .plus(Duration::from_secs(draw(2 * spread)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::lease::Rotation;

    const NOW: Timestamp = Timestamp::from_seconds(100_000);
    const PERIOD: Duration = Duration::from_secs(3600);

    fn grant() -> LeaseState {
        LeaseState {
            version: 1,
            fence: 1,
            leased_until: None,
            intent: None,
            uncertain: None,
            last_chance_spent: false,
            issued_at: NOW.minus(PERIOD),
            expires_at: NOW.plus(PERIOD),
            not_before: None,
            failures: 0,
            forced: 0,
            rotation: Rotation::On,
            repeatable: false,
            dead: false,
            last_chance_from: None,
        }
    }

    #[test]
    fn a_grant_in_doubt_busy_or_paused_is_left_alone() {
        let later = Some(NOW.plus(Duration::from_secs(1)));
        for left in [
            LeaseState { uncertain: Some(NOW.minus(PERIOD)), ..grant() },
            LeaseState { intent: Some(NOW), ..grant() },
            LeaseState { leased_until: later, ..grant() },
            LeaseState { not_before: later, ..grant() },
        ] {
            for expires_at in [NOW.minus(PERIOD), NOW.plus(PERIOD)] {
                assert_eq!(
                    look(&LeaseState { expires_at, ..left.clone() }, true, NOW),
                    Look::Leave,
                    "{left:?}"
                );
            }
        }
        assert_eq!(look(&LeaseState { not_before: Some(NOW), ..grant() }, true, NOW), Look::Ask);
    }

    #[test]
    fn a_refresh_token_is_asked_about_and_a_key_signs_again_when_it_must() {
        assert_eq!(look(&grant(), true, NOW), Look::Ask);
        assert_eq!(look(&grant(), false, NOW), Look::Alive);
        assert_eq!(look(&LeaseState { expires_at: NOW, ..grant() }, false, NOW), Look::Renew);
    }

    #[test]
    fn looks_are_spread() {
        assert_eq!(first(NOW, PERIOD, |bound| bound - 1).since(NOW), Duration::from_secs(3599));
        assert_eq!(next(NOW, PERIOD, |_| 0).since(NOW), Duration::from_secs(3240));
        assert_eq!(next(NOW, PERIOD, |bound| bound - 1).since(NOW), Duration::from_secs(3959));
    }
}
