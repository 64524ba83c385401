//! The transitions of a deploy, pure.
//!
//! ```text
//!           intend            sent               done, all in
//! pending ─────────▶ intended ─────▶ deploying ───────────────▶ published
//!    ▲                 │  │ │            └── done, refused ────▶ failed
//!    └── not sent, or ─┘  │ └── refused, or the time is up ────▶ failed
//!        the org has      │
//!        nothing of it    └── the org has it (marker) ─────────▶ published
//! ```
//!
//! `intended` is committed before the package is sent: the Metadata API has no idempotency key, so after a crash or
//! a lost answer the org is asked what became of it before anything is sent again.

use std::time::Duration;

use applink_api::error::{Problem, error_id};
use applink_api::publication::Component;
use applink_api::time::Timestamp;

/// How long a deploy is tried in vain before it is given up.
pub const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Where a deploy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeployState {
    /// Waiting for its turn.
    Pending,
    /// The package may have been sent.
    Intended {
        /// When it was about to be.
        since: Timestamp,
    },
    /// The org works on it.
    Deploying {
        /// The org's id of the deploy (`0Af…`).
        deploy_id: String,
    },
    /// Everything is in.
    Published {
        /// What is in.
        components: Vec<Component>,
    },
    /// Nothing of it is in; what was published before still works.
    Failed(Failure),
}

/// Why a deploy failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of [`applink_api::error::error_id`].
    pub id: String,
    /// One sentence for the person.
    pub message: String,
    /// What the org said of each component.
    pub components: Vec<Component>,
    /// The same as places of the document, where they can be told.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure that is not about components.
    pub fn new(id: &str, message: impl Into<String>) -> Self {
        Self { id: id.to_owned(), message: message.into(), components: Vec::new(), problems: Vec::new() }
    }
}

impl DeployState {
    /// Whether nothing more will happen.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Failed(_))
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Record the intent, then send the package.
    Send,
    /// Ask the org whether an earlier send arrived.
    Settle,
    /// Ask how the deploy goes.
    Poll {
        /// The org's id of the deploy.
        deploy_id: String,
    },
}

