//! Who may send a refresh, when, and what an outcome means: a pure step function, so that its schedules (crash,
//! stall, duplicate, lost answer) can be explored without a database.
//!
//! A refresh token may be *rotating*: used once, it is replaced, and using it again kills the whole grant. So:
//!
//! 1. One holder at a time, by a lease with a fence; the intent to send is committed before sending.
//! 2. An outcome that is *not sent* or *answered* resolves the intent.
//! 3. An outcome that is *unknown* (sent, no answer), or an intent whose holder vanished, leaves the grant **in
//!    doubt**, unless sending again is harmless (JWT bearer, or rotation is known to be off).
//! 4. In doubt, nothing is sent while the access token lives. Once it is dead, and lease and deadlines have surely
//!    passed, one last-chance resend is made: if the first never arrived it saves the grant; if it did, the grant
//!    was lost anyway. When that one stays unanswered too, the grant is over, but not before its answer has surely come
//!    as well: no sooner than the last chance itself would be taken. A client's word that the org refuses the token changes nothing in doubt: nobody can verify it, and
//!    the last chance would be spent on it. Nor is the last chance taken while another process may still hold the answer
//!    that could not be committed ([`LeaseState::last_chance_from`], and the pause that its holder writes into the row
//!    when the database is there and refuses it).
//! 5. A new refresh token in an answer sets rotation `on`; three answers without one set it `off`.
//! 6. What failed is tried again after a pause: growing, when it passes by itself; an hour, when somebody has to mend
//!    something first. Pauses are stretched at random, so that what failed together does not come back together.
//! 7. A client may report that the org refuses a token. Whoever does so again and again has another trouble, which
//!    new tokens don't cure: the reports are taken more and more seldom.

use std::time::Duration;

use applink_api::time::Timestamp;

/// How long a holder owns the row.
pub const LEASE: Duration = Duration::from_secs(45);
/// Whole time of the call to the token endpoint.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// A holder with less than this left of its lease sends nothing any more.
pub const LEAST_LEFT: Duration = Duration::from_secs(20);
/// After this part of its life a token is renewed ahead of need.
const RENEW_AT_PERCENT: u64 = 75;
/// After this part of its life a hand-out waits for the renewal.
const WAIT_AT_PERCENT: u64 = 90;
/// A token younger than this is not renewed on a client's word: it saw an older one.
const YOUNG: Duration = Duration::from_secs(2);
/// How old a token must be to be renewed on a client's word, after so many renewals on a client's word in a row.
const FORCED_APART: [Duration; 5] =
    [YOUNG, YOUNG, Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(300)];
/// Answers without a new refresh token after which rotation counts as off.
const ANSWERS_TO_LEARN: u32 = 3;
/// First pause after a failure; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause after failures, and the pause when somebody has to mend something.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// By how many percent a pause is stretched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u32);

impl Jitter {
    /// Not at all.
    pub const NONE: Self = Self(0);
    /// Pauses are stretched by at most this many percent.
    pub const MOST: u32 = 25;

    /// This many percent, at most [`Jitter::MOST`].
    pub fn percent(percent: u32) -> Self {
        Self(percent.min(Self::MOST))
    }

    fn stretched(self, pause: Duration) -> Duration {
        pause.saturating_add(pause.saturating_mul(self.0) / 100)
    }
}

/// What a refusal means for the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is over.
    Ended,
    /// It lives, but the org gives nothing until somebody has mended something.
    ToBeMended,
    /// It passes by itself.
    Passing,
}

/// Whether the org replaces refresh tokens as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// So many answers came without a new refresh token.
    Unknown {
        /// At most two: the third makes it `Off`.
        unrotated: u32,
    },
    /// It does not.
    Off,
    /// It does.
    On,
}

