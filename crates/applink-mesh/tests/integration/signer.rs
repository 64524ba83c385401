//! An org's signing key, and what it signs.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::integration::stack::{APP_UUID, INSTANCE_URL, NOW, ORG, USER};

pub(crate) const KID: &str = "key-1";

pub(crate) struct Signer {
    pair: RsaKeyPair,
    kid: &'static str,
}

/// Making a key takes a while, so all tests share two.
pub(crate) static ORG_KEY: LazyLock<Signer> = LazyLock::new(|| Signer::generate(KID));
pub(crate) static OTHER_KEY: LazyLock<Signer> = LazyLock::new(|| Signer::generate("key-2"));

impl Signer {
    fn generate(kid: &'static str) -> Self {
        Self { pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), kid }
    }

    /// As the trust bundle has it.
    pub(crate) fn public(&self) -> Value {
        // PKCS #1 of a 2048-bit key: a sequence of the modulus, with its sign byte, and the exponent 65537.
        let der = self.public_der();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kid": self.kid, "n": number(&der[9..265]), "e": number(&der[267..270])})
    }

    /// The public key's DER form: what a verifier that confuses algorithms would take for a shared secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(&RSA_PKCS1_SHA256, &signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn signature(&self, how: &'static dyn RsaEncoding, signed: &str) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(how, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        signature
    }
}

pub(crate) fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": KID, "tnk": format!("core/prod/{ORG}")})
}

pub(crate) fn claims(jti: &str) -> Value {
    json!({"iss": INSTANCE_URL, "sub": format!("uid:{USER}"), "aud": [INSTANCE_URL, APP_UUID],
        "iat": NOW, "nbf": NOW - 15, "exp": NOW + 120, "jti": jti})
}

/// A bundle in which the org is connected and the app published.
pub(crate) fn bundle(version: &str) -> Value {
    json!({
        "version": version, "issued_at": "2025-06-15T15:06:40.000000Z", "app_uuid": APP_UUID,
        "orgs": [{"org_id": ORG, "instance_url": INSTANCE_URL, "connection_name": "acme", "state": "connected",
            "policy": "strict", "keys": [ORG_KEY.public()]}],
        "publications": [{"org_id": ORG, "client_name": "Acts"}],
    })
}
