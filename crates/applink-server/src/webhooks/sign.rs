//! Signatures as Standard Webhooks has them: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

use applink_api::entropy::Entropy;
use applink_api::webhook::SECRET_PREFIX;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// 256 random bits, in the form people paste into a receiver's settings.
pub fn new_secret(entropy: &Entropy) -> SecretString {
    let bytes = Zeroizing::new(entropy.bytes::<32>());
    SecretString::from(format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes.as_slice())))
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The event's id.
    pub id: &'a str,
    /// Seconds since the Unix epoch.
    pub timestamp: i64,
    /// The body, byte by byte.
    pub body: &'a str,
}

/// One signature; none when the secret is not one of ours.
pub fn signature(secret: &SecretString, message: Message<'_>) -> Option<String> {
    let key = secret.expose_secret().strip_prefix(SECRET_PREFIX)?;
    let key = Zeroizing::new(STANDARD.decode(key).ok()?);
    let Message { id, timestamp, body } = message;
    let signed = format!("{id}.{timestamp}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_standard_does() {
        // Computed with `printf '%s' 'msg_1.1767225600.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:<32 times 2a>`
        let secret = SecretString::from(format!("whsec_{}", STANDARD.encode([42; 32])));
        let message = Message { id: "msg_1", timestamp: 1_767_225_600, body: r#"{"a":1}"# };
        assert_eq!(
            signature(&secret, message).as_deref(),
            Some("v1,2Lj6ZPTIl7nRCQrPabpBVr0aVWnFIcOMW7wAYKwl9sY=")
        );
        let other = Message { body: r#"{"a":2}"#, ..message };
        assert_ne!(signature(&secret, other), signature(&secret, message));
        assert_eq!(signature(&SecretString::from("other"), message), None);
    }

    #[test]
    fn secrets_are_32_bytes_and_differ() {
        let entropy = Entropy::system();
        let secret = new_secret(&entropy);
        let key = secret.expose_secret().strip_prefix("whsec_").unwrap();
        assert_eq!(STANDARD.decode(key).unwrap().len(), 32);
        assert_ne!(secret.expose_secret(), new_secret(&entropy).expose_secret());
    }
}
