//! A small memory of positive verdicts, for tokens without an id only: those are not single-use, so an org may send
//! one several times within seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::context::RequestContext;
use applink_api::time::Timestamp;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::authenticate::Verified;

/// A disconnected org must be locked out within five seconds, so nothing is remembered longer.
const LIFE: Duration = Duration::from_secs(5);
const CAPACITY: usize = 1_024;

/// A SHA-256 of everything a verdict depends on; the token itself is not kept.
pub(crate) type ClaimKey = [u8; 32];

/// The key of what `context` claims.
pub(crate) fn claim_key(context: &RequestContext) -> ClaimKey {
    let mut hash = Sha256::new();
    for part in [context.auth.expose_secret(), &context.org_domain_url, &context.org_id, &context.app_uuid] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Positive verdicts of the last seconds.
#[derive(Debug)]
pub(crate) struct VerdictCache {
    clock: Clock,
    verdicts: Mutex<HashMap<ClaimKey, (Timestamp, Verified)>>,
}

impl VerdictCache {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, verdicts: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &ClaimKey) -> Option<Verified> {
        let now = self.clock.now();
        self.lock().get(key).filter(|(until, _)| now < *until).map(|(_, verified)| verified.clone())
    }

    /// Remembers `verified`, unless its token is single-use.
    pub(crate) fn put(&self, key: ClaimKey, verified: &Verified) {
        if verified.token_id.is_some() {
            return;
        }
        let now = self.clock.now();
        let until = verified.expires_at.map_or(now.plus(LIFE), |expiry| expiry.min(now.plus(LIFE)));
        let mut verdicts = self.lock();
        if verdicts.len() >= CAPACITY {
            verdicts.retain(|_, (until, _)| now < *until);
        }
        if verdicts.len() < CAPACITY {
            verdicts.insert(key, (until, verified.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClaimKey, (Timestamp, Verified)>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(expires_at: i64, token_id: Option<&str>) -> Verified {
        Verified {
            org_id: "00D".into(),
            user_id: None,
            instance_url: None,
            expires_at: Some(Timestamp::from_seconds(expires_at)),
            token_id: token_id.map(str::to_owned),
        }
    }

    #[test]
    fn verdicts_live_five_seconds_or_as_long_as_the_token() {
        let (clock, hand) = Clock::mock(Timestamp::from_seconds(100));
        let cache = VerdictCache::new(clock);
        cache.put([1; 32], &verified(1_000, None));
        cache.put([2; 32], &verified(102, None));
        cache.put([3; 32], &verified(1_000, Some("jti")));
        assert!(cache.get(&[1; 32]).is_some() && cache.get(&[2; 32]).is_some());
        assert!(cache.get(&[3; 32]).is_none(), "single-use tokens are never remembered");
        hand.advance(Duration::from_secs(2));
        assert!(cache.get(&[1; 32]).is_some() && cache.get(&[2; 32]).is_none());
        hand.advance(Duration::from_secs(3));
        assert!(cache.get(&[1; 32]).is_none());
    }

    #[test]
    fn the_cache_does_not_grow_without_bound() {
        let (clock, hand) = Clock::mock(Timestamp::from_seconds(100));
        let cache = VerdictCache::new(clock);
        for number in 0..CAPACITY + 10 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            cache.put(key, &verified(1_000, None));
        }
        assert_eq!(cache.lock().len(), CAPACITY);
        hand.advance(LIFE);
        cache.put([255; 32], &verified(1_000, None));
        assert_eq!(cache.lock().len(), 1);
    }
}
