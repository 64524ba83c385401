//! Randomness as a parameter: the operating system's in production, seeded in tests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

type Fill = dyn FnMut(&mut [u8]) + Send;

/// Where random bytes come from. Cheap to clone; clones share the source.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<Fill>>);

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self::from_fn(fill_from_system)
    }

    /// A source that calls `fill` for every request. In production `fill` must be cryptographically secure.
    pub fn from_fn(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(fill)))
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(bytes);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// 256 random bits as 43 characters of URL-safe base64: states, verifiers, one-time links.
    pub fn url_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// `N` random bytes as lower-case hexadecimal.
    pub fn hex<const N: usize>(&self) -> String {
        self.bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number in `0..bound`, without bias worth speaking of (64 bits are reduced). Zero when `bound` is zero.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.bytes()).checked_rem(bound).unwrap_or(0)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the system's generator is asked")]
#[expect(
    clippy::panic,
    reason = "without randomness no secret may be made: stopping is the only safe answer"
)]
fn fill_from_system(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the operating system gives no random bytes: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_bytes_differ_and_uuids_are_version_four() {
        let entropy = Entropy::system();
        assert_ne!(entropy.bytes::<16>(), entropy.bytes::<16>());
        assert_eq!(entropy.uuid().get_version_num(), 4);
        assert_eq!(entropy.url_token().len(), 43);
        assert_eq!(entropy.hex::<4>().len(), 8);
    }

    #[test]
    fn below_stays_below() {
        let entropy = Entropy::system();
        assert!((0..100).all(|_| entropy.below(7) < 7));
        assert_eq!(entropy.below(0), 0);
    }
}
