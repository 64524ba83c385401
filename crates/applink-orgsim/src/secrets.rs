//! Secrets of the org: how they look, and how they are kept (hashed only).

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::entropy::Entropy;
use crate::ids;

const TOKEN_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
/// Random characters of an access token behind `!AQ`; six bits each.
const ACCESS_TOKEN_CHARS: usize = 94;

/// An access token as a real org's looks: `<15-character org id>!AQ…`, 112 characters.
pub(crate) fn access_token(org_id: &str, entropy: &Entropy) -> SecretString {
    format!("{}!AQ{}", ids::short(org_id), token_text(entropy, ACCESS_TOKEN_CHARS)).into()
}

/// A refresh token: `5Aep861…`.
pub(crate) fn refresh_token(entropy: &Entropy) -> SecretString {
    format!("5Aep861{}", token_text(entropy, 80)).into()
}

/// An authorization code: `aPrx…`.
pub(crate) fn authorization_code(entropy: &Entropy) -> SecretString {
    format!("aPrx{}", token_text(entropy, 60)).into()
}

/// A consumer key: `3MVG9…`, 85 characters.
pub(crate) fn consumer_key(entropy: &Entropy) -> String {
    format!("3MVG9{}", token_text(entropy, 80))
}

/// A consumer secret: 64 hexadecimal digits in capitals.
pub(crate) fn consumer_secret(entropy: &Entropy) -> SecretString {
    entropy.bytes::<32>().iter().map(|byte| format!("{byte:02X}")).collect::<String>().into()
}

/// 256 random bits for identifiers that nobody may guess (requests, callbacks, cookies).
pub(crate) fn handle(entropy: &Entropy) -> String {
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

/// A password a person can type: four groups of four.
pub(crate) fn password(entropy: &Entropy) -> SecretString {
    let letters: Vec<char> = entropy.alphanumeric(16).chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-").into()
}

fn token_text(entropy: &Entropy, length: usize) -> String {
    let mut bytes = vec![0; length];
    entropy.fill(&mut bytes);
    let letter = |byte: u8| char::from(TOKEN_ALPHABET.get(usize::from(byte & 63)).copied().unwrap_or(b'A'));
    bytes.into_iter().map(letter).collect()
}

/// What the database keeps of a secret that is random enough to need no salt.
pub(crate) fn fingerprint(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// [`fingerprint`] as text.
pub(crate) fn fingerprint_text(secret: &str) -> String {
    STANDARD.encode(fingerprint(secret))
}

/// Whether a secret has this [`fingerprint_text`], in constant time.
pub(crate) fn matches_fingerprint(secret: &str, fingerprint: &str) -> bool {
    fingerprint_text(secret).as_bytes().ct_eq(fingerprint.as_bytes()).into()
}

/// The PKCE S256 challenge of a verifier (RFC 7636 §4.2).
pub(crate) fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(fingerprint(verifier))
}

/// `signature` of a token answer: HMAC-SHA256 over identity URL and issue time with the consumer secret.
pub(crate) fn token_signature(consumer_secret: &str, identity: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, consumer_secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{identity}{issued_at}").as_bytes()))
}

/// Base64 of an HMAC-SHA256: how a webhook is signed.
pub(crate) fn hmac_base64(key: &str, message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, message))
}

/// What the database keeps of a password: `argon2id$<salt>$<hash>`, both base64.
pub(crate) fn hash_password(password: &SecretString, entropy: &Entropy) -> String {
    let salt: [u8; 16] = entropy.bytes();
    let hash = password_hash(password, &salt).unwrap_or_default();
    format!("argon2id${}${}", STANDARD.encode(salt), STANDARD.encode(hash))
}

/// Whether a password is the one that was hashed.
pub(crate) fn verify_password(password: &SecretString, stored: &str) -> bool {
    let mut parts = stored.split('$');
    let (Some("argon2id"), Some(salt), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    password_hash(password, &salt).is_some_and(|computed| computed.ct_eq(hash.as_slice()).into())
}

/// Argon2id with modest memory: the passwords of this org are generated, and it must start fast.
/// `None` for a salt that is too short, which only a damaged row has.
fn password_hash(password: &SecretString, salt: &[u8]) -> Option<[u8; 32]> {
    let params = Params::new(4096, 2, 1, Some(32)).unwrap_or_default();
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; 32];
    hasher.hash_password_into(password.expose_secret().as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_look_as_an_orgs_do() {
        let entropy = Entropy::seeded(1);
        let token = access_token("00DSB00000VAyPF2A1", &entropy);
        let token = token.expose_secret();
        assert!(token.starts_with("00DSB00000VAyPF!AQ") && token.len() == 112);
        assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || "!._".contains(c)));
        assert_eq!(consumer_key(&entropy).len(), 85);
        assert_eq!(password(&entropy).expose_secret().len(), 19);
    }

    #[test]
    fn a_password_matches_only_itself() {
        let stored = hash_password(&"correct".into(), &Entropy::seeded(1));
        assert!(verify_password(&"correct".into(), &stored));
        assert!(!verify_password(&"wrong".into(), &stored));
        assert!(!verify_password(&"".into(), "argon2id$AAAA$"));
    }

    #[test]
    fn the_challenge_is_the_one_of_the_rfc() {
        // RFC 7636, appendix B.
        assert_eq!(
            code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