/// What is known of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// Grows with every new access token.
    pub version: i64,
    /// Grows with every claim.
    pub fence: i64,
    /// Until when somebody may be at it.
    pub leased_until: Option<Timestamp>,
    /// A send was announced and its outcome is not recorded yet.
    pub intent: Option<Timestamp>,
    /// A send whose outcome is unknown.
    pub uncertain: Option<Timestamp>,
    /// The one resend of a grant in doubt was made.
    pub last_chance_spent: bool,
    /// Birth of the access token.
    pub issued_at: Timestamp,
    /// Its death, as far as known.
    pub expires_at: Timestamp,
    /// After failures: nothing is sent before.
    pub not_before: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// See [`Rotation`].
    pub rotation: Rotation,
    /// Renewals on a client's word in a row: none of their tokens lived to be renewed by age.
    pub forced: u32,
    /// Sending twice is harmless: JWT bearer.
    pub repeatable: bool,
    /// The org ended it.
    pub dead: bool,
    /// No last chance before this: the database was away, and some process may hold the first answer in its spool.
    /// Known to each process for itself, and in no row.
    pub last_chance_from: Option<Timestamp>,
}

/// What happens to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants a token; one newer than `rejected` when a client saw that version refused by the org.
    Wanted {
        /// The time.
        now: Timestamp,
        /// The version the org refused.
        rejected: Option<i64>,
    },
    /// This process got the lease (the state has the new fence already).
    Claimed {
        /// The time.
        now: Timestamp,
        /// The version it wants to replace.
        seen: i64,
        /// The org refused the access token, however old it is.
        rejected: bool,
    },
    /// The org answered with tokens.
    Renewed {
        /// The holder's fence.
        fence: i64,
        /// The time.
        now: Timestamp,
        /// How long the new access token lives.
        lifetime: Duration,
        /// There was a new refresh token.
        rotated: bool,
        /// It was renewed on a client's word.
        forced: bool,
    },
    /// Nothing was sent.
    NotSent {
        /// The holder's fence.
        fence: i64,
        /// The time.
        now: Timestamp,
        /// See [`Jitter`].
        jitter: Jitter,
    },
    /// The holder stalled before sending, and sends nothing any more.
    Lapsed {
        /// The holder's fence.
        fence: i64,
    },
    /// The org answered no.
    Refused {
        /// The holder's fence.
        fence: i64,
        /// The time.
        now: Timestamp,
        /// What that means.
        verdict: Verdict,
        /// See [`Jitter`].
        jitter: Jitter,
    },
    /// It was sent and there is no answer.
    Unanswered {
        /// The holder's fence.
        fence: i64,
        /// The time.
        now: Timestamp,
        /// See [`Jitter`].
        jitter: Jitter,
    },
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The access token is good.
    HandOut,
    /// It is good; renew it in the background.
    HandOutAndRenew,
    /// Claim, renew, and look again.
    Renew,
    /// Somebody else is at it: look again soon.
    AwaitHolder,
    /// Write the state, commit, and send.
    Send {
        /// The one resend of a grant in doubt.
        last_chance: bool,
    },
    /// Write the state and look again: there is nothing to send.
    Release,
    /// Write the state; the new tokens are the grant's.
    Store,
    /// Change nothing: the lease was lost.
    Discard,
    /// Come back after this time.
    RetryAfter(Duration),
    /// A client reports a refused token too often: come back after this time.
    TooSoon(Duration),
    /// The grant is over: a person must connect again.
    Reauth,
}

/// One step: the next state and what to do.
pub fn step(state: &LeaseState, event: Event) -> (LeaseState, Effect) {
    match event {
        Event::Wanted { now, rejected } => (state.clone(), wanted(state, now, rejected)),
        Event::Claimed { now, seen, rejected } => claimed(state, now, seen, rejected),
        Event::Renewed { fence, .. }
        | Event::NotSent { fence, .. }
        | Event::Lapsed { fence }
        | Event::Refused { fence, .. }
        | Event::Unanswered { fence, .. }
            if fence != state.fence =>
        {
            (state.clone(), Effect::Discard)
        }
        Event::Renewed { now, lifetime, rotated, forced, .. } => {
            renewed(state, now, lifetime, rotated, forced)
        }
        Event::Refused { verdict: Verdict::Ended, .. } => {
            (LeaseState { dead: true, ..state.released() }, Effect::Reauth)
        }
        // Nobody is at fault: whoever wants the token claims again.
        Event::Lapsed { .. } => (state.unspent(), Effect::Release),
        Event::NotSent { now, jitter, .. }
        | Event::Refused { now, verdict: Verdict::Passing, jitter, .. } => {
            (state.unspent().paused(now, jitter), Effect::Release)
        }
        Event::Refused { now, verdict: Verdict::ToBeMended, jitter, .. } => {
            (state.unspent().paused_until_mended(now, jitter), Effect::Release)
        }
        Event::Unanswered { now, jitter, .. } => unanswered(state, now, jitter),
    }
}

