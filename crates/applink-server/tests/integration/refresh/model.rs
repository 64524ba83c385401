//! A small world around the lease protocol: one grant, an org that may rotate its refresh tokens and ends the grant when
//! a used one comes again, three processes, and a clock. Every move is one of the moments between which a process can
//! be stopped; what a process writes is conditional on fence and version, as in the database.

use std::collections::HashSet;
use std::time::Duration;

use applink_api::entropy::Entropy;
use applink_api::time::Timestamp;
use applink_server::tokens::lease::{
    Effect, Event, Jitter, LEASE, LEAST_LEFT, LeaseState, Rotation, Verdict, step,
};

use crate::stack::START;

/// How many processes share the grant.
pub(super) const PROCESSES: usize = 3;
/// How long an access token lives.
pub(super) const LIFETIME: Duration = Duration::from_secs(900);
/// Steps of the clock, in seconds. No sum of few of them meets a limit of the protocol exactly.
const STEPS: [u64; 6] = [11, 37, 53, 71, 307, 1009];

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Answered,
    /// It is dealt with, and the answer gets lost.
    AnswerLost,
    /// It gets lost.
    RequestLost,
    /// The same refresh is being handled already, says the org.
    Busy,
    /// The user is inactive, says the org.
    Refused,
}

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// A process looks at the row because somebody wants a token.
    Look(usize),
    /// It looks because a client says that the org refuses the token.
    Reject(usize),
    /// It claims the lease.
    Claim(usize),
    /// It sends.
    Send(usize, Fate),
    /// It writes what came of it.
    Record(usize),
    /// It writes that twice: it did not learn that the first time worked.
    RecordTwice(usize),
    /// It is killed, and forgets everything.
    Crash(usize),
    /// Time passes; who is at something has stalled.
    Wait(u64),
}

/// What a process is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Idle,
    Looked { seen: i64, rejected: bool },
    Holding(Holding),
    Back { seen: i64, state: LeaseState, forced: bool, outcome: Outcome },
}

/// The lease, and what was opened under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    seen: i64,
    state: LeaseState,
    since: Timestamp,
    last_chance: bool,
    /// A client's word is why.
    forced: bool,
    /// The refresh token the row had.
    refresh: u32,
}

/// What a holder knows after its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Tokens { access: u32, refresh: Option<u32> },
    Refused(Verdict),
    Lapsed,
    Unknown,
}

/// The org's side of the grant.
#[derive(Clone, Debug)]
struct Org {
    rotates: bool,
    /// The refresh token that is good, while the grant lives.
    current: u32,
    alive: bool,
    spent: HashSet<u32>,
    serial: u32,
}

/// What must never happen, counted; and what may, counted too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// A token pair was overwritten by an older one, or valid tokens written under a valid lease are not the row's.
    pub(super) lost_updates: u32,
    /// A used refresh token was sent although a token that was handed out still worked, or not as the last chance.
    pub(super) harmful_replays: u32,
    /// Last chances in one doubt beyond the first that was used up.
    pub(super) second_last_chances: u32,
    /// A dead or foreign token was handed out.
    pub(super) wrong_hand_outs: u32,
    /// The grant ended although nothing was lost, nobody stalled or crashed.
    pub(super) needless_deaths: u32,
    /// Last chances that were sent.
    pub(super) last_chances: u32,
    /// Grants that ended because an answer was lost.
    pub(super) deaths: u32,
    /// Tokens of holders that had lost their lease, which became the row's.
    pub(super) late_adopted: u32,
}

impl Counts {
    /// How often something happened that must not.
    pub(super) fn broken(&self) -> u32 {
        self.lost_updates
            + self.harmful_replays
            + self.second_last_chances
            + self.wrong_hand_outs
            + self.needless_deaths
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lost_updates += other.lost_updates;
        self.harmful_replays += other.harmful_replays;
        self.second_last_chances += other.second_last_chances;
        self.wrong_hand_outs += other.wrong_hand_outs;
        self.needless_deaths += other.needless_deaths;
        self.last_chances += other.last_chances;
        self.deaths += other.deaths;
        self.late_adopted += other.late_adopted;
    }
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) row: LeaseState,
    /// The row's tokens.
    access: u32,
    refresh: u32,
    org: Org,
    pub(super) processes: [Process; PROCESSES],
    pub(super) counts: Counts,
    /// Whether something that may cost the grant happened: an answer lost, a holder crashed or stalled after sending.
    disturbed: bool,
    /// Whether the last chance of the present doubt was used up.
    chance_used: bool,
}

impl World {
    pub(super) fn new(rotates: bool) -> Self {
        let row = LeaseState {
            version: 1,
            fence: 0,
            leased_until: None,
            intent: None,
            uncertain: None,
            last_chance_spent: false,
            issued_at: START,
            expires_at: START.plus(LIFETIME),
            not_before: None,
            failures: 0,
            rotation: Rotation::Unknown { unrotated: 0 },
            forced: 0,
            repeatable: false,
            dead: false,
            last_chance_from: None,
        };
        Self {
            now: START,
            row,
            access: 0,
            refresh: 0,
            org: Org { rotates, current: 0, alive: true, spent: HashSet::new(), serial: 0 },
            processes: [const { Process::Idle }; PROCESSES],
            counts: Counts::default(),
            disturbed: false,
            chance_used: false,
        }
    }

