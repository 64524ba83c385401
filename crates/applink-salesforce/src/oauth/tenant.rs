//! Data Cloud: an access token of the org is traded for one of its *tenant*, the host where its data is queried and
//! loaded. The same token may be traded any number of times.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::hosts::{HostRefused, OrgHosts, OrgOrigin};
use crate::oauth::client::{OAuth, success};
use crate::oauth::failure::TokenFailure;

const GRANT: &str = "urn:salesforce:grant-type:external:cdp";
const SUBJECT: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A tenant's token that doesn't say how long it lives is used for so long.
const UNSAID: Duration = Duration::from_secs(15 * 60);

/// What the exchange answers. The host in it is a claim until checked: [`TenantToken::tenant`] is the only way to it.
#[derive(Debug)]
pub struct TenantToken {
    /// Good for the tenant alone.
    pub access_token: SecretString,
    /// How long it lives.
    pub expires_in: Duration,
    instance_url: String,
}

#[derive(Deserialize)]
struct WireTenantToken {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    instance_url: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(serde::de::Error::custom("the token is empty")) } else { Ok(text.into()) }
}

impl TenantToken {
    /// The tenant, once it is a host we may call. It comes without its scheme, which is https then; beside a local org it
    /// is that org's.
    ///
    /// # Errors
    /// [`HostRefused`].
    pub fn tenant(&self, hosts: &OrgHosts, org: &OrgOrigin) -> Result<OrgOrigin, HostRefused> {
        let host = self.instance_url.trim().trim_end_matches('/');
        match org.as_str().split_once("://") {
            Some((scheme, _)) if org.is_loopback() && !host.contains("://") => {
                hosts.instance(&format!("{scheme}://{host}"))
            }
            _ => hosts.instance(host),
        }
    }
}

impl OAuth {
    /// Trades an access token of the org at `org` for one of its Data Cloud tenant.
    ///
    /// # Errors
    /// [`TokenFailure`]: refused when the access token is over, has no `cdp_…` scope, or the org has no Data Cloud. Trying
    /// again does no harm.
    pub async fn exchange_for_tenant(
        &self,
        org: &OrgOrigin,
        access_token: &SecretString,
    ) -> Result<TenantToken, TokenFailure> {
        let form = vec![
            ("grant_type", GRANT),
            ("subject_token", access_token.expose_secret()),
            ("subject_token_type", SUBJECT),
        ];
        let answer = self.post(org, "/services/a360/token", &form).await?;
        let wire: WireTenantToken = success(org, &answer)?;
        let said = wire.expires_in.filter(|seconds| (1..=86_400).contains(seconds)).map(Duration::from_secs);
        Ok(TenantToken {
            access_token: wire.access_token,
            expires_in: said.unwrap_or(UNSAID),
            instance_url: wire.instance_url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(instance_url: &str, org: &str) -> Option<String> {
        let hosts = OrgHosts::salesforce().list("http://127.0.0.1:7701").unwrap();
        let token = TenantToken {
            access_token: "x".into(),
            expires_in: UNSAID,
            instance_url: instance_url.to_owned(),
        };
        let org = OrgOrigin::vouched_for(org).unwrap();
        token.tenant(&hosts, &org).ok().map(|tenant| tenant.as_str().to_owned())
    }

    #[test]
    fn a_tenant_has_its_scheme_and_is_a_host_we_may_call() {
        let (real, local) = ("https://acme.my.salesforce.com", "http://127.0.0.1:7701");
        let host = "mq8tmnbqm0zdoy3cgy.c360a.salesforce.com";
        let https = format!("https://{host}");
        for given in [host, &https, &format!("{https}/")] {
            assert_eq!(tenant(given, real).as_deref(), Some(https.as_str()), "{given}");
        }
        assert_eq!(tenant("127.0.0.1:7701", local).as_deref(), Some(local));
        for (given, org) in
            [("127.0.0.1:7701", real), ("evil.example", real), ("evil.example", local), ("", real)]
        {
            assert_eq!(tenant(given, org), None, "{given}");
        }
    }
}
