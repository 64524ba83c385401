//! Step 4: the org's token, claim by claim. Pure.
//!
//! RS256 with `kid`; the header's `tnk` ends in the org's id; `iss` is the org's own URL; `sub` is `uid:` and a user
//! id; `aud` contains the app's uuid (unless the
//! connection's policy is `core`); `iat`, `nbf` and `exp` span at most five minutes; `jti` is there. A claim that
//! is missing or of the wrong JSON type refuses the token.

use std::time::Duration;

use applink_api::ids::{AppUuid, RecordId};
use applink_api::time::Timestamp;
use applink_api::trust::TokenPolicy;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// How far the org's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest life of a token.
const LONGEST_LIFE: Duration = Duration::from_secs(5 * 60);
/// Longest token that is read.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Longest `jti` that is taken.
const LONGEST_ID: usize = 256;

/// A token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not a JWT.
    #[error("it is not a JWT")]
    Form,
    /// Another algorithm than RS256, or a header that brings or points to its own key.
    #[error("its header asks for something other than RS256 with a known key")]
    Header,
    /// No such key at the org.
    #[error("the org has no such key")]
    UnknownKey,
    /// The signature is wrong, or a claim is missing or of the wrong type.
    #[error("its signature or the type of a claim is wrong")]
    Signature,
    /// `tnk` is not the org's.
    #[error("it is of another org")]
    OtherOrg,
    /// `iss` is not the org's URL.
    #[error("it was issued elsewhere")]
    Issuer,
    /// `aud` does not contain the app.
    #[error("it is for another app")]
    Audience,
    /// `sub` names no user.
    #[error("it names no user")]
    Subject,
    /// Expired, not valid yet, or valid for too long.
    #[error("it is expired, not valid yet, or valid for more than five minutes")]
    Time,
    /// No `jti`, or an absurd one.
    #[error("it has no usable jti")]
    Id,
}

/// What the token must fit.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The org, 18 characters.
    pub org_id: &'a RecordId,
    /// The connection's instance URL.
    pub instance_url: &'a str,
    /// The app that is called.
    pub app: AppUuid,
    /// Whether the audience must contain the app.
    pub policy: TokenPolicy,
    /// The time.
    pub now: Timestamp,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The calling user, 18 characters.
    pub user_id: RecordId,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// Its `jti`.
    pub token_id: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The key a token asks for, once its header is acceptable.
///
/// # Errors
/// [`Refused::Form`] and [`Refused::Header`].
pub fn key_id(token: &SecretString, org_id: &RecordId) -> Result<String, Refused> {
    let text = token.expose_secret();
    if text.len() > LONGEST_TOKEN {
        return Err(Refused::Form);
    }
    let header = decode_header(text).map_err(|_| Refused::Form)?;
    if brings_a_key(&header) || header.alg != Algorithm::RS256 {
        return Err(Refused::Header);
    }
    ensure_org(&header, org_id)?;
    header.kid.ok_or(Refused::Header)
}

fn brings_a_key(header: &Header) -> bool {
    header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.crit.is_some()
        || header.enc.is_some()
        || header.zip.is_some()
}

/// `core/prod/00D…`
fn ensure_org(header: &Header, org_id: &RecordId) -> Result<(), Refused> {
    let tnk = header.extras.get::<String>("tnk").ok().flatten().ok_or(Refused::OtherOrg)?;
    let last = tnk.rsplit('/').next().unwrap_or_default();
    if last.parse::<RecordId>().is_ok_and(|named| named == *org_id) { Ok(()) } else { Err(Refused::OtherOrg) }
}

/// Checks signature and claims.
///
/// # Errors
/// [`Refused`].
pub fn verify(token: &SecretString, key: &DecodingKey, expected: Expected<'_>) -> Result<Verified, Refused> {
    let mut rules = Validation::new(Algorithm::RS256);
    // The library goes by the machine's clock and lets claims be absent; ours are checked below, typed and present.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let decoded = decode::<Claims>(token.expose_secret(), key, &rules).map_err(|_| Refused::Signature)?;
    ensure_org(&decoded.header, expected.org_id)?;
    check(decoded.claims, expected)
}

fn check(claims: Claims, expected: Expected<'_>) -> Result<Verified, Refused> {
    if claims.iss.trim_end_matches('/') != expected.instance_url {
        return Err(Refused::Issuer);
    }
    if expected.policy == TokenPolicy::Strict && !claims.aud.contains(&expected.app.to_string()) {
        return Err(Refused::Audience);
    }
    let user_id = claims.sub.strip_prefix("uid:").and_then(|id| id.parse::<RecordId>().ok());
    let user_id = user_id.filter(|id| id.key_prefix() == "005").ok_or(Refused::Subject)?;
    let expires_at = ensure_time(&claims, expected.now)?;
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_ID {
        return Err(Refused::Id);
    }
    Ok(Verified { user_id, expires_at, token_id: claims.jti })
}

fn ensure_time(claims: &Claims, now: Timestamp) -> Result<Timestamp, Refused> {
    let [issued, not_before, expires] = [claims.iat, claims.nbf, claims.exp].map(Timestamp::from_seconds);
    let life = Duration::from_secs(
        u64::try_from(claims.exp.saturating_sub(claims.iat.min(claims.nbf))).unwrap_or(0),
    );
    let good = life > Duration::ZERO
        && life <= LONGEST_LIFE
        && issued <= now.plus(LEEWAY)
        && not_before <= now.plus(LEEWAY)
        && now < expires.plus(LEEWAY);
    if good { Ok(expires) } else { Err(Refused::Time) }
}

impl Audience {
    fn contains(&self, app: &str) -> bool {
        match self {
            Self::One(one) => one == app,
            Self::Several(several) => several.iter().any(|one| one == app),
        }
    }
}
