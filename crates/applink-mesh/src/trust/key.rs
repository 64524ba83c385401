//! An org's public key, parsed once.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 2048 and 8192 bits.
const MIN_BYTES: usize = 256;
const MAX_BYTES: usize = 1024;

/// Verifies RS256 signatures (RFC 7518 §3.3) with one RSA key of 2048 to 8192 bits.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyingKey")
    }
}

impl VerifyingKey {
    /// From a JWK's modulus and exponent, both base64url. `None` when they are no usable key.
    pub(crate) fn parse(n: &str, e: &str) -> Option<Self> {
        let (n, e) = (URL_SAFE_NO_PAD.decode(n).ok()?, URL_SAFE_NO_PAD.decode(e).ok()?);
        let (n, e) = (unsigned(&n), unsigned(&e));
        // The library looks at the size only when it verifies.
        if !(MIN_BYTES..=MAX_BYTES + 1).contains(&n.len()) {
            return None;
        }
        let body = [der(INTEGER, &n), der(INTEGER, &e)].concat();
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der(SEQUENCE, &body)).ok().map(Self)
    }

    /// Is this the signature of `message`?
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// A DER integer is signed: a first bit that is set needs a zero before it.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let sign = digits.first().is_none_or(|first| *first >= 0x80).then_some(0);
    sign.into_iter().chain(digits).collect()
}

/// Tag, length, value (X.690 §8.1).
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![tag];
    match (u8::try_from(value.len()), u8::try_from(digits.len())) {
        (Ok(short), _) if short < 0x80 => encoded.push(short),
        (_, Ok(count)) => {
            encoded.push(0x80 | count);
            encoded.extend(digits);
        }
        _ => {}
    }
    encoded.extend_from_slice(value);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_signs_are_encoded_as_x690_says() {
        assert_eq!(der(INTEGER, &unsigned(&[0, 0, 1])), [2, 1, 1]);
        assert_eq!(der(INTEGER, &unsigned(&[0x80])), [2, 2, 0, 0x80]);
        assert_eq!(der(INTEGER, &unsigned(&[])), [2, 1, 0]);
        let long = der(SEQUENCE, &[7; 200]);
        assert_eq!((&long[..3], long.len()), ([0x30, 0x81, 200].as_slice(), 203));
        assert_eq!(der(SEQUENCE, &[7; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn what_is_no_key_of_enough_bits_is_refused() {
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        for (n, e) in [("", "AQAB"), (short.as_str(), "AQAB"), ("not base64!", "AQAB"), ("AQAB", "")] {
            assert!(VerifyingKey::parse(n, e).is_none(), "{n} {e}");
        }
        let modulus = URL_SAFE_NO_PAD.encode([0xff; 256]);
        assert!(VerifyingKey::parse(&modulus, "AQAB").is_some());
        assert!(VerifyingKey::parse(&modulus, "AA").is_none());
    }
}
