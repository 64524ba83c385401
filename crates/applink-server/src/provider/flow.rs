//! Which step of provisioning is next, pure.

use std::time::Duration;

use applink_api::time::Timestamp;

/// Heroku takes an add-on for failed when it is not provisioned within twelve hours.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(12 * 3600);
/// How often a provisioned add-on's attachments are looked at.
pub const SYNC_EVERY: Duration = Duration::from_secs(300);
/// The longest pause between tries.
const LONGEST_PAUSE: u64 = 300;
/// How long a grant can be exchanged when Heroku does not say.
pub const GRANT_LIFETIME: Duration = Duration::from_secs(300);

/// Where a resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Heroku asked for it and has not been told that it is ready.
    Provisioning,
    /// In use.
    Provisioned,
    /// It can't be provisioned; Heroku gives up on it by itself, or asks again.
    Failed,
    /// Heroku asked for its end.
    Deprovisioned,
}

impl State {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Failed => "failed",
            Self::Deprovisioned => "deprovisioned",
        }
    }

    /// Reads what is stored.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Provisioning, Self::Provisioned, Self::Failed, Self::Deprovisioned];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// What a row says about how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Where it stands.
    pub state: State,
    /// When Heroku asked for it.
    pub created_at: Timestamp,
    /// A grant waits to be exchanged.
    pub has_grant: bool,
    /// There are tokens.
    pub has_tokens: bool,
    /// It is known which app it is attached to.
    pub is_attached: bool,
    /// The config vars were set.
    pub is_configured: bool,
}

/// One idempotent step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The grant's code for tokens.
    Exchange,
    /// Ask where the add-on is attached.
    Attach,
    /// Set the config vars.
    Configure,
    /// Say that it is provisioned.
    Announce,
    /// Ask again where it is attached.
    Sync,
    /// Say that it can't be provisioned.
    GiveUp,
    /// Nothing.
    Rest,
}

/// The next step.
pub fn next(facts: Facts, now: Timestamp) -> Step {
    match facts.state {
        State::Failed | State::Deprovisioned => Step::Rest,
        State::Provisioned => Step::Sync,
        State::Provisioning if now.since(facts.created_at) >= GIVE_UP_AFTER => Step::GiveUp,
        State::Provisioning if !facts.has_tokens && facts.has_grant => Step::Exchange,
        State::Provisioning if !facts.has_tokens => Step::GiveUp,
        State::Provisioning if !facts.is_attached => Step::Attach,
        State::Provisioning if !facts.is_configured => Step::Configure,
        State::Provisioning => Step::Announce,
    }
}

/// How long to wait after so many failed tries in a row: 1, 2, 4, … 300 seconds.
pub fn pause(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    Duration::from_secs(2_u64.saturating_pow(doublings).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_come_in_order_and_none_twice() {
        let mut facts = Facts {
            state: State::Provisioning,
            created_at: Timestamp::from_seconds(0),
            has_grant: true,
            has_tokens: false,
            is_attached: false,
            is_configured: false,
        };
        let now = Timestamp::from_seconds(60);
        assert_eq!(next(facts, now), Step::Exchange);
        (facts.has_grant, facts.has_tokens) = (false, true);
        assert_eq!(next(facts, now), Step::Attach);
        facts.is_attached = true;
        assert_eq!(next(facts, now), Step::Configure);
        facts.is_configured = true;
        assert_eq!(next(facts, now), Step::Announce);
        assert_eq!(next(facts, Timestamp::from_seconds(12 * 3600)), Step::GiveUp);
        facts.state = State::Provisioned;
        assert_eq!(next(facts, Timestamp::from_seconds(12 * 3600)), Step::Sync);
        for state in [State::Failed, State::Deprovisioned] {
            assert_eq!(next(Facts { state, ..facts }, now), Step::Rest);
        }
        facts.state = State::Provisioning;
        facts.has_tokens = false;
        assert_eq!(next(facts, now), Step::GiveUp, "neither tokens nor a grant to get some with");
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (0..12).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }
}