    /// A move that is possible now.
    pub(super) fn choose(&self, chance: &Entropy) -> Move {
        let process = usize::try_from(chance.below(PROCESSES as u64)).unwrap();
        if chance.below(5) == 0 {
            let step = usize::try_from(chance.below(STEPS.len() as u64)).unwrap();
            return Move::Wait(STEPS[step]);
        }
        match &self.processes[process] {
            Process::Idle if chance.below(4) == 0 => Move::Reject(process),
            Process::Idle => Move::Look(process),
            _ if chance.below(12) == 0 => Move::Crash(process),
            Process::Looked { .. } if self.is_leased() => Move::Wait(STEPS[0]),
            Process::Looked { .. } => Move::Claim(process),
            Process::Holding(_) => Move::Send(process, fate(chance)),
            Process::Back { .. } if chance.below(8) == 0 => Move::RecordTwice(process),
            Process::Back { .. } => Move::Record(process),
        }
    }

    fn is_leased(&self) -> bool {
        self.row.leased_until.is_some_and(|until| self.now < until)
    }

    pub(super) fn play(&mut self, next: Move) {
        match next {
            Move::Look(process) => self.look(process, None),
            Move::Reject(process) => self.look(process, Some(self.row.version)),
            Move::Claim(process) => self.claim(process),
            Move::Send(process, fate) => self.send(process, fate),
            Move::Record(process) => self.record(process),
            Move::RecordTwice(process) => {
                let again = self.processes[process].clone();
                self.record(process);
                if matches!(again, Process::Back { outcome: Outcome::Tokens { .. }, .. }) {
                    let first = (self.row.clone(), self.access, self.refresh);
                    self.processes[process] = again;
                    self.record(process);
                    let second = (self.row.clone(), self.access, self.refresh);
                    self.counts.lost_updates += u32::from(first != second);
                }
            }
            Move::Crash(process) => {
                let was = std::mem::replace(&mut self.processes[process], Process::Idle);
                self.disturbed |= matches!(was, Process::Holding(_) | Process::Back { .. });
            }
            Move::Wait(seconds) => {
                self.now = self.now.plus(Duration::from_secs(seconds));
                let is_busy =
                    |process: &Process| matches!(process, Process::Holding(_) | Process::Back { .. });
                self.disturbed |= self.processes.iter().any(is_busy);
            }
        }
    }

    fn look(&mut self, process: usize, rejected: Option<i64>) {
        let effect = step(&self.row, Event::Wanted { now: self.now, rejected }).1;
        if matches!(effect, Effect::HandOut | Effect::HandOutAndRenew) && self.now >= self.row.expires_at {
            self.counts.wrong_hand_outs += 1;
        }
        if matches!(effect, Effect::Renew | Effect::HandOutAndRenew) {
            let rejected = rejected.is_some() && effect == Effect::Renew;
            self.processes[process] = Process::Looked { seen: self.row.version, rejected };
        }
    }

    fn claim(&mut self, process: usize) {
        let Process::Looked { seen, rejected } = self.processes[process] else { return };
        self.processes[process] = Process::Idle;
        if self.row.dead || self.is_leased() {
            return;
        }
        self.row.fence += 1;
        self.row.leased_until = Some(self.now.plus(LEASE));
        let forced = rejected && !self.row.is_old(self.now);
        let (state, effect) = step(&self.row, Event::Claimed { now: self.now, seen, rejected });
        // The row is as the holder read it, so the write is unconditional here.
        self.row = state.clone();
        match effect {
            Effect::Send { last_chance } => {
                let (seen, refresh) = (self.row.version, self.refresh);
                let holding = Holding { seen, state, since: self.now, last_chance, forced, refresh };
                self.processes[process] = Process::Holding(holding);
            }
            Effect::Reauth => self.die(),
            _ => {}
        }
    }

    fn send(&mut self, process: usize, fate: Fate) {
        let Process::Holding(holding) = self.processes[process].clone() else { return };
        let too_late = LEASE.saturating_sub(self.now.since(holding.since)) < LEAST_LEFT;
        // A last chance is looked at once more.
        let vain = holding.last_chance && !self.may_write(holding.seen, &holding.state);
        let outcome = if too_late || vain { Outcome::Lapsed } else { self.deliver(fate, &holding) };
        let Holding { seen, state, forced, .. } = holding;
        self.processes[process] = Process::Back { seen, state, forced, outcome };
    }