/// The step a state asks for; none when it is final.
pub fn next_step(state: &DeployState) -> Option<Step> {
    match state {
        DeployState::Pending => Some(Step::Send),
        DeployState::Intended { .. } => Some(Step::Settle),
        DeployState::Deploying { deploy_id } => Some(Step::Poll { deploy_id: deploy_id.clone() }),
        DeployState::Published { .. } | DeployState::Failed(_) => None,
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The org took the package.
    Sent {
        /// The org's id of the deploy.
        deploy_id: String,
    },
    /// Nothing reached the org.
    NotSent,
    /// Nobody knows whether it did.
    AnswerUnknown,
    /// The org can't be asked at the moment.
    NoAnswer,
    /// The org has nothing of an earlier send, and works on nothing.
    Absent,
    /// The org works on a deploy that may be ours.
    Busy,
    /// The deploy goes on.
    Running,
    /// Everything is in.
    Done {
        /// Id of the External Service registration; empty when the org did not tell it.
        registration_id: String,
        /// What is in.
        components: Vec<Component>,
    },
    /// The org refused.
    Refused(Failure),
}

impl Outcome {
    /// Whether the deploy is no further than before.
    fn is_in_vain(&self) -> bool {
        matches!(self, Self::NotSent | Self::NoAnswer | Self::Absent | Self::Busy | Self::Running)
    }

    /// The same, or a refusal when it has been in vain for [`PATIENCE`]. An outcome comes first: what an org finished
    /// while nobody asked is finished.
    pub fn or_give_up(self, trying_since: Timestamp, now: Timestamp) -> Self {
        if !self.is_in_vain() || now.since(trying_since) <= PATIENCE {
            return self;
        }
        let message =
            "The org did not finish within 30 minutes; look at Setup → Deployment Status, then try again.";
        Self::Refused(Failure::new(error_id::DEPLOY_FAILED, message))
    }
}

/// The next state, and when to look again (none when it is final).
pub fn apply(
    state: &DeployState,
    outcome: Outcome,
    attempt: u32,
    now: Timestamp,
) -> (DeployState, Option<Timestamp>) {
    let later = Some(now.plus(pause(attempt)));
    match outcome {
        Outcome::Sent { deploy_id } => (DeployState::Deploying { deploy_id }, Some(now.plus(pause(0)))),
        // Nothing of it is in the org, so sending again is safe.
        Outcome::NotSent | Outcome::Absent => (DeployState::Pending, later),
        Outcome::AnswerUnknown | Outcome::NoAnswer | Outcome::Busy | Outcome::Running => {
            (state.clone(), later)
        }
        Outcome::Done { components, .. } => (DeployState::Published { components }, None),
        Outcome::Refused(failure) => (DeployState::Failed(failure), None),
    }
}

/// 0.25, 0.5, 1, 2, 4 s, then every 5 s.
pub fn pause(attempt: u32) -> Duration {
    let millis = 250_u64.checked_shl(attempt.min(20)).unwrap_or(u64::MAX);
    Duration::from_millis(millis).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn deploying() -> DeployState {
        DeployState::Deploying { deploy_id: "0Af".to_owned() }
    }

    #[test]
    fn an_unresolved_intent_asks_before_it_sends() {
        let intended = DeployState::Intended { since: NOW };
        assert_eq!(next_step(&intended), Some(Step::Settle));
        assert_eq!(apply(&intended, Outcome::AnswerUnknown, 0, NOW).0, intended);
        assert_eq!(apply(&intended, Outcome::Busy, 0, NOW).0, intended);
        assert_eq!(apply(&intended, Outcome::Absent, 0, NOW).0, DeployState::Pending);
        assert_eq!(apply(&intended, Outcome::NotSent, 0, NOW).0, DeployState::Pending);
        let done = Outcome::Done { registration_id: "0xS".to_owned(), components: Vec::new() };
        let published = DeployState::Published { components: Vec::new() };
        assert_eq!(apply(&intended, done, 0, NOW), (published, None));
    }

    #[test]
    fn a_running_deploy_is_asked_again_and_ends_once() {
        let (state, due) = apply(&deploying(), Outcome::Running, 2, NOW);
        assert_eq!((state, due), (deploying(), Some(NOW.plus(Duration::from_secs(1)))));
        let failure = Failure::new("deploy_failed", "no");
        let (state, due) = apply(&deploying(), Outcome::Refused(failure.clone()), 2, NOW);
        assert_eq!((&state, due), (&DeployState::Failed(failure), None));
        assert!(state.is_final());
        assert_eq!(next_step(&state), None);
    }

    #[test]
    fn only_what_is_in_vain_for_half_an_hour_is_given_up() {
        let (almost, over) = (NOW.plus(PATIENCE), NOW.plus(PATIENCE + Duration::from_secs(1)));
        for in_vain in [Outcome::NotSent, Outcome::NoAnswer, Outcome::Absent, Outcome::Busy, Outcome::Running]
        {
            assert_eq!(in_vain.clone().or_give_up(NOW, almost), in_vain);
            assert!(matches!(in_vain.or_give_up(NOW, over), Outcome::Refused(_)));
        }
        let done = Outcome::Done { registration_id: "0xS".to_owned(), components: Vec::new() };
        let sent = Outcome::Sent { deploy_id: "0Af".to_owned() };
        for further in [done, sent, Outcome::AnswerUnknown] {
            assert_eq!(further.clone().or_give_up(NOW, over), further);
        }
    }

    #[test]
    fn pauses_grow_to_five_seconds() {
        let pauses: Vec<u128> = (0..7).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pause(u32::MAX), Duration::from_secs(5));
    }
}