fn wanted(state: &LeaseState, now: Timestamp, rejected: Option<i64>) -> Effect {
    if state.dead {
        return Effect::Reauth;
    }
    let age = now.since(state.issued_at);
    let refused = rejected == Some(state.version) && age >= YOUNG && state.doubt().is_none();
    if refused
        && !state.is_old(now)
        && let Some(wait) = state.forced_apart().checked_sub(age).filter(|wait| !wait.is_zero())
    {
        return Effect::TooSoon(wait);
    }
    let usable = now < state.expires_at && !refused;
    let must_renew = !usable || now >= state.at_percent(WAIT_AT_PERCENT);
    if state.leased_until.is_some_and(|until| now < until) {
        return if must_renew { Effect::AwaitHolder } else { Effect::HandOut };
    }
    match state.may_send(now, usable) {
        MaySend::Now { .. } if must_renew => Effect::Renew,
        MaySend::Now { .. } if state.is_old(now) => Effect::HandOutAndRenew,
        MaySend::Now { .. } => Effect::HandOut,
        _ if usable => Effect::HandOut,
        MaySend::After(wait) => Effect::RetryAfter(wait),
        // Claimed, so that the death is recorded under the lease.
        MaySend::Never => Effect::Renew,
    }
}

fn claimed(state: &LeaseState, now: Timestamp, seen: i64, rejected: bool) -> (LeaseState, Effect) {
    if state.dead {
        return (state.released(), Effect::Reauth);
    }
    let doubtful_since = state.doubt();
    if state.version != seen {
        return (LeaseState { uncertain: doubtful_since, ..state.released() }, Effect::Release);
    }
    let usable = now < state.expires_at && (!rejected || doubtful_since.is_some());
    match state.may_send(now, usable) {
        MaySend::Now { last_chance } => {
            let next = LeaseState {
                intent: Some(now),
                uncertain: doubtful_since,
                last_chance_spent: state.last_chance_spent || last_chance,
                ..state.clone()
            };
            (next, Effect::Send { last_chance })
        }
        MaySend::After(_) => (LeaseState { uncertain: doubtful_since, ..state.released() }, Effect::Release),
        MaySend::Never => (LeaseState { dead: true, ..state.released() }, Effect::Reauth),
    }
}

fn renewed(
    state: &LeaseState,
    now: Timestamp,
    lifetime: Duration,
    rotated: bool,
    forced: bool,
) -> (LeaseState, Effect) {
    let rotation = match state.rotation {
        _ if rotated => Rotation::On,
        Rotation::Unknown { unrotated } if unrotated + 1 < ANSWERS_TO_LEARN => {
            Rotation::Unknown { unrotated: unrotated + 1 }
        }
        Rotation::Unknown { .. } => Rotation::Off,
        known => known,
    };
    let next = LeaseState {
        version: state.version + 1,
        issued_at: now,
        expires_at: now.plus(lifetime),
        last_chance_spent: false,
        uncertain: None,
        not_before: None,
        failures: 0,
        rotation,
        forced: if forced { state.forced.saturating_add(1) } else { 0 },
        ..state.released()
    };
    (next, Effect::Store)
}

fn unanswered(state: &LeaseState, now: Timestamp, jitter: Jitter) -> (LeaseState, Effect) {
    if state.replay_is_harmless() {
        return (state.released().paused(now, jitter), Effect::Release);
    }
    let uncertain = state.uncertain.or(state.intent).or(Some(now));
    (LeaseState { uncertain, ..state.released() }, Effect::Release)
}

enum MaySend {
    Now { last_chance: bool },
    After(Duration),
    Never,
}

impl LeaseState {
    fn replay_is_harmless(&self) -> bool {
        self.repeatable || self.rotation == Rotation::Off
    }

    /// Since when it is unknown whether the refresh token was used.
    fn doubt(&self) -> Option<Timestamp> {
        // An intent beside an older doubt is the last chance's.
        if self.replay_is_harmless() { None } else { self.uncertain.max(self.intent) }
    }

