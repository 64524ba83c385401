//! The simulator's randomness. Randomness is a parameter, so that a test can repeat itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A source of random bytes.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

/// Fills a buffer with random bytes.
type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Entropy {
    /// The operating system's generator, fit for tokens and keys.
    pub fn system() -> Self {
        Self::from_fn(fill_from_system)
    }

    /// A source that asks `fill` for bytes.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Repeatable bytes for tests: the same seed gives the same sequence.
    pub fn seeded(seed: u64) -> Self {
        let generator = Mutex::new(ChaCha20Rng::seed_from_u64(seed));
        Self::from_fn(move |bytes| {
            generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        })
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random 64-bit number.
    pub fn next_u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// `length` random letters and digits, about 5.95 bits each.
    pub fn alphanumeric(&self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            // 248 is the largest multiple of 62 that fits in a byte: above it the choice would be biased.
            let [byte] = self.bytes::<1>();
            if let Some(letter) = (byte < 248).then(|| ALPHANUMERIC.get(usize::from(byte % 62))).flatten() {
                text.push(char::from(*letter));
            }
        }
        text
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where orgsim asks the system for randomness")]
#[expect(
    clippy::expect_used,
    reason = "without randomness no token may be made: stopping is the only safe answer"
)]
fn fill_from_system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        let (a, b, c) = (Entropy::seeded(7), Entropy::seeded(7), Entropy::seeded(8));
        let first = a.alphanumeric(40);
        assert_eq!(first, b.alphanumeric(40));
        assert_ne!(first, c.alphanumeric(40));
        assert_ne!(first, a.alphanumeric(40), "a source moves on");
    }

    #[test]
    fn system_bytes_differ() {
        assert_ne!(Entropy::system().bytes::<16>(), Entropy::system().bytes::<16>());
    }
}
