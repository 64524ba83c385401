//! Whom to trust, known beside the traffic.
//!
//! 1. The control plane is polled for its bundle ([`poll`]): every two seconds, and sooner when a call could not be
//!    decided by what is known, but never more often than every 250 ms, whatever strangers send.
//! 2. A bundle is compiled once ([`bundle`]): orgs by id, their keys parsed. Calls only read it.
//! 3. A bundle counts for [`TrustSettings::max_staleness`](crate::config::TrustSettings) after the last poll that
//!    went well; then nothing passes. A control plane that has no bundles, or no longer gives us one, is asked about
//!    every call instead.

use std::sync::Arc;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::time::Timestamp;
use tokio::sync::{Notify, watch};

pub(crate) use bundle::{Bundle, OrgTrust};

pub(crate) mod bundle;
pub(crate) mod key;
pub(crate) mod poll;

/// How long a call waits for a poll it asked for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known now.
#[derive(Clone, Debug)]
pub(crate) enum Knowledge {
    /// No bundle: the control plane is asked about every call.
    Nothing,
    /// A bundle that counts.
    Bundle(Arc<Bundle>),
    /// There was one, but the control plane has been away for too long.
    Stale,
}

/// The last bundle, for all who must know. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    max_staleness: Duration,
    known: watch::Sender<Known>,
    wanted: Notify,
}

#[derive(Clone, Debug, Default)]
struct Known {
    bundle: Option<Arc<Bundle>>,
    good_at: Timestamp,
    reachable: bool,
    /// Polls are numbered from 1.
    begun: u64,
    finished: u64,
}

/// What a poll brought.
#[derive(Debug)]
pub(crate) enum Polled {
    /// Another bundle.
    New(Arc<Bundle>),
    /// The one we have still holds.
    Same,
    /// The control plane answered, but has no bundle for us.
    None,
    /// No answer.
    Away,
}

impl Trust {
    pub(crate) fn new(clock: Clock, max_staleness: Duration) -> Self {
        let known = watch::Sender::new(Known::default());
        Self { shared: Arc::new(Shared { clock, max_staleness, known, wanted: Notify::new() }) }
    }

    /// What calls are decided by.
    pub(crate) fn knowledge(&self) -> Knowledge {
        let known = self.shared.known.borrow();
        match &known.bundle {
            None => Knowledge::Nothing,
            Some(_) if self.shared.clock.now().since(known.good_at) > self.shared.max_staleness => {
                Knowledge::Stale
            }
            Some(bundle) => Knowledge::Bundle(Arc::clone(bundle)),
        }
    }

    /// Did the control plane answer the last poll?
    pub(crate) fn is_reachable(&self) -> bool {
        self.shared.known.borrow().reachable
    }

    /// Since when the bundle is not known to hold; `None` without one.
    pub(crate) fn age(&self) -> Option<Duration> {
        let known = self.shared.known.borrow();
        known.bundle.as_ref().map(|_| self.shared.clock.now().since(known.good_at))
    }

    /// Waits until a poll that begins after this call is over. All who wait share one.
    pub(crate) async fn refreshed(&self) {
        let mut changes = self.shared.known.subscribe();
        let begun = changes.borrow().begun;
        self.shared.wanted.notify_one();
        let over = changes.wait_for(|known| known.finished > begun);
        let _ = tokio::time::timeout(PATIENCE, over).await;
    }

    /// Until somebody waits for a poll.
    async fn wanted(&self) {
        self.shared.wanted.notified().await;
    }

    fn version(&self) -> Option<Arc<Bundle>> {
        self.shared.known.borrow().bundle.clone()
    }

    fn begin(&self) {
        self.shared.known.send_modify(|known| known.begun += 1);
    }

    fn finish(&self, polled: Polled) {
        let now = self.shared.clock.now();
        self.shared.known.send_modify(|known| {
            known.finished = known.begun;
            known.reachable = !matches!(polled, Polled::Away);
            match polled {
                Polled::New(bundle) => {
                    known.bundle = Some(bundle);
                    known.good_at = now;
                }
                Polled::Same => known.good_at = now,
                Polled::None => known.bundle = None,
                Polled::Away => {}
            }
        });
    }
}