    fn may_send(&self, now: Timestamp, usable: bool) -> MaySend {
        let paused_until = self.not_before.filter(|not_before| now < *not_before);
        if let Some(since) = self.doubt() {
            let surely_over = since.plus(LEASE).plus(DEADLINE).plus(DEADLINE);
            let from = self.last_chance_from.map_or(surely_over, |from| from.max(surely_over));
            return match paused_until {
                _ if usable => MaySend::After(self.expires_at.since(now)),
                _ if now < from => MaySend::After(from.since(now)),
                Some(not_before) => MaySend::After(not_before.since(now)),
                None if self.last_chance_spent => MaySend::Never,
                None => MaySend::Now { last_chance: true },
            };
        }
        match paused_until {
            Some(not_before) => MaySend::After(not_before.since(now)),
            None => MaySend::Now { last_chance: false },
        }
    }

    /// Whether it is time to renew the token ahead of need.
    pub fn is_old(&self, now: Timestamp) -> bool {
        now >= self.at_percent(RENEW_AT_PERCENT)
    }

    fn at_percent(&self, percent: u64) -> Timestamp {
        let life = self.expires_at.since(self.issued_at);
        self.issued_at.plus(life.mul_f64(percent as f64 / 100.0))
    }

    fn released(&self) -> Self {
        Self { leased_until: None, intent: None, ..self.clone() }
    }

    /// Nothing was used up: a last chance that was not taken is still there.
    fn unspent(&self) -> Self {
        Self { last_chance_spent: false, ..self.released() }
    }

