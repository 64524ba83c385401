//! Is this the signature of these bytes? Pure.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::vault::hex;

/// The longest signature that is read: base64 of 32 bytes is 44 characters.
const LONGEST: usize = 64;

/// Compares in constant time: base64 of the HMAC-SHA256 of the raw bytes.
pub fn is_signed(key: &[u8], payload: &[u8], signature: &str) -> bool {
    if key.is_empty() || signature.len() > LONGEST {
        return false;
    }
    let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), payload, &signature).is_ok()
}

/// Names an event among those of its org: what Data Cloud sends of one event (time of its publication included) is the
/// same in each delivery, and differs from event to event.
pub fn event_id(api_name: &str, payload: &[u8]) -> String {
    let mut event = digest::Context::new(&digest::SHA256);
    event.update(api_name.as_bytes());
    event.update(&[0]);
    event.update(payload);
    format!("data-action:{}", hex(event.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(key: &[u8], payload: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), payload))
    }

    #[test]
    fn the_published_example_is_signed() {
        // RFC 4231 §4.3.
        let tag = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        assert!(is_signed(b"Jefe", b"what do ya want for nothing?", tag));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_noticed() {
        let (key, payload) = (b"signing-key".to_vec(), b"{\"a\":\"\xff\"}".to_vec());
        let good = sign(&key, &payload);
        assert!(is_signed(&key, &payload, &good));
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_signed(&key, &flipped, &good), "bit {bit} of the body");
        }
        let tag = STANDARD.decode(&good).unwrap();
        for bit in 0..tag.len() * 8 {
            let mut flipped = tag.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_signed(&key, &payload, &STANDARD.encode(flipped)), "bit {bit} of the signature");
        }
        for wrong in ["", "x", &good[..40], &good.repeat(2), &format!("{good}=")] {
            assert!(!is_signed(&key, &payload, wrong), "{wrong}");
        }
        assert!(!is_signed(b"", &payload, &sign(b"", &payload)), "no key is no key");
    }
}
