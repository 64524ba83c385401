//! JWT bearer, step 2: the assertion.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use crate::hosts::OrgOrigin;
use crate::oauth::key::{KeyError, SigningKey};

/// How long an assertion may be used: Salesforce refuses more than three minutes.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(180);

/// A signed statement "let this app act as this user", good for one host.
#[derive(Clone, Debug)]
pub struct Assertion {
    audience: OrgOrigin,
    jwt: SecretString,
}

impl Assertion {
    /// The host it is for, and the only one it is sent to.
    pub fn audience(&self) -> &OrgOrigin {
        &self.audience
    }

    pub(super) fn jwt(&self) -> &SecretString {
        &self.jwt
    }
}

impl SigningKey {
    /// Step 2: signs an assertion that `username` may be acted for by the app with `consumer_key`, at the login
    /// host `audience`, from `now` for [`ASSERTION_LIFETIME`]. `jti` must not have been used before.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] when the key can't sign.
    pub fn assert(
        &self,
        consumer_key: &str,
        username: &str,
        audience: &OrgOrigin,
        now: Timestamp,
        jti: &str,
    ) -> Result<Assertion, KeyError> {
        let issued = now.as_second();
        let lifetime = i64::try_from(ASSERTION_LIFETIME.as_secs()).unwrap_or(0);
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let claims = json!({
            "iss": consumer_key,
            "sub": username,
            "aud": audience.as_str(),
            "iat": issued,
            "exp": issued.saturating_add(lifetime),
            "jti": jti,
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())?);
        Ok(Assertion { audience: audience.clone(), jwt: SecretString::from(format!("{signed}.{signature}")) })
    }
}