    fn paused(self, now: Timestamp, jitter: Jitter) -> Self {
        let failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE);
        Self { failures, not_before: Some(now.plus(jitter.stretched(pause))), ..self }
    }

    fn paused_until_mended(self, now: Timestamp, jitter: Jitter) -> Self {
        let failures = self.failures.saturating_add(1);
        Self { failures, not_before: Some(now.plus(jitter.stretched(LONGEST_PAUSE))), ..self }
    }

    /// How old the token must be to be renewed on a client's word.
    fn forced_apart(&self) -> Duration {
        let index = usize::try_from(self.forced).unwrap_or(usize::MAX).min(FORCED_APART.len() - 1);
        FORCED_APART[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORN: Timestamp = Timestamp::from_seconds(10_000);
    const LIFE: Duration = Duration::from_secs(1000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(10_000 + seconds)
    }

    fn grant() -> LeaseState {
        LeaseState {
            version: 7,
            fence: 3,
            leased_until: None,
            intent: None,
            uncertain: None,
            last_chance_spent: false,
            issued_at: BORN,
            expires_at: BORN.plus(LIFE),
            not_before: None,
            failures: 0,
            rotation: Rotation::Unknown { unrotated: 0 },
            forced: 0,
            repeatable: false,
            dead: false,
            last_chance_from: None,
        }
    }

    fn want(state: &LeaseState, seconds: i64) -> Effect {
        step(state, Event::Wanted { now: at(seconds), rejected: None }).1
    }

    fn claim(state: &LeaseState, seconds: i64) -> (LeaseState, Effect) {
        step(state, Event::Claimed { now: at(seconds), seen: state.version, rejected: false })
    }

    fn refused(now: Timestamp, verdict: Verdict) -> Event {
        Event::Refused { fence: 3, now, verdict, jitter: Jitter::NONE }
    }

    #[test]
    fn age_decides_between_handing_out_and_renewing() {
        assert_eq!(want(&grant(), 0), Effect::HandOut);
        assert_eq!(want(&grant(), 749), Effect::HandOut);
        assert_eq!(want(&grant(), 750), Effect::HandOutAndRenew);
        assert_eq!(want(&grant(), 899), Effect::HandOutAndRenew);
        assert_eq!(want(&grant(), 900), Effect::Renew);
        assert_eq!(want(&grant(), 5000), Effect::Renew);
    }

    #[test]
    fn a_held_lease_is_awaited_only_by_those_who_need_it() {
        let held = LeaseState { leased_until: Some(at(800)), ..grant() };
        assert_eq!(want(&held, 760), Effect::HandOut);
        let held = LeaseState { leased_until: Some(at(2000)), ..grant() };
        assert_eq!(want(&held, 1000), Effect::AwaitHolder);
    }

    #[test]
    fn a_rejected_token_is_renewed_unless_it_is_newer_or_very_young() {
        let reject =
            |seconds, version| step(&grant(), Event::Wanted { now: at(seconds), rejected: Some(version) }).1;
        assert_eq!(reject(60, 7), Effect::Renew);
        assert_eq!(reject(60, 6), Effect::HandOut, "the client saw an older one");
        assert_eq!(reject(1, 7), Effect::HandOut, "it was just made");
    }

    #[test]
    fn the_intent_is_written_before_sending_and_resolved_by_the_answer() {
        let (sent, effect) = claim(&grant(), 900);
        assert_eq!(effect, Effect::Send { last_chance: false });
        assert_eq!(sent.intent, Some(at(900)));
        let event = Event::Renewed { fence: 3, now: at(901), lifetime: LIFE, rotated: true, forced: false };
        let (stored, effect) = step(&sent, event);
        assert_eq!(effect, Effect::Store);
        assert_eq!((stored.version, stored.intent, stored.rotation), (8, None, Rotation::On));
        assert_eq!(stored.expires_at, at(901).plus(LIFE));
    }

    #[test]
    fn a_lost_lease_changes_nothing() {
        let event = Event::Renewed { fence: 2, now: at(901), lifetime: LIFE, rotated: true, forced: false };
        assert_eq!(step(&grant(), event), (grant(), Effect::Discard));
    }

    #[test]
    fn three_answers_without_a_new_refresh_token_turn_rotation_off() {
        let mut state = grant();
        for _ in 0..3 {
            assert_ne!(state.rotation, Rotation::Off);
            let event =
                Event::Renewed { fence: 3, now: at(1), lifetime: LIFE, rotated: false, forced: false };
            state = step(&state, event).0;
        }
        assert_eq!(state.rotation, Rotation::Off);
    }

    #[test]
    fn in_doubt_nothing_is_sent_while_the_token_lives_and_one_last_chance_after() {
        let (sent, _) = claim(&grant(), 800);
        let (doubtful, _) = step(&sent, Event::Unanswered { fence: 3, now: at(810), jitter: Jitter::NONE });
        assert_eq!(doubtful.uncertain, Some(at(800)), "counted from the intent");
        assert_eq!(want(&doubtful, 950), Effect::HandOut, "no renewal, it still lives");
        assert_eq!(claim(&doubtful, 950).1, Effect::Release);
        assert_eq!(want(&doubtful, 1000), Effect::Renew);
        let (again, effect) = claim(&doubtful, 1000);
        assert_eq!(effect, Effect::Send { last_chance: true });
        let (spent, _) = step(&again, Event::Unanswered { fence: 3, now: at(1010), jitter: Jitter::NONE });
        let (dead, effect) = claim(&spent, 2000);
        assert_eq!((dead.dead, effect), (true, Effect::Reauth), "there is no second last chance");
    }

    #[test]
    fn the_last_chance_waits_until_the_first_send_is_surely_over() {
        let doubtful = LeaseState { uncertain: Some(at(990)), ..grant() };
        assert_eq!(want(&doubtful, 1010), Effect::RetryAfter(Duration::from_secs(45)));
        assert_eq!(want(&doubtful, 1055), Effect::Renew);
    }

    #[test]
    fn in_doubt_a_clients_word_neither_renews_nor_spends_the_last_chance() {
        let doubtful = LeaseState { uncertain: Some(at(100)), ..grant() };
        let reported = |seconds| step(&doubtful, Event::Wanted { now: at(seconds), rejected: Some(7) }).1;
        assert_eq!(reported(200), Effect::HandOut);
        assert_eq!(reported(999), Effect::HandOut);
        assert_eq!(reported(1000), Effect::Renew, "only its death decides");
        let claimed = |seconds| step(&doubtful, Event::Claimed { now: at(seconds), seen: 7, rejected: true });
        let (released, effect) = claimed(200);
        assert_eq!((released.last_chance_spent, effect), (false, Effect::Release));
        assert_eq!(claimed(1000).1, Effect::Send { last_chance: true });
    }

    #[test]
    fn the_last_chance_waits_for_what_other_processes_may_hold() {
        let doubtful = LeaseState { uncertain: Some(at(100)), last_chance_from: Some(at(1060)), ..grant() };
        assert_eq!(want(&doubtful, 999), Effect::HandOut);
        assert_eq!(want(&doubtful, 1000), Effect::RetryAfter(Duration::from_secs(60)));
        assert_eq!(claim(&doubtful, 1059).1, Effect::Release);
        assert_eq!(claim(&doubtful, 1060).1, Effect::Send { last_chance: true });
        let certain = LeaseState { last_chance_from: Some(at(2000)), ..grant() };
        assert_eq!(want(&certain, 1000), Effect::Renew, "without a doubt nothing waits");
        let held_elsewhere = LeaseState { not_before: Some(at(2000)), ..doubtful };
        assert_eq!(want(&held_elsewhere, 1060), Effect::RetryAfter(Duration::from_secs(940)));
        assert_eq!(claim(&held_elsewhere, 1999).1, Effect::Release);
        assert_eq!(claim(&held_elsewhere, 2000).1, Effect::Send { last_chance: true });
    }

    #[test]
    fn a_spent_last_chance_ends_the_grant_only_when_nobody_can_hold_its_answer_any_more() {
        let wait = |seconds| Effect::RetryAfter(Duration::from_secs(seconds));
        let doubtful = LeaseState { uncertain: Some(at(100)), ..grant() };
        // Its holder vanished, or has the answer in its spool.
        let (spent, effect) = claim(&doubtful, 1000);
        assert_eq!(effect, Effect::Send { last_chance: true });
        assert_eq!(want(&spent, 1046), wait(19), "counted from the last chance, not from the first doubt");
        let (released, effect) = claim(&spent, 1046);
        assert_eq!((released.dead, effect), (false, Effect::Release));
        assert_eq!(want(&released, 1046), wait(19), "a claim that comes in between changes nothing");
        assert_eq!(want(&released, 1065), Effect::Renew);
        assert_eq!(claim(&released, 1065).1, Effect::Reauth);

        let after_outage = LeaseState { last_chance_from: Some(at(1100)), ..spent.clone() };
        assert_eq!(want(&after_outage, 1099), wait(1));
        assert_eq!(claim(&after_outage, 1099).1, Effect::Release);
        assert_eq!(claim(&after_outage, 1100).1, Effect::Reauth);

        let held_elsewhere = LeaseState { not_before: Some(at(1600)), ..spent };
        assert_eq!(want(&held_elsewhere, 1100), wait(500));
        assert_eq!(claim(&held_elsewhere, 1599).1, Effect::Release);
        assert_eq!(claim(&held_elsewhere, 1600).1, Effect::Reauth);
    }

    #[test]
    fn a_last_chance_that_used_nothing_up_is_still_there_after_a_pause() {
        let doubtful = LeaseState { uncertain: Some(at(800)), ..grant() };
        let (sent, effect) = claim(&doubtful, 1000);
        assert_eq!(effect, Effect::Send { last_chance: true });
        for unused in [
            Event::NotSent { fence: 3, now: at(1001), jitter: Jitter::NONE },
            refused(at(1001), Verdict::Passing),
        ] {
            let (state, effect) = step(&sent, unused);
            assert_eq!(effect, Effect::Release);
            assert_eq!(state.uncertain, Some(at(800)), "the first send is as doubtful as before");
            assert_eq!(want(&state, 1001), Effect::RetryAfter(FIRST_PAUSE));
            assert_eq!(claim(&state, 1003).1, Effect::Send { last_chance: true }, "{unused:?}");
        }
    }

    #[test]
    fn an_intent_whose_holder_vanished_is_a_doubt_too() {
        let abandoned = LeaseState { intent: Some(at(700)), leased_until: Some(at(745)), ..grant() };
        assert_eq!(want(&abandoned, 950), Effect::HandOut);
        let harmless = LeaseState { rotation: Rotation::Off, ..abandoned.clone() };
        assert_eq!(want(&harmless, 950), Effect::Renew);
        assert_eq!(claim(&harmless, 950).1, Effect::Send { last_chance: false });
        let jwt = LeaseState { repeatable: true, ..abandoned };
        assert_eq!(claim(&jwt, 950).1, Effect::Send { last_chance: false });
    }

    #[test]
    fn what_was_not_sent_is_tried_again_after_a_growing_pause() {
        let mut state = grant();
        let mut pauses = Vec::new();
        for _ in 0..14 {
            state = step(&state, Event::NotSent { fence: 3, now: at(1000), jitter: Jitter::NONE }).0;
            pauses.push(state.not_before.unwrap().since(at(1000)).as_secs());
        }
        assert_eq!(pauses[..4], [2, 4, 8, 16]);
        assert_eq!(pauses.last(), Some(&3600));
        assert_eq!(want(&state, 1000), Effect::RetryAfter(LONGEST_PAUSE));
        assert_eq!(want(&state, 5), Effect::HandOut);
    }

    #[test]
    fn only_a_refusal_that_ends_the_grant_kills_it() {
        let (sent, _) = claim(&grant(), 900);
        let (alive, _) = step(&sent, refused(at(901), Verdict::Passing));
        assert!(!alive.dead);
        let (dead, effect) = step(&sent, refused(at(901), Verdict::Ended));
        assert_eq!((dead.dead, effect), (true, Effect::Reauth));
        assert_eq!(want(&dead, 902), Effect::Reauth);
    }

    #[test]
    fn a_claim_that_comes_too_late_sends_nothing() {
        let event = Event::Claimed { now: at(900), seen: 6, rejected: false };
        assert_eq!(step(&grant(), event).1, Effect::Release);
        let abandoned = LeaseState { intent: Some(at(800)), ..grant() };
        let (released, _) = step(&abandoned, event);
        assert_eq!(released.uncertain, Some(at(800)), "an unresolved intent is not forgotten");
    }

    #[test]
    fn what_somebody_must_mend_is_asked_for_once_an_hour() {
        let (sent, _) = claim(&grant(), 1000);
        let (paused, _) = step(&sent, refused(at(1000), Verdict::ToBeMended));
        assert_eq!(want(&paused, 1000), Effect::RetryAfter(LONGEST_PAUSE));
        assert_eq!(want(&paused, 4599), Effect::RetryAfter(Duration::from_secs(1)));
        assert_eq!(want(&paused, 4600), Effect::Renew);
    }

    #[test]
    fn a_pause_is_stretched_by_chance_and_never_cut() {
        let event = |percent| Event::NotSent { fence: 3, now: at(1000), jitter: Jitter::percent(percent) };
        let pause = |percent| step(&grant(), event(percent)).0.not_before.unwrap().since(at(1000));
        assert_eq!(pause(0), FIRST_PAUSE);
        assert_eq!(pause(25), Duration::from_millis(2500));
        assert_eq!(pause(90), pause(25));
    }

    #[test]
    fn a_client_that_reports_again_and_again_is_believed_more_and_more_seldom() {
        let mut state = grant();
        let mut waits = Vec::new();
        for _ in 0..6 {
            let born = state.issued_at;
            let asked = Event::Wanted { now: born.plus(YOUNG), rejected: Some(state.version) };
            waits.push(match step(&state, asked).1 {
                Effect::Renew => 0,
                Effect::TooSoon(wait) => wait.as_secs(),
                other => panic!("{other:?}"),
            });
            let now = born.plus(YOUNG);
            let renewed = Event::Renewed { fence: 3, now, lifetime: LIFE, rotated: false, forced: true };
            state = step(&state, renewed).0;
        }
        assert_eq!(waits, [0, 0, 13, 58, 298, 298]);
        let by_age =
            Event::Renewed { fence: 3, now: at(9000), lifetime: LIFE, rotated: false, forced: false };
        assert_eq!(step(&state, by_age).0.forced, 0);
    }

    #[test]
    fn who_stalls_before_sending_leaves_no_pause_and_no_doubt() {
        let (held, _) = claim(&grant(), 1000);
        let (free, effect) = step(&held, Event::Lapsed { fence: 3 });
        assert_eq!((free.intent, free.not_before, free.failures, effect), (None, None, 0, Effect::Release));
        assert_eq!(want(&free, 1001), Effect::Renew);
    }
}
