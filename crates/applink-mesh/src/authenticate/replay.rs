//! Single use of tokens that carry an id (`jti`, RFC 7519 §4.1.7).
//!
//! * `local`: a captured call can't be sent again to this mesh while the token lives. It does not stop a replay at
//!   another instance of the app, nor one after a restart, nor one of a token that was forgotten early because more
//!   than [`CAPACITY`] were alive (counted).
//! * `shared`: the control plane is told about every token, so all instances know. One question per call.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::mesh_report::TokenUse;
use applink_api::time::Timestamp;
use http::StatusCode;
use sha2::{Digest as _, Sha256};

use crate::authenticate::Verified;
use crate::authenticate::control_plane::is_overload;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::respond::{MeshError, Refusal};

const PATH: &str = "/invocations/tokens";

/// Both collections together take at most 5.5 MiB with this many: 200 calls a second with tokens of five minutes.
const CAPACITY: usize = 65_536;

/// How long an id without a known expiry is remembered, and how much longer than its expiry any id is: verifiers
/// allow 60 seconds of clock difference.
const LEEWAY: Duration = Duration::from_secs(60);

/// The longest life a token has (design of the org's tokens: five minutes).
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// 128 bits of a SHA-256: short, and not to be forced into a collision.
type Key = [u8; 16];

/// Whether tokens with an id are single-use, and among whom.
pub(crate) enum Replay {
    /// They are not.
    Off,
    /// At this mesh.
    Local(Arc<ReplayGuard>),
    /// At all meshes of the add-on.
    Shared(Arc<ReplayGuard>, Box<ControlPlane>),
}

impl Replay {
    /// Uses the token of a verified call up.
    pub(crate) async fn use_up(&self, verified: &Verified, request_id: &str) -> Result<(), MeshError> {
        let (Some(token_id), Some(guard)) = (&verified.token_id, self.guard()) else { return Ok(()) };
        if !guard.use_once(&verified.org_id, token_id, verified.expires_at) {
            return Err(MeshError::Refused(Refusal::Replayed));
        }
        match self {
            Self::Shared(_, control_plane) => {
                let expires_at = verified.expires_at.unwrap_or_else(|| guard.clock.now().plus(LONGEST_LIFE));
                let (org_id, token_id) = (verified.org_id.clone(), token_id.clone());
                // In a box: without this mode no request keeps room for the question.
                Box::pin(tell(control_plane, TokenUse { org_id, token_id, expires_at }, request_id)).await
            }
            Self::Off | Self::Local(_) => Ok(()),
        }
    }

    fn guard(&self) -> Option<&ReplayGuard> {
        match self {
            Self::Off => None,
            Self::Local(guard) | Self::Shared(guard, _) => Some(guard),
        }
    }

    /// See [`ReplayGuard::evictions`].
    pub(crate) fn evictions(&self) -> u64 {
        self.guard().map_or(0, ReplayGuard::evictions)
    }
}

async fn tell(control_plane: &ControlPlane, token: TokenUse, request_id: &str) -> Result<(), MeshError> {
    let answer = control_plane.post(PATH, request_id, &token).await;
    match answer.map_err(|error| MeshError::ControlPlaneAway(Box::new(error)))?.0 {
        StatusCode::NO_CONTENT => Ok(()),
        StatusCode::CONFLICT => Err(MeshError::Refused(Refusal::Replayed)),
        status if is_overload(status) => {
            Err(MeshError::ControlPlaneAway(Box::new(ControlPlaneError::Overloaded(status))))
        }
        status => Err(MeshError::ControlPlaneAnswer(status)),
    }
}

/// Remembers the ids of tokens that were used.
#[derive(Debug)]
pub(crate) struct ReplayGuard {
    clock: Clock,
    capacity: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    keys: HashSet<Key>,
    /// In order of use, which is nearly the order of expiry.
    order: VecDeque<(Timestamp, Key)>,
    evictions: u64,
}

impl ReplayGuard {
    pub(crate) fn new(clock: Clock) -> Self {
        Self::with_capacity(clock, CAPACITY)
    }

    fn with_capacity(clock: Clock, capacity: usize) -> Self {
        Self { clock, capacity, used: Mutex::default() }
    }

    /// Uses the token up. False when it was used before.
    pub(crate) fn use_once(&self, org_id: &str, token_id: &str, expires_at: Option<Timestamp>) -> bool {
        let now = self.clock.now();
        let forget_at = expires_at.unwrap_or_else(|| now.plus(LONGEST_LIFE)).plus(LEEWAY);
        let key = key(org_id, token_id);
        let mut used = self.lock();
        used.forget_expired(now);
        if !used.keys.insert(key) {
            return false;
        }
        used.order.push_back((forget_at, key));
        used.evict(self.capacity);
        true
    }

    /// How many ids were forgotten early because too many were alive.
    pub(crate) fn evictions(&self) -> u64 {
        self.lock().evictions
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn forget_expired(&mut self, now: Timestamp) {
        while let Some((forget_at, key)) = self.order.front().copied()
            && forget_at < now
        {
            self.order.pop_front();
            self.keys.remove(&key);
        }
    }

    fn evict(&mut self, capacity: usize) {
        while self.order.len() > capacity
            && let Some((_, key)) = self.order.pop_front()
        {
            self.keys.remove(&key);
            self.evictions += 1;
        }
    }
}

fn key(org_id: &str, token_id: &str) -> Key {
    let digest = Sha256::new().chain_update(org_id).chain_update([0]).chain_update(token_id).finalize();
    let mut key = Key::default();
    key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(capacity: usize) -> (ReplayGuard, applink_api::clock::MockClock) {
        let (clock, hand) = Clock::mock(Timestamp::from_seconds(1_000));
        (ReplayGuard::with_capacity(clock, capacity), hand)
    }

    #[test]
    fn a_token_is_used_once_per_org_until_it_expires() {
        let (guard, hand) = guard(10);
        let expiry = Some(Timestamp::from_seconds(1_100));
        assert!(guard.use_once("00D1", "a", expiry));
        assert!(!guard.use_once("00D1", "a", expiry));
        assert!(guard.use_once("00D2", "a", expiry));
        hand.advance(Duration::from_secs(160));
        assert!(!guard.use_once("00D1", "a", expiry), "still within the leeway");
        hand.advance(Duration::from_secs(1));
        assert!(guard.use_once("00D1", "a", expiry));
        assert_eq!(guard.evictions(), 0);
    }

    #[test]
    fn memory_is_bounded_and_evictions_counted() {
        let (guard, _hand) = guard(3);
        for id in ["a", "b", "c", "d", "e"] {
            assert!(guard.use_once("00D", id, None));
        }
        assert_eq!(guard.evictions(), 2);
        assert_eq!(guard.lock().keys.len(), 3);
        assert!(!guard.use_once("00D", "e", None));
    }
}
