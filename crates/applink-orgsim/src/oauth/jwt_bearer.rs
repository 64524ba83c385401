//! JWT bearer (RFC 7523): a client asserts, signed with its registered key, which user it acts for.
//!
//! 1. The header says RS256; nothing else is accepted.
//! 2. `iss` names the client, and the signature is by the key that client registered.
//! 3. `aud` names this org: its own URL with or without a slash, or the login host of its kind.
//! 4. `exp` is in the future, in seconds, or in milliseconds as Salesforce's own CLI sends it.
//! 5. `sub` is an active user whom the client's policy lets in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::clients::{self, Client};
use super::grants;
use super::token::{TokenForm, active_user, issue_without_refresh};
use super::token_error::{self, TokenError};
use crate::db::Tx;
use crate::keys;
use crate::org::OrgKind;
use crate::state::OrgState;
use crate::users::{self, User};

/// Numbers above this are milliseconds: as seconds they would lie in the year 5138.
const LARGEST_SECONDS: f64 = 100_000_000_000.0;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// An assertion taken apart, not yet believed.
struct Assertion<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

pub(super) fn grant(state: &OrgState, form: &TokenForm) -> Result<Value, TokenError> {
    let assertion = form.assertion.as_ref().ok_or_else(|| token_error::missing("assertion"))?;
    let assertion = parse(assertion.expose_secret()).ok_or_else(invalid_assertion)?;
    let client = state
        .db()
        .read(|tx| clients::find(tx, &assertion.claims.iss))?
        .ok_or_else(token_error::unknown_client)?;
    let key = client.public_key.as_deref().ok_or_else(invalid_assertion)?;
    if !keys::verifies(key, assertion.signed.as_bytes(), &assertion.signature) {
        return Err(invalid_assertion());
    }
    if !client.enabled {
        return Err(token_error::blocked_client());
    }
    if client.ip_restricted {
        return Err(token_error::ip_restricted());
    }
    check_audience(state, &assertion.claims.aud)?;
    if expiry_seconds(assertion.claims.exp) <= state.clock().now_seconds() {
        return Err(token_error::invalid_grant("expired authorization code"));
    }
    state.db().write(|tx| {
        let user = permitted_user(tx, &client, &assertion.claims.sub)?;
        let scopes = granted_scopes(tx, &client, &user)?;
        issue_without_refresh(state, tx, &client, &user, &scopes, None)
    })
}

fn invalid_assertion() -> TokenError {
    token_error::invalid_grant("invalid assertion")
}

/// Step 1.
fn parse(token: &str) -> Option<Assertion<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") || header.get("crit").is_some() {
        return None;
    }
    Some(Assertion {
        signed,
        signature: decode(signature)?,
        claims: serde_json::from_slice(&decode(claims)?).ok()?,
    })
}

/// Step 3.
fn check_audience(state: &OrgState, audience: &Audience) -> Result<(), TokenError> {
    let login_host = match state.identity().kind {
        OrgKind::Production => "login.salesforce.com",
        OrgKind::Sandbox => "test.salesforce.com",
    };
    let is_ours = |audience: &String| {
        let audience = audience.trim_end_matches('/');
        audience == state.base()
            || audience == login_host
            || audience.strip_prefix("https://") == Some(login_host)
    };
    let ours = match audience {
        Audience::One(one) => is_ours(one),
        Audience::Several(several) => several.iter().any(is_ours),
    };
    if ours { Ok(()) } else { Err(token_error::invalid_grant("audience is invalid")) }
}

/// Salesforce's own CLI adds 300 to a time in milliseconds and means seconds; an org reads the sum as seconds, far
/// away, and takes it.
const MEANT_SECONDS: i64 = 300;

/// Step 4.
#[expect(
    clippy::cast_possible_truncation,
    reason = "float to integer saturates, and either end is a fine expiry"
)]
fn expiry_seconds(expiry: f64) -> i64 {
    if expiry > LARGEST_SECONDS { (expiry / 1000.0) as i64 + MEANT_SECONDS } else { expiry as i64 }
}

/// Step 5. An unknown user is answered like one who has not approved the client.
fn permitted_user(tx: &Tx<'_>, client: &Client, username: &str) -> Result<User, TokenError> {
    let not_approved = || token_error::invalid_grant("user hasn't approved this consumer");
    let user = users::by_username(tx, username)?.ok_or_else(not_approved)?;
    let user = active_user(tx, &user.id)?;
    match clients::is_admin_approved(tx, client, &user.id)? {
        Some(true) => Ok(user),
        Some(false) => Err(token_error::not_admin_approved()),
        None if grants::approved_scopes(tx, &client.consumer_key, &user.id)?.is_some() => Ok(user),
        None => Err(not_approved()),
    }
}

/// Scopes come from the user's approval or from the client, never from the assertion.
fn granted_scopes(tx: &Tx<'_>, client: &Client, user: &User) -> Result<String, TokenError> {
    let approved = grants::approved_scopes(tx, &client.consumer_key, &user.id)?;
    let scopes = approved.unwrap_or_else(|| client.scopes.join(" "));
    let lasting = |scope: &&str| !matches!(*scope, "refresh_token" | "offline_access");
    Ok(scopes.split(' ').filter(lasting).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_expiry_is_seconds_or_milliseconds() {
        assert_eq!(expiry_seconds(1_795_294_298.0), 1_795_294_298);
        assert_eq!(expiry_seconds(1_795_294_298_147.0), 1_795_294_598);
    }

    proptest! {
        #[test]
        fn any_text_is_an_assertion_or_none(text in "[A-Za-z0-9_.-]{0,120}") {
            let _ = parse(&text);
        }
    }
}
