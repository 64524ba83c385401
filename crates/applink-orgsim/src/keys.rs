//! RSA keys: the org's own, with which it signs tokens, and those that clients register.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKey};
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use crate::ids;

/// Why a key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The generator or the encoder failed.
    #[error("no RSA key could be generated")]
    Generate,
    /// The stored key is damaged.
    #[error("the stored signing key is not a PKCS#8 RSA key; delete it to have a new one made")]
    Stored,
    /// Signing failed.
    #[error("the token could not be signed")]
    Sign,
    /// What a client registered is neither a certificate nor a public key.
    #[error(
        "expected a PEM certificate or a PEM public key (-----BEGIN CERTIFICATE----- or -----BEGIN PUBLIC KEY-----)"
    )]
    NotPem,
    /// A certificate or key of another algorithm, or too small.
    #[error("the key is not an RSA key of at least 2048 bits")]
    NotRsa,
}

/// The org's signing key. Its `kid` looks as a real org's does: `CORE_ATJWT.<org>.<time>`.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    kid: String,
}

impl SigningKey {
    /// Makes a new 2048-bit key, as PKCS#8. It takes about a tenth of a second: not for an async thread.
    pub(crate) fn generate() -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Generate)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// Reads a stored key. The key id follows from org and public key, so it survives a restart.
    pub(crate) fn from_pkcs8(pkcs8: &[u8], org_id: &str) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Stored)?;
        let digest = digest::digest(&digest::SHA256, pair.public_key().as_ref());
        let number =
            digest.as_ref().iter().take(5).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let kid = format!("CORE_ATJWT.{}.{number}", ids::short(org_id));
        Ok(Self { pair, kid })
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JSON Web Key (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let key = self.pair.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.kid,
            "n": number(key.modulus().big_endian_without_leading_zero()),
            "e": number(key.exponent().big_endian_without_leading_zero()),
        })
    }

    /// Signs a JSON Web Token with RS256 (RFC 7515 §3.1 compact form). `header` must name the algorithm.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> Result<String, KeyError> {
        let mut token = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| KeyError::Sign)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Reads the RSA key of a PEM certificate or public key; the answer is base64 of its DER form.
///
/// # Errors
/// [`KeyError::NotPem`] or [`KeyError::NotRsa`].
pub(crate) fn public_key_from_pem(pem: &str) -> Result<String, KeyError> {
    let der = spki_from_pem(pem)?;
    let key = PublicKey::from_der(&der).map_err(|_| KeyError::NotRsa)?;
    if key.modulus_len() < KeySize::Rsa2048.len() {
        return Err(KeyError::NotRsa);
    }
    Ok(STANDARD.encode(key.as_ref()))
}

fn spki_from_pem(pem: &str) -> Result<Vec<u8>, KeyError> {
    if let Ok(certificate) = CertificateDer::from_pem_slice(pem.as_bytes()) {
        let parsed = EndEntityCert::try_from(&certificate).map_err(|_| KeyError::NotRsa)?;
        return Ok(parsed.subject_public_key_info().to_vec());
    }
    SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
        .map(|key| key.to_vec())
        .map_err(|_| KeyError::NotPem)
}

/// Whether an RS256 signature over `message` is from the key [`public_key_from_pem`] answered.
pub(crate) fn verifies(public_key: &str, message: &[u8], signature: &[u8]) -> bool {
    STANDARD.decode(public_key).is_ok_and(|key| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature).is_ok()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn a_signed_token_verifies_with_the_published_key() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap(), "00DSB00000VAyPF2A1").unwrap();
        let token = key.sign(&json!({"alg": "RS256"}), &json!({"sub": "x"})).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = STANDARD.encode(key.pair.public_key().as_ref());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(verifies(&public, signed.as_bytes(), &signature));
        assert!(!verifies(&public, b"other", &signature));
        assert_eq!(key.jwk()["e"], "AQAB");
        assert!(key.kid().starts_with("CORE_ATJWT.00DSB00000VAyPF."));
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        assert!(matches!(public_key_from_pem("hello"), Err(KeyError::NotPem)));
        let wrong = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        assert!(matches!(public_key_from_pem(wrong), Err(KeyError::NotRsa)));
    }
}
