//! Who a token belongs to.
//!
//! 1. The token answer's `id` names org and user: [`IdentityUrl::parse`], whose host must be one we may call.
//! 2. [`IdentityUrl::ensure_from`]: it must be the host we logged in at, the org itself, or Salesforce's own
//!    login host; [`IdentityUrl::ensure_org`]: on a reconnect, the org we knew. Else two orgs were mixed up.
//! 3. [`Org::who_am_i`]: the user's name.
//! 4. [`Org::may_manage_applink`] and [`Org::is_sandbox`], by query, as that user.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::error::OrgError;
use crate::hosts::{HostRefused, OrgHosts, OrgOrigin, PRODUCTION_LOGIN, SANDBOX_LOGIN, UrlRole};
use crate::ids::{RecordId, RecordIdError};
use crate::rest::{Org, OrgCall};

/// `https://login.salesforce.com/id/{org}/{user}`, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityUrl {
    /// Its host, one we may call.
    pub origin: OrgOrigin,
    /// `00D…`.
    pub org_id: RecordId,
    /// `005…`.
    pub user_id: RecordId,
}

/// An identity URL is not to be trusted, or not of whom we expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not `…/id/{org}/{user}`.
    #[error("the identity URL does not end in /id/, an org id and a user id")]
    Form,
    /// One of the two ids isn't an id of that kind.
    #[error("the identity URL holds something other than an org id and a user id")]
    Id(#[source] RecordIdError),
    /// Its host is not one we may call.
    #[error("the identity URL's host may not be called")]
    Host(#[source] HostRefused),
    /// Its host is neither where we logged in nor the org.
    #[error("the token's identity is at {identity}, but the log-in was at {login} and the org is {instance}")]
    OtherHost {
        /// The identity URL's host.
        identity: String,
        /// Where the log-in was.
        login: String,
        /// The org's own URL.
        instance: String,
    },
    /// The token is for another org than the one this name stands for.
    #[error(
        "this name belongs to org {expected}, but the log-in was to org {found}: use another name, or log in to the right org"
    )]
    OtherOrg {
        /// The org we knew.
        expected: RecordId,
        /// The org of this token.
        found: RecordId,
    },
    /// The token is another user's than the one this name stands for.
    #[error(
        "this name belongs to user {expected}, but user {found} logged in: use another name, or log in as the right user"
    )]
    OtherUser {
        /// The user we knew.
        expected: RecordId,
        /// The user of this token.
        found: RecordId,
    },
}

/// A user, as `userinfo` tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UserInfo {
    /// `005…`.
    pub user_id: RecordId,
    /// `00D…`.
    pub organization_id: RecordId,
    /// The user name (`someone@acme.example`).
    #[serde(rename = "preferred_username")]
    pub username: String,
    /// The name people read.
    #[serde(default)]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
}

impl IdentityUrl {
    /// Step 1.
    ///
    /// # Errors
    /// [`IdentityError`], except for its two `Other…` variants.
    pub fn parse(text: &str, hosts: &OrgHosts) -> Result<Self, IdentityError> {
        let url = Url::parse(text).map_err(|_| IdentityError::Form)?;
        let origin = hosts.check(UrlRole::Identity, &url).map_err(IdentityError::Host)?;
        let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
        let ["id", org, user] = segments.as_slice() else { return Err(IdentityError::Form) };
        let id = |text: &str, prefix| {
            text.parse::<RecordId>().and_then(|id| id.expect_prefix(prefix)).map_err(IdentityError::Id)
        };
        Ok(Self { origin, org_id: id(org, "00D")?, user_id: id(user, "005")? })
    }

    /// Step 2, the host: where we logged in, the org itself, or (for Salesforce's own hosts, whose identity URLs
    /// name the central login host even after a log-in at My Domain) login.salesforce.com and its sandbox twin.
    ///
    /// # Errors
    /// [`IdentityError::OtherHost`].
    pub fn ensure_from(&self, login: &OrgOrigin, instance: &OrgOrigin) -> Result<(), IdentityError> {
        let central = [PRODUCTION_LOGIN, SANDBOX_LOGIN].contains(&self.origin.as_str());
        if self.origin == *login || self.origin == *instance || (central && login.is_salesforce()) {
            return Ok(());
        }
        Err(IdentityError::OtherHost {
            identity: self.origin.to_string(),
            login: login.to_string(),
            instance: instance.to_string(),
        })
    }

    /// Step 2, the org: the one this name has always stood for.
    ///
    /// # Errors
    /// [`IdentityError::OtherOrg`], with both ids.
    pub fn ensure_org(&self, expected: RecordId) -> Result<(), IdentityError> {
        if self.org_id == expected {
            return Ok(());
        }
        Err(IdentityError::OtherOrg { expected, found: self.org_id })
    }
}

