//! Step 6: who is this? Shared by the browser round trip and JWT bearer.

use applink_api::error::{ResourceError, error_id};
use applink_salesforce::hosts::HostRefused;
use applink_salesforce::identity::{IdentityError, IdentityUrl};
use applink_salesforce::ids::RecordId;
use applink_salesforce::oauth::{KeyError, Outcome, TokenFailure, Tokens};
use applink_salesforce::rest::ApiVersion;
use applink_salesforce::{Org, OrgError, OrgOrigin};

use crate::app::App;
use crate::credentials::begin::capitalised;
use crate::credentials::{Kind, OrgUser};

/// Every org of today has this version; it only serves to ask for the newest.
const OLDEST: ApiVersion = ApiVersion::new(58);

/// An org could not be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The token endpoint refused, or can't be reached.
    #[error("the org gave no tokens")]
    Tokens(#[source] TokenFailure),
    /// The private key can't sign.
    #[error("the private key can't be used")]
    Key(#[source] KeyError),
    /// A host in the answer is not one we may call.
    #[error("the org's answer names a host that may not be called")]
    Host(#[source] HostRefused),
    /// The answer contradicts itself or the request.
    #[error("the org's answer does not fit the log-in")]
    Identity(#[source] IdentityError),
    /// userinfo names another user or org than the token answer.
    #[error("the org named two different users for one token")]
    TwoUsers,
    /// The user lacks the permission.
    #[error("{username} lacks the permission Manage Heroku AppLink")]
    NoPermission {
        /// The user.
        username: String,
    },
    /// There is no refresh token, so the grant would die with the first session.
    #[error("the org gave no refresh token")]
    NoRefreshToken,
    /// The org would end the user's oldest grant for this client.
    #[error("{username} has {grants} grants for this client already")]
    TooManyGrants {
        /// The user.
        username: String,
        /// How many there are without this one.
        grants: u64,
    },
    /// A call to the org failed.
    #[error("the org could not be asked")]
    Org(#[source] OrgError),
}

impl ConnectError {
    /// What the person reads: what happened, and how to mend it.
    pub fn sentence(&self) -> String {
        let with_hint = |error: &dyn std::fmt::Display, hint: &str| {
            format!("{}. {hint}", capitalised(&error.to_string()))
        };
        match self {
            Self::Tokens(failure) => with_hint(failure, failure.hint()),
            Self::Key(error) => with_hint(error, error.hint()),
            Self::Host(error) => with_hint(error, error.hint()),
            Self::Identity(error) => format!("{}.", capitalised(&error.to_string())),
            Self::TwoUsers => "The org named two different users for one token. Log out there and try again.".to_owned(),
            Self::NoPermission { username } => format!(
                "The user {username} lacks the permission Manage Heroku AppLink. In Setup, assign a permission set that has it (such as Manage Heroku AppLink) to this user, then try again."
            ),
            Self::NoRefreshToken => {
                "The org gave no refresh token. Add the scope \"Perform requests at any time (refresh_token, offline_access)\" to the external client app, then try again.".to_owned()
            }
            Self::TooManyGrants { username, grants } => format!(
                "The user {username} is connected {grants} times through this external client app already, and an org keeps five at most: one more may silently end the oldest. Disconnect one that is not needed, use another user, or add --force."
            ),
            Self::Org(error) => format!(
                "{}. Check that the user may use the API (permission API Enabled), then try again.",
                capitalised(&error.to_string())
            ),
        }
    }

    /// The sentence under its id, for a row.
    pub fn resource_error(&self) -> ResourceError {
        let id = match self {
            Self::Tokens(failure) if failure.outcome() != Outcome::NotSent => error_id::AUTHENTICATION_FAILED,
            Self::NoPermission { .. } | Self::NoRefreshToken | Self::Key(_) | Self::TooManyGrants { .. } => {
                error_id::AUTHENTICATION_FAILED
            }
            _ => error_id::ORG_CONNECTION_FAILED,
        };
        ResourceError { id: id.into(), message: self.sentence() }
    }
}

/// Asks the org whose tokens these are. Hosts and ids must agree with each other and with the log-in, and the user
/// must be allowed to manage AppLink.
///
/// # Errors
/// [`ConnectError`].
pub async fn identify(app: &App, login: &OrgOrigin, tokens: &Tokens) -> Result<OrgUser, ConnectError> {
    let instance = tokens.instance(&app.hosts).map_err(ConnectError::Host)?;
    let identity = tokens.identity(&app.hosts).map_err(ConnectError::Identity)?;
    identity.ensure_from(login, &instance).map_err(ConnectError::Identity)?;
    let org_with =
        |version| Org::new(app.egress.clone(), instance.clone(), version, tokens.access_token.clone());
    let api_version = org_with(OLDEST).newest_version().await.map_err(ConnectError::Org)?;
    let org = org_with(api_version);
    let user = org.who_am_i().await.map_err(ConnectError::Org)?;
    if !is_same_user(&identity, &user) {
        return Err(ConnectError::TwoUsers);
    }
    if !org.may_manage_applink().await.map_err(ConnectError::Org)? {
        return Err(ConnectError::NoPermission { username: user.username });
    }
    Ok(OrgUser {
        org_id: identity.org_id.to_string(),
        instance_url: org.origin().as_str().to_owned(),
        user_id: identity.user_id.to_string(),
        username: user.username,
        api_version: api_version.to_string(),
    })
}

fn is_same_user(identity: &IdentityUrl, user: &applink_salesforce::identity::UserInfo) -> bool {
    identity.org_id == user.organization_id && identity.user_id == user.user_id
}

/// A name that stood for an org is connected to the same org again, or not at all.
///
/// # Errors
/// [`ConnectError::Identity`] naming both orgs.
pub fn ensure_same_org(was: Option<&OrgUser>, now: &OrgUser) -> Result<(), ConnectError> {
    match was.and_then(|was| differing(&was.org_id, &now.org_id)) {
        Some((expected, found)) => Err(ConnectError::Identity(IdentityError::OtherOrg { expected, found })),
        None => Ok(()),
    }
}

/// An authorization stands for a user: whoever logs in in a browser must be that one. (By JWT the user is named.)
///
/// # Errors
/// [`ConnectError::Identity`] naming both users.
pub fn ensure_same_user(kind: Kind, was: Option<&OrgUser>, now: &OrgUser) -> Result<(), ConnectError> {
    let was = was.filter(|_| kind == Kind::Authorization);
    match was.and_then(|was| differing(&was.user_id, &now.user_id)) {
        Some((expected, found)) => Err(ConnectError::Identity(IdentityError::OtherUser { expected, found })),
        None => Ok(()),
    }
}

fn differing(was: &str, now: &str) -> Option<(RecordId, RecordId)> {
    let ids = (was.parse().ok()?, now.parse().ok()?);
    (ids.0 != ids.1).then_some(ids)
}
