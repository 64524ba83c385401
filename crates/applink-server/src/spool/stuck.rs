//! Answers that the database refuses, though it is there: a value can't be sealed, a statement is not accepted. Each holds
//! up its own grant and no other: it is tried again after growing pauses, and given up after a day. And answers that are
//! nobody's: they wait until it was tried to revoke them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use applink_api::time::Timestamp;
use uuid::Uuid;

use super::RefreshAnswer;

/// First pause; doubled for each further try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// So long after the org's answer its credential is declared dead: access tokens live no longer than that.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The answers of a spool that were refused; and those that are dealt with, though the file they are in is kept for
/// another's sake.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    refused: HashMap<Key, Refused>,
    settled: HashSet<Key>,
    revoking: HashSet<Key>,
}

/// Grant and time of the org's answer.
type Key = (Uuid, Timestamp);

#[derive(Clone, Copy, Debug)]
struct Refused {
    tries: u32,
    not_before: Timestamp,
}

fn key(answer: &RefreshAnswer) -> Key {
    (answer.grant, answer.at)
}

impl Stuck {
    /// Whether a grant's answer was refused and still waits.
    pub(super) fn holds(&self, grant: Uuid) -> bool {
        self.refused.keys().any(|(refused, _)| *refused == grant)
    }

    /// Whether an answer is to be tried now.
    pub(super) fn is_due(&self, answer: &RefreshAnswer, now: Timestamp) -> bool {
        self.refused.get(&key(answer)).is_none_or(|refused| now >= refused.not_before)
    }

    /// An answer was refused (again).
    pub(super) fn refused(&mut self, answer: &RefreshAnswer, now: Timestamp) {
        let tries = self.refused.get(&key(answer)).map_or(0, |refused| refused.tries);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST_PAUSE);
        let refused = Refused { tries: tries.saturating_add(1), not_before: now.plus(pause) };
        self.refused.insert(key(answer), refused);
    }

    /// An answer is nobody's, and is about to be revoked; `false` when it is already.
    pub(super) fn begin_revoking(&mut self, answer: &RefreshAnswer) -> bool {
        self.refused.remove(&key(answer));
        self.revoking.insert(key(answer))
    }

    /// Whether an answer is being revoked.
    pub(super) fn is_revoking(&self, answer: &RefreshAnswer) -> bool {
        self.revoking.contains(&key(answer))
    }

    /// An answer is dealt with.
    pub(super) fn settle(&mut self, answer: &RefreshAnswer) {
        self.refused.remove(&key(answer));
        self.revoking.remove(&key(answer));
        self.settled.insert(key(answer));
    }

    /// Whether an answer is dealt with.
    pub(super) fn is_settled(&self, answer: &RefreshAnswer) -> bool {
        self.settled.contains(&key(answer))
    }

    /// No file is kept any more.
    pub(super) fn forget_settled(&mut self) {
        self.settled.clear();
    }

    /// Whether an answer has been tried for long enough.
    pub(super) fn is_hopeless(answer: &RefreshAnswer, now: Timestamp) -> bool {
        now.since(answer.at) >= GIVE_UP_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(grant: u128, at: i64) -> RefreshAnswer {
        RefreshAnswer {
            grant: Uuid::from_u128(grant),
            addon: Uuid::from_u128(2).into(),
            credential: Uuid::from_u128(3),
            replaced: 4,
            at: Timestamp::from_seconds(at),
            expires_at: Timestamp::from_seconds(at + 900),
            access_token: "canary-access".into(),
            refresh_token: None,
            instance_url: "https://acme.my.salesforce.com".to_owned(),
        }
    }

    #[test]
    fn a_refused_answer_is_tried_more_and_more_seldom_and_holds_up_its_own_grant_only() {
        let (mut stuck, former, latest) = (Stuck::default(), answer(1, 100), answer(1, 200));
        let mut now = Timestamp::from_seconds(1000);
        let mut waits = Vec::new();
        for _ in 0..11 {
            assert!(stuck.is_due(&latest, now));
            stuck.refused(&latest, now);
            let mut wait = 0;
            while !stuck.is_due(&latest, now) {
                now = now.plus(Duration::from_secs(1));
                wait += 1;
            }
            waits.push(wait);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        stuck.settle(&former);
        assert!(stuck.holds(latest.grant), "another answer of the grant is dealt with, not this one");
        assert!(!stuck.holds(Uuid::from_u128(9)));
        stuck.settle(&latest);
        assert!(!stuck.holds(latest.grant) && stuck.is_settled(&latest));
        assert!(
            stuck.begin_revoking(&former) && !stuck.begin_revoking(&former) && stuck.is_revoking(&former)
        );
        stuck.settle(&former);
        assert!(!stuck.is_revoking(&former));
        assert!(!Stuck::is_hopeless(&latest, Timestamp::from_seconds(86_599)));
        assert!(Stuck::is_hopeless(&latest, Timestamp::from_seconds(86_600)));
    }
}
