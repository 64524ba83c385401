//! The public keys an org signs with.

use http::header::ACCEPT;
use serde::Deserialize;

use crate::egress::{OrgEgress, Traffic};
use crate::error::{OrgError, read_json, refusal_of};
use crate::hosts::OrgOrigin;

/// An RSA public key as JWK parameters (RFC 7518 §6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningPublicKey {
    /// Its id, which a token's header names.
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

#[derive(Deserialize)]
struct WireKeys {
    keys: Vec<WireKey>,
}

#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Asks an org for its keys (`GET /id/keys`, RFC 7517 §5). Keys that are not RSA, or have no id, are left out.
/// Needs no token.
///
/// # Errors
/// [`OrgError`].
pub async fn signing_keys(egress: &OrgEgress, org: &OrgOrigin) -> Result<Vec<SigningPublicKey>, OrgError> {
    let client = egress.client(org, Traffic::Token);
    let request = client.get(org.at("/id/keys")).header(ACCEPT, "application/json");
    let answer = egress.send(org.authority(), Traffic::Token, request).await?;
    if !answer.status.is_success() {
        return Err(refusal_of(&answer));
    }
    let WireKeys { keys } = read_json(answer.status, &answer.body)?;
    Ok(keys.into_iter().filter_map(rsa_key).collect())
}

fn rsa_key(key: WireKey) -> Option<SigningPublicKey> {
    (key.kty == "RSA").then_some(())?;
    Some(SigningPublicKey { kid: key.kid?, n: key.n?, e: key.e? })
}