    fn deliver(&mut self, fate: Fate, holding: &Holding) -> Outcome {
        match fate {
            Fate::Busy => return Outcome::Refused(Verdict::Passing),
            Fate::Refused => return Outcome::Refused(Verdict::ToBeMended),
            Fate::Answered | Fate::AnswerLost | Fate::RequestLost => {}
        }
        if holding.last_chance {
            self.counts.last_chances += 1;
            self.counts.second_last_chances += u32::from(self.chance_used);
            self.chance_used = true;
        }
        if fate == Fate::RequestLost {
            self.disturbed = true;
            return Outcome::Unknown;
        }
        let answer = self.org_answers(holding.refresh, holding.last_chance);
        if fate == Fate::AnswerLost {
            self.disturbed = true;
            return Outcome::Unknown;
        }
        answer
    }

    fn org_answers(&mut self, sent: u32, last_chance: bool) -> Outcome {
        if self.org.spent.contains(&sent) {
            let works = self.now < self.row.expires_at;
            self.counts.harmful_replays += u32::from(works || !last_chance);
            self.org.alive = false;
        }
        if !self.org.alive || sent != self.org.current {
            return Outcome::Refused(Verdict::Ended);
        }
        self.org.serial += 1;
        let access = self.org.serial;
        if !self.org.rotates {
            return Outcome::Tokens { access, refresh: None };
        }
        self.org.spent.insert(sent);
        self.org.current = access;
        Outcome::Tokens { access, refresh: Some(access) }
    }

    fn may_write(&self, seen: i64, state: &LeaseState) -> bool {
        !self.row.dead && self.row.fence == state.fence && self.row.version == seen
    }

    fn record(&mut self, process: usize) {
        let was = std::mem::replace(&mut self.processes[process], Process::Idle);
        let Process::Back { seen, state, forced, outcome } = was else { return };
        let (fence, now, jitter) = (state.fence, self.now, Jitter::NONE);
        let event = match outcome {
            Outcome::Tokens { refresh, .. } => {
                let (lifetime, rotated) = (LIFETIME, refresh.is_some());
                Event::Renewed { fence, now, lifetime, rotated, forced }
            }
            Outcome::Refused(verdict) => Event::Refused { fence, now, verdict, jitter },
            Outcome::Lapsed => Event::Lapsed { fence },
            Outcome::Unknown => Event::Unanswered { fence, now, jitter },
        };
        let (next, effect) = step(&state, event);
        if !self.may_write(seen, &state) {
            if let Outcome::Tokens { access, refresh } = outcome {
                self.come_late(seen, access, refresh);
            }
            return;
        }
        if effect == Effect::Reauth {
            return self.die();
        }
        self.row = next;
        if let Outcome::Tokens { access, refresh } = outcome {
            self.keep(access, refresh);
        }
    }

    /// Tokens of a holder whose lease was lost: the row's, while it has those they replaced.
    fn come_late(&mut self, seen: i64, access: u32, refresh: Option<u32>) {
        if self.row.dead {
            // They are nobody's, and revoked.
            self.org.alive &= refresh.is_none();
        } else if self.row.version == seen {
            let (fence, now, lifetime) = (self.row.fence, self.now, LIFETIME);
            let event = Event::Renewed { fence, now, lifetime, rotated: refresh.is_some(), forced: false };
            self.row = step(&self.row, event).0;
            self.counts.late_adopted += 1;
            self.keep(access, refresh);
        }
    }

    fn keep(&mut self, access: u32, refresh: Option<u32>) {
        let older = access <= self.access || refresh.is_some_and(|refresh| refresh <= self.refresh);
        self.access = access;
        self.refresh = refresh.unwrap_or(self.refresh);
        let foreign = self.org.alive && self.refresh != self.org.current;
        self.counts.lost_updates += u32::from(older || foreign);
        // One whose answer comes late may find that somebody else's last chance has ended the grant.
        (self.chance_used, self.disturbed) = (false, !self.org.alive);
    }

    fn die(&mut self) {
        self.row = LeaseState { dead: true, leased_until: None, intent: None, ..self.row.clone() };
        self.counts.deaths += 1;
        self.counts.needless_deaths += u32::from(!self.disturbed);
    }

    /// Whether the org would take the row's refresh token.
    pub(super) fn has_good_refresh_token(&self) -> bool {
        self.org.alive && self.refresh == self.org.current
    }

    /// Everybody finishes, time passes, and one more token is wanted: it must come, or the grant be dead.
    pub(super) fn settle(&mut self) -> bool {
        for process in 0..PROCESSES {
            self.play(Move::Record(process));
            self.processes[process] = Process::Idle;
        }
        for _ in 0..3 {
            self.play(Move::Wait(5000));
            for next in [Move::Look(0), Move::Claim(0), Move::Send(0, Fate::Answered), Move::Record(0)] {
                self.play(next);
            }
        }
        self.row.dead || self.now < self.row.expires_at
    }
}

fn fate(chance: &Entropy) -> Fate {
    match chance.below(10) {
        0 | 1 => Fate::AnswerLost,
        2 => Fate::RequestLost,
        3 => Fate::Busy,
        4 => Fate::Refused,
        _ => Fate::Answered,
    }
}
