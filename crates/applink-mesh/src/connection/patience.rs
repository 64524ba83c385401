//! How long a connection may stay silent, depending on what it is doing.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{ConnectionState, Protocol};
use crate::config::Limits;

/// After this long without a request a connection gives hyper's buffers back. Long against the pauses of a client that
/// is busy (each costs it one wake-up in this time), short enough that a thousand that come at once and fall silent
/// never hold buffers all together.
const PAUSE: Duration = Duration::from_millis(30);

/// The limits, and where the connection stands.
#[derive(Debug)]
pub(super) struct Patience {
    header: Duration,
    idle: Duration,
    phase: Phase,
    http2: bool,
    started_seen: usize,
    /// When the current phase has lasted too long.
    deadline: Option<Instant>,
    /// Set once and moved only when it goes off too early: phases change with every request.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What has lasted too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The client's silence.
    Silence,
    /// A pause, for buffers to be held for the next request.
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Part of a request's head is awaited.
    Head,
    /// Nothing is awaited, but a busy client would soon send more.
    Pause,
    /// Nothing is awaited.
    Idle,
    /// A request is in progress; other limits apply.
    Busy,
}

impl Patience {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            header: limits.header,
            idle: limits.idle,
            phase: Phase::Head,
            http2: false,
            started_seen: 0,
            deadline: None,
            timer: None,
        }
    }

    pub(super) fn speaks(&mut self, protocol: Protocol) {
        self.http2 = protocol == Protocol::Http2;
        if self.http2 {
            self.enter(Phase::Idle);
        }
    }

    /// The connection rests; `left` is what came of the next request already.
    pub(super) fn rested(&mut self, left: &[u8]) {
        self.enter(Phase::Idle);
        self.saw(left);
    }

    /// Bytes came while no request was in progress: the head of the next one, or a frame of HTTP/2.
    pub(super) fn saw(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match (self.http2, self.phase) {
            (true, _) => self.enter(Phase::Idle),
            (false, Phase::Pause | Phase::Idle) => self.enter(Phase::Head),
            (false, Phase::Head | Phase::Busy) => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = None;
    }

    fn limit(&self) -> Duration {
        match self.phase {
            Phase::Head => self.header,
            Phase::Pause => PAUSE.min(self.idle),
            Phase::Idle | Phase::Busy => self.idle,
        }
    }

    /// Pending until the limit of the current phase has passed.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>, state: &ConnectionState) -> Poll<Expired> {
        let started = state.started.load(Ordering::Relaxed);
        if state.in_flight.load(Ordering::Relaxed) > 0 {
            self.started_seen = started;
            self.enter(Phase::Busy);
            return Poll::Pending;
        }
        if self.phase == Phase::Busy || self.started_seen != started {
            self.started_seen = started;
            self.enter(if self.http2 { Phase::Idle } else { Phase::Pause });
        }
        loop {
            ready!(self.poll_deadline(cx));
            if self.phase != Phase::Pause {
                return Poll::Ready(Expired::Silence);
            }
            self.enter(Phase::Idle);
            if state.is_between_requests() {
                return Poll::Ready(Expired::Pause);
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit();
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() == deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}
