//! The org's signed token, checked here with a key of the trust bundle. Pure.
//!
//! RS256 with `kid`, and no header that brings or points to another key; the header's `tnk` ends in the org's id;
//! `iss` is the org's own URL; `sub` is `uid:` and a user id; `aud` contains this app (unless the org's policy is
//! `core`); `iat`, `nbf` and `exp` span at most five minutes; `jti` is there. A claim that is missing, doubled or of
//! the wrong JSON type refuses the token (RFC 8725).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use applink_api::ids::{AppUuid, RecordId};
use applink_api::time::Timestamp;
use applink_api::trust::TokenPolicy;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::authenticate::Verified;
use crate::trust::OrgTrust;

/// How far the org's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest life of a token.
const LONGEST_LIFE: Duration = Duration::from_secs(5 * 60);
/// Longest token that is read.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Longest `jti` that is taken.
const LONGEST_ID: usize = 256;

/// Why a token does not count. The caller is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// The org is not connected to this add-on.
    #[error("its org is not connected")]
    NotConnected,
    /// This app is not published in the org.
    #[error("this app is not published in its org")]
    NotPublished,
    /// Not a JWT.
    #[error("it is not a JWT")]
    Form,
    /// Another algorithm than RS256, or a header that brings or points to its own key.
    #[error("its header asks for something other than RS256 with a known key")]
    Header,
    /// No such key at the org.
    #[error("the org has no such key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing, doubled or of the wrong type.
    #[error("a claim is missing or of the wrong type")]
    Claims,
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

#[derive(Deserialize)]
struct Header<'t> {
    #[serde(borrow)]
    alg: Text<'t>,
    #[serde(borrow)]
    kid: Option<Text<'t>>,
    #[serde(borrow)]
    tnk: Option<Text<'t>>,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// Whatever the value, `null` too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[derive(Deserialize)]
struct Claims<'t> {
    #[serde(borrow)]
    iss: Text<'t>,
    #[serde(borrow)]
    sub: Text<'t>,
    #[serde(borrow)]
    aud: Audience<'t>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

/// One text, or several.
struct Audience<'t>(Vec<Text<'t>>);

impl<'de: 't, 't> Deserialize<'de> for Audience<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AudienceVisitor)
    }
}

struct AudienceVisitor;

impl<'de> Visitor<'de> for AudienceVisitor {
    type Value = Audience<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one audience or several")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Audience<'de>, E> {
        Ok(Audience(vec![Text(Cow::Borrowed(text))]))
    }

    fn visit_str<E>(self, text: &str) -> Result<Audience<'de>, E> {
        Ok(Audience(vec![Text(Cow::Owned(text.to_owned()))]))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut texts: S) -> Result<Audience<'de>, S::Error> {
        let mut several = Vec::new();
        while let Some(text) = texts.next_element()? {
            several.push(text);
        }
        Ok(Audience(several))
    }
}

/// Judges `token` as one of `org` for `app`.
pub(crate) fn verify(
    token: &str,
    org: &OrgTrust,
    app: AppUuid,
    now: Timestamp,
) -> Result<Verified, TokenProblem> {
    if token.len() > LONGEST_TOKEN {
        return Err(TokenProblem::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenProblem::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Form)?;
    let (header, signature) = (decode(header)?, decode(signature)?);
    let kid = key_id(&header, org)?;
    let key = org.keys.get(&*kid).ok_or(TokenProblem::UnknownKey)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(TokenProblem::Signature);
    }
    let claims = decode(claims)?;
    let claims: Claims<'_> = serde_json::from_slice(&claims).map_err(|_| TokenProblem::Claims)?;
    check(claims, org, app, now)
}

/// Without padding, and with no bit set that belongs to nothing.
fn decode(part: &str) -> Result<Vec<u8>, TokenProblem> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenProblem::Form)
}

fn key_id<'t>(header: &'t [u8], org: &OrgTrust) -> Result<Cow<'t, str>, TokenProblem> {
    let header: Header<'t> = serde_json::from_slice(header).map_err(|_| TokenProblem::Form)?;
    let brings_a_key = header.jku || header.jwk || header.x5u || header.x5c;
    if brings_a_key || header.crit || header.b64 || header.enc || header.zip || header.alg.0 != "RS256" {
        return Err(TokenProblem::Header);
    }
    // `core/prod/00D…`
    let Text(tnk) = header.tnk.ok_or(TokenProblem::OtherOrg)?;
    let named = tnk.rsplit('/').next().unwrap_or_default();
    if named.parse::<RecordId>().is_ok_and(|named| named == org.id) {
        header.kid.map(|Text(kid)| kid).ok_or(TokenProblem::Header)
    } else {
        Err(TokenProblem::OtherOrg)
    }
}

fn check(claims: Claims<'_>, org: &OrgTrust, app: AppUuid, now: Timestamp) -> Result<Verified, TokenProblem> {
    if claims.iss.0.trim_end_matches('/') != org.instance_url {
        return Err(TokenProblem::Issuer);
    }
    if org.policy == TokenPolicy::Strict && !claims.aud.contains(app) {
        return Err(TokenProblem::Audience);
    }
    let user_id = claims.sub.0.strip_prefix("uid:").and_then(|id| id.parse::<RecordId>().ok());
    let user_id = user_id.filter(|id| id.key_prefix() == "005").ok_or(TokenProblem::Subject)?;
    let expires_at = ensure_time(&claims, now)?;
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_ID {
        return Err(TokenProblem::Id);
    }
    Ok(Verified {
        org_id: org.id.to_string(),
        user_id: Some(user_id.to_string()),
        instance_url: Some(org.instance_url.clone()),
        expires_at: Some(expires_at),
        token_id: Some(claims.jti),
    })
}

fn ensure_time(claims: &Claims<'_>, now: Timestamp) -> Result<Timestamp, TokenProblem> {
    let [issued, not_before, expires] = [claims.iat, claims.nbf, claims.exp].map(Timestamp::from_seconds);
    let life = Duration::from_secs(
        u64::try_from(claims.exp.saturating_sub(claims.iat.min(claims.nbf))).unwrap_or(0),
    );
    let good = life > Duration::ZERO
        && life <= LONGEST_LIFE
        && issued <= now.plus(LEEWAY)
        && not_before <= now.plus(LEEWAY)
        && now < expires.plus(LEEWAY);
    if good { Ok(expires) } else { Err(TokenProblem::Time) }
}

impl Audience<'_> {
    fn contains(&self, app: AppUuid) -> bool {
        self.0.iter().any(|Text(one)| one.parse::<AppUuid>() == Ok(app))
    }
}
