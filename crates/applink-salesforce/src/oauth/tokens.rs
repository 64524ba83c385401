//! Step 4 and later: what a token endpoint answers.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::hosts::{HostRefused, OrgHosts, OrgOrigin};
use crate::identity::{IdentityError, IdentityUrl};

/// A token answer. Hosts in it are claims until checked: [`Tokens::instance`] and [`Tokens::identity`] are the
/// only ways to them, so a rotated refresh token can be saved before anything else is looked at.
#[derive(Debug)]
pub struct Tokens {
    /// The access token, a session of the user.
    pub access_token: SecretString,
    /// The refresh token: in the web-server flow, and whenever the org rotated it. `None` means "keep the old".
    pub refresh_token: Option<SecretString>,
    /// What the grant is for, in the org's order; empty when the org didn't say.
    pub scopes: Vec<String>,
    /// When the org issued it, by the org's clock.
    pub issued_at: Option<Timestamp>,
    /// How long the access token lives. Core orgs don't say.
    pub expires_in: Option<Duration>,
    instance_url: String,
    identity_url: String,
}

#[derive(Deserialize)]
pub(super) struct WireTokens {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    #[serde(default, deserialize_with = "optional_secret")]
    refresh_token: Option<SecretString>,
    instance_url: String,
    id: String,
    #[serde(default)]
    scope: Option<String>,
    /// Milliseconds since 1970, as text.
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<Duration>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(serde::de::Error::custom("the token is empty")) } else { Ok(text.into()) }
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// A number, or text that holds one; anything else, and what can't be a life, counts as absent.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    let number = value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    Ok(number.filter(|seconds| (1..=86_400).contains(seconds)).map(Duration::from_secs))
}

impl From<WireTokens> for Tokens {
    fn from(wire: WireTokens) -> Self {
        let issued_at = wire.issued_at.and_then(|text| text.parse().ok());
        Self {
            access_token: wire.access_token,
            refresh_token: wire.refresh_token,
            scopes: wire.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            issued_at: issued_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            expires_in: wire.expires_in,
            instance_url: wire.instance_url,
            identity_url: wire.id,
        }
    }
}

impl Tokens {
    /// The org's own URL, once it is one we may call.
    ///
    /// # Errors
    /// [`HostRefused`].
    pub fn instance(&self, hosts: &OrgHosts) -> Result<OrgOrigin, HostRefused> {
        hosts.instance(&self.instance_url)
    }

    /// Whose token this is, once the identity URL's host is one we may call.
    ///
    /// # Errors
    /// [`IdentityError`] when it isn't, or when it doesn't end in an org id and a user id.
    pub fn identity(&self, hosts: &OrgHosts) -> Result<IdentityUrl, IdentityError> {
        IdentityUrl::parse(&self.identity_url, hosts)
    }
}
