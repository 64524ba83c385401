//! `x-addon-sso`: base64 of the JSON that Heroku's `GET /apps/{app}/addons/{addon}/sso` answers. Its digest covers
//! the resource id, the salt and the time, nothing else: e-mail and user id are what the caller *claims*.
//!
//! `resource_token = sha1(resource_id ":" salt ":" timestamp)` (Heroku, "Add-on Single Sign-on").
//!
//! Our own stand-in for the Platform API adds `applink_person_mac`, an HMAC that covers the person as well.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::same;
use crate::vault::hex;

/// How old a sign-on may be.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);
/// How far its clock may be ahead of ours.
pub(crate) const AHEAD: Duration = Duration::from_secs(60);

/// A sign-on does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SsoError {
    #[error("it is not base64 of the JSON that the Platform API's sso call answers")]
    Unreadable,
    #[error("it is for another add-on")]
    OtherAddon,
    #[error("it is more than five minutes old; fetch a new one")]
    Stale,
    #[error("its signature is wrong")]
    Signature,
}

#[derive(Deserialize)]
struct Blob {
    params: Params,
}

/// What Heroku sends of a person: in the header as JSON, to `POST /sso/login` as a form.
#[derive(Deserialize)]
pub(crate) struct Params {
    resource_id: Option<String>,
    id: Option<String>,
    resource_token: Option<String>,
    token: Option<String>,
    timestamp: Value,
    email: Option<String>,
    user_id: Option<String>,
    applink_person_mac: Option<String>,
}

/// Somebody whose sign-on counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedOn {
    /// Their e-mail, or their user id.
    pub(crate) name: String,
    /// Their user id, when our MAC covers it.
    pub(crate) proved: Option<Uuid>,
}

/// What [`person_mac`] covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    /// The add-on.
    pub(crate) resource: &'a str,
    /// Seconds since the epoch.
    pub(crate) timestamp: i64,
    /// Who.
    pub(crate) user_id: &'a str,
    /// And their e-mail.
    pub(crate) email: &'a str,
}

/// What no user id and no e-mail can contain.
pub(crate) const SEPARATOR: &str = "\n";

/// Heroku's digest.
pub(crate) fn resource_token(resource: &str, salt: &SecretString, timestamp: i64) -> String {
    let signed = format!("{resource}:{}:{timestamp}", salt.expose_secret());
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes()).as_ref())
}

/// Our MAC, which covers the person too.
pub(crate) fn person_mac(claim: Claim<'_>, salt: &SecretString) -> String {
    let Claim { resource, timestamp, user_id, email } = claim;
    mac(&["applink sso person v1", resource, &timestamp.to_string(), user_id, email], salt)
}

/// A MAC of ours under the salt. The first part says what it is for.
pub(crate) fn mac(parts: &[&str], salt: &SecretString) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.expose_secret().as_bytes());
    hex(hmac::sign(&key, parts.join(SEPARATOR).as_bytes()).as_ref())
}

/// Whom the caller claims to be, once the signature is right and fresh.
pub(super) fn verify(
    header: &[u8],
    salt: &SecretString,
    addon: AddonId,
    now: Timestamp,
) -> Result<SignedOn, SsoError> {
    let json = STANDARD.decode(header).map_err(|_| SsoError::Unreadable)?;
    let Blob { params } = serde_json::from_slice(&json).map_err(|_| SsoError::Unreadable)?;
    if params.addon() != Some(addon) {
        return Err(if params.resource().is_none() { SsoError::Unreadable } else { SsoError::OtherAddon });
    }
    verify_params(params, salt, Some(now))
}

/// The person whom our own stand-in signed on, however long ago: what they may do is looked at anew.
pub(super) fn proved_whenever(header: &[u8], salt: &SecretString, addon: AddonId) -> Option<Uuid> {
    let json = STANDARD.decode(header).ok()?;
    let Blob { params } = serde_json::from_slice(&json).ok()?;
    if params.addon() != Some(addon) {
        return None;
    }
    verify_params(params, salt, None).ok()?.proved
}

impl Params {
    fn resource(&self) -> Option<&str> {
        self.resource_id.as_deref().or(self.id.as_deref())
    }

    /// The add-on it is for, as claimed.
    pub(crate) fn addon(&self) -> Option<AddonId> {
        self.resource()?.parse().ok()
    }

    /// The digest, which stands for this sign-on: it covers everything that Heroku signs.
    pub(crate) fn digest(&self) -> Option<String> {
        let token = self.resource_token.as_deref().or(self.token.as_deref())?;
        Some(token.to_ascii_lowercase())
    }
}

