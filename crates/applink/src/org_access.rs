//! A stored user's org, with the token the service hands out for it.
//!
//! The token goes to that org's own address and nowhere else, and is never printed.

use applink_api::authorization::Authorization;
use applink_salesforce::egress::EgressSettings;
use applink_salesforce::error::OrgError;
use applink_salesforce::rest::{ApiVersion, Org};
use applink_salesforce::{OrgEgress, OrgOrigin};
use secrecy::SecretString;

use crate::error::CliError;

/// When an authorization does not say which version its org speaks.
const FALLBACK_VERSION: &str = "66.0";

/// An org as one stored user.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) org_id: String,
    pub(crate) instance_url: String,
    pub(crate) api_version: String,
    pub(crate) user_id: String,
    pub(crate) username: String,
    pub(crate) token: SecretString,
    org: Org,
}

impl Access {
    /// Reads what the service handed out.
    ///
    /// # Errors
    /// When there is no token in it, or the org's address is none.
    pub(crate) fn of(authorization: Authorization) -> Result<Self, CliError> {
        let status = authorization.status;
        let mut org = authorization.org;
        let why = authorization.error.map(|error| error.message);
        let Some(user) = org.user_auth.take() else {
            let told = why.unwrap_or_else(|| format!("the authorization is {}", status.as_str()));
            return Err(CliError::refused(crate::printer::printable(&told)));
        };
        let api_version = org.api_version.unwrap_or_else(|| FALLBACK_VERSION.to_owned());
        let version: ApiVersion = api_version
            .parse()
            .map_err(|error| CliError::broken("the API version can't be used").because(error))?;
        let origin = OrgOrigin::vouched_for(&org.instance_url)
            .map_err(|error| CliError::broken("the org's address can't be used").because(error))?;
        let user_agent = concat!("applink/", env!("CARGO_PKG_VERSION")).to_owned();
        let egress = OrgEgress::new(EgressSettings { user_agent, ..EgressSettings::default() })
            .map_err(|error| CliError::broken(error.to_string()).because(error))?;
        Ok(Self {
            org_id: org.id,
            instance_url: org.instance_url,
            api_version,
            user_id: user.user_id,
            username: user.username,
            token: user.access_token.clone(),
            org: Org::new(egress, origin, version, user.access_token),
        })
    }

    /// Calls to it.
    pub(crate) fn org(&self) -> &Org {
        &self.org
    }
}

/// What an org's refusal means.
pub(crate) fn refused(error: OrgError) -> CliError {
    CliError::refused(crate::printer::printable(&error.to_string())).because(error)
}