impl Org {
    /// Step 3: the user this org is called as.
    ///
    /// # Errors
    /// [`OrgError`]; a token that is not good is [`OrgError::SessionExpired`].
    pub async fn who_am_i(&self) -> Result<UserInfo, OrgError> {
        match self.send(&OrgCall::get("/services/oauth2/userinfo")).await {
            Ok(answer) => answer.json(),
            // This endpoint says so with 403 and a plain text.
            Err(OrgError::Unexpected { status }) if status == http::StatusCode::FORBIDDEN => {
                Err(OrgError::SessionExpired { message: "Bad_OAuth_Token".to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// Step 4: whether the user has the permission "Manage Heroku AppLink", which connecting and authorizing
    /// need. An org that does not know the permission answers no.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn may_manage_applink(&self) -> Result<bool, OrgError> {
        let soql = "SELECT PermissionsManageHerokuAppLink FROM UserPermissionAccess";
        match self.query(soql).await {
            Ok(page) => Ok(page.records.iter().any(|row| is_true(row, "PermissionsManageHerokuAppLink"))),
            Err(error) if error.has_code("INVALID_FIELD") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Step 4: whether this is a sandbox or scratch org.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn is_sandbox(&self) -> Result<bool, OrgError> {
        let page = self.query("SELECT IsSandbox FROM Organization").await?;
        Ok(page.records.iter().any(|row| is_true(row, "IsSandbox")))
    }
}

fn is_true(row: &serde_json::Map<String, Value>, field: &str) -> bool {
    row.iter().any(|(name, value)| name.eq_ignore_ascii_case(field) && *value == Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "https://login.salesforce.com/id/00DSB00000VAyPF2A1/005DS00000yYLD1YAO";

    fn origin(text: &str) -> OrgOrigin {
        OrgOrigin::vouched_for(text).unwrap()
    }

    #[test]
    fn reads_org_and_user() {
        let identity = IdentityUrl::parse(ID, &OrgHosts::salesforce()).unwrap();
        assert_eq!(identity.org_id.as_str(), "00DSB00000VAyPF2A1");
        assert_eq!(identity.user_id.as_str(), "005DS00000yYLD1YAO");
    }

    #[test]
    fn refuses_other_hosts_and_shapes() {
        let read = |text: &str| IdentityUrl::parse(text, &OrgHosts::salesforce()).unwrap_err();
        let elsewhere = ID.replace("login.salesforce.com", "login.salesforce.com.evil.example");
        assert!(matches!(read(&elsewhere), IdentityError::Host(_)));
        for text in [
            "https://login.salesforce.com/id/00DSB00000VAyPF2A1",
            "https://login.salesforce.com/x/00DSB00000VAyPF2A1/005DS00000yYLD1YAO",
            "https://login.salesforce.com/id/00DSB00000VAyPF2A1/005DS00000yYLD1YAO/more",
            "nonsense",
        ] {
            assert_eq!(read(text), IdentityError::Form, "{text}");
        }
        let swapped = "https://login.salesforce.com/id/005DS00000yYLD1YAO/00DSB00000VAyPF2A1";
        assert!(matches!(read(swapped), IdentityError::Id(_)));
    }

    #[test]
    fn the_host_must_be_login_org_or_the_central_one() {
        let identity = IdentityUrl::parse(ID, &OrgHosts::salesforce()).unwrap();
        let (login, org) = (origin("https://login.salesforce.com"), origin("https://acme.my.salesforce.com"));
        assert_eq!(identity.ensure_from(&login, &org), Ok(()));
        assert_eq!(identity.ensure_from(&org, &org), Ok(()), "a log-in at My Domain has a central identity");
        let local = origin("http://127.0.0.1:7701");
        let error = identity.ensure_from(&local, &local).unwrap_err();
        assert!(error.to_string().contains("http://127.0.0.1:7701"), "{error}");
        let other = ID.replace("login", "other.my");
        let other = IdentityUrl::parse(&other, &OrgHosts::salesforce()).unwrap();
        assert!(other.ensure_from(&login, &org).is_err());
    }

    #[test]
    fn another_org_is_named_with_both_ids() {
        let identity = IdentityUrl::parse(ID, &OrgHosts::salesforce()).unwrap();
        let known: RecordId = "00DSG00000DGEIr2AP".parse().unwrap();
        let text = identity.ensure_org(known).unwrap_err().to_string();
        assert!(text.contains("00DSG00000DGEIr2AP") && text.contains("00DSB00000VAyPF2A1"), "{text}");
        assert_eq!(identity.ensure_org(identity.org_id), Ok(()));
    }
}