/// The same for what is not in a header. Without a time, age does not count.
pub(crate) fn verify_params(
    params: Params,
    salt: &SecretString,
    now: Option<Timestamp>,
) -> Result<SignedOn, SsoError> {
    let resource = params.resource().ok_or(SsoError::Unreadable)?;
    let timestamp = seconds(&params.timestamp).ok_or(SsoError::Unreadable)?;
    let token = params.digest().ok_or(SsoError::Unreadable)?;
    if !same(&resource_token(resource, salt, timestamp), &token) {
        return Err(SsoError::Signature);
    }
    let issued = Timestamp::from_seconds(timestamp);
    if now.is_some_and(|now| now.since(issued) > FRESH || issued.since(now) > AHEAD) {
        return Err(SsoError::Stale);
    }
    let proved = proved(&params, resource, timestamp, salt)?;
    let name = params.email.or(params.user_id).unwrap_or_else(|| "unknown".to_owned());
    Ok(SignedOn { name, proved })
}

/// Nobody, when there is no MAC; a wrong one is a forgery.
fn proved(
    params: &Params,
    resource: &str,
    timestamp: i64,
    salt: &SecretString,
) -> Result<Option<Uuid>, SsoError> {
    let Some(mac) = &params.applink_person_mac else { return Ok(None) };
    let (user_id, email) =
        params.user_id.as_deref().zip(params.email.as_deref()).ok_or(SsoError::Signature)?;
    let claim = Claim { resource, timestamp, user_id, email };
    if !same(&person_mac(claim, salt), mac) {
        return Err(SsoError::Signature);
    }
    user_id.parse().map(Some).map_err(|_| SsoError::Signature)
}

fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDON: &str = "01234567-89ab-4def-8123-456789abcdef";

    fn blob(token: &str, timestamp: i64) -> String {
        let json = serde_json::json!({"action": "https://a/sso/login", "method": "post", "params": {
            "resource_id": ADDON, "resource_token": token, "timestamp": timestamp, "email": "dev@acme.example"}});
        STANDARD.encode(json.to_string())
    }

    fn signature(timestamp: i64) -> String {
        hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{ADDON}:salt:{timestamp}").as_bytes()).as_ref())
    }

    fn check(blob: &str, now: i64) -> Result<String, SsoError> {
        signed_on(blob, now).map(|person| person.name)
    }

    fn signed_on(blob: &str, now: i64) -> Result<SignedOn, SsoError> {
        verify(blob.as_bytes(), &"salt".into(), ADDON.parse().unwrap(), Timestamp::from_seconds(now))
    }

    #[test]
    fn our_mac_proves_the_person_and_nobody_else() {
        const USER: &str = "11111111-2222-4333-8444-555555555555";
        let claim = Claim { resource: ADDON, timestamp: 1000, user_id: USER, email: "dev@acme.example" };
        let mac = person_mac(claim, &"salt".into());
        let blob = |user: &str, email: &str| {
            STANDARD.encode(
                serde_json::json!({"params": {"resource_id": ADDON, "resource_token": signature(1000),
                    "timestamp": "1000", "user_id": user, "email": email, "applink_person_mac": mac}})
                .to_string(),
            )
        };
        let proved = signed_on(&blob(USER, "dev@acme.example"), 1000).unwrap().proved;
        assert_eq!(proved, Some(USER.parse().unwrap()));
        let other = USER.replace('1', "2");
        assert_eq!(signed_on(&blob(&other, "dev@acme.example"), 1000), Err(SsoError::Signature));
        assert_eq!(signed_on(&blob(USER, "boss@acme.example"), 1000), Err(SsoError::Signature));
    }

    #[test]
    fn a_fresh_and_signed_one_names_the_person() {
        assert_eq!(check(&blob(&signature(1000), 1000), 1300).as_deref(), Ok("dev@acme.example"));
    }

    #[test]
    fn stale_forged_foreign_and_garbled_ones_do_not_count() {
        assert_eq!(check(&blob(&signature(1000), 1000), 1301), Err(SsoError::Stale));
        assert_eq!(check(&blob(&signature(1000), 1000), 900), Err(SsoError::Stale));
        assert_eq!(check(&blob(&signature(1001), 1000), 1000), Err(SsoError::Signature));
        assert_eq!(check("%%%", 0), Err(SsoError::Unreadable));
        let other = "01234567-89ab-4def-8123-000000000000".parse().unwrap();
        let good = blob(&signature(1000), 1000);
        let foreign = verify(good.as_bytes(), &"salt".into(), other, Timestamp::from_seconds(1000));
        assert_eq!(foreign, Err(SsoError::OtherAddon));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = verify(&bytes, &"salt".into(), ADDON.parse().unwrap(), Timestamp::from_seconds(0));
            let wrapped = STANDARD.encode(&bytes);
            let _ = verify(wrapped.as_bytes(), &"salt".into(), ADDON.parse().unwrap(), Timestamp::from_seconds(0));
        }
    }
}
