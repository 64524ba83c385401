//! Step 6: who is this? Shared by the browser round trip and JWT bearer.

use applink_api::error::{ResourceError, error_id};
use applink_api::org::OrgType;
use applink_salesforce::hosts::HostRefused;
use applink_salesforce::identity::{IdentityError, IdentityUrl};
use applink_salesforce::ids::RecordId;
use applink_salesforce::oauth::{KeyError, OAuthClient, Outcome, Refusal, TokenFailure, Tokens};
use applink_salesforce::rest::ApiVersion;
use applink_salesforce::{Org, OrgError, OrgOrigin};

use super::secrets;
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
    /// The org would end the user's oldest grant for this client.
    #[error("{username} has {grants} grants for this client already")]
    TooManyGrants {
        /// The user.
        username: String,
        /// How many there are without this one.
        grants: u64,
    },
    /// The grant lacks a scope that everything else needs.
    #[error("the org granted no scope {key}")]
    MissingScope {
        /// As on the wire.
        key: &'static str,
        /// As Setup shows it.
        label: &'static str,
    },
    /// There is no refresh token, or one that is dead at once, so the grant would die with the first session.
    #[error("the org gave no refresh token that lasts")]
    NoLastingRefreshToken,
    /// The org gives its user's tokens no way into its Data Cloud.
    #[error("the org gave no Data Cloud token")]
    NoTenant(#[source] TokenFailure),
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
                "The user {username} lacks the permission Manage Heroku AppLink. In Setup, assign a permission set that has it (such as Manage Heroku AppLink) to this user (step 4 of the guide to the external client app), then try again."
            ),
            Self::MissingScope { key, label } => format!(
                "The org granted no scope `{key}`. Add \"{label} ({key})\" to the external client app's OAuth scopes (step 2 of the guide to the external client app), then try again."
            ),
            Self::NoLastingRefreshToken => {
                "The org granted the scope refresh_token but gave no refresh token that lasts. Set the external client app's Refresh Token Policy to \"Refresh token is valid until revoked\" (step 3 of the guide to the external client app), then try again.".to_owned()
            }
            Self::TooManyGrants { username, grants } => format!(
                "The user {username} is connected {grants} times through this external client app already, and an org keeps five at most: one more may silently end the oldest. Disconnect one that is not needed, use another user, or add --force."
            ),
            Self::NoTenant(failure) => format!(
                "The org gives no Data Cloud token ({failure}). Check that Data Cloud is set up there and that the user has a Data Cloud permission set, then try again."
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
            Self::NoPermission { .. }
            | Self::TooManyGrants { .. }
            | Self::MissingScope { .. }
            | Self::NoLastingRefreshToken
            | Self::Key(_) => error_id::AUTHENTICATION_FAILED,
            _ => error_id::ORG_CONNECTION_FAILED,
        };
        ResourceError { id: id.into(), message: self.sentence() }
    }
}

/// A scope that is needed.
struct Needed {
    key: &'static str,
    /// As Setup shows it.
    label: &'static str,
    /// Any of these will do.
    held: &'static [&'static str],
}

const API: Needed = Needed { key: "api", label: "Manage user data via APIs", held: &["api", "full"] };
const IDENTITY: Needed = Needed {
    key: "id",
    label: "Access the identity URL service",
    held: &["id", "profile", "email", "address", "phone", "openid", "full"],
};
const DATA_CLOUD: [Needed; 3] = [
    Needed {
        key: "cdp_query_api",
        label: "Perform ANSI SQL queries on Data Cloud data",
        held: &["cdp_query_api", "cdp_api"],
    },
    Needed {
        key: "cdp_ingest_api",
        label: "Manage Data Cloud Ingestion API data",
        held: &["cdp_ingest_api", "cdp_api"],
    },
    Needed {
        key: "cdp_profile_api",
        label: "Manage Data Cloud profile data",
        held: &["cdp_profile_api", "cdp_api"],
    },
];
const LASTING: Needed = Needed {
    key: "refresh_token",
    label: "Perform requests at any time",
    held: &["refresh_token", "offline_access"],
};

/// An org that does not say what it granted is taken at its word that it granted what was asked for.
fn ensure_granted(tokens: &Tokens, needed: &[Needed]) -> Result<(), ConnectError> {
    let is_held = |needed: &Needed| tokens.scopes.iter().any(|scope| needed.held.contains(&scope.as_str()));
    match needed.iter().find(|needed| !is_held(needed)) {
        Some(Needed { key, label, .. }) if !tokens.scopes.is_empty() => {
            Err(ConnectError::MissingScope { key, label })
        }
        _ => Ok(()),
    }
}

/// The tokens of a log-in with a person, who is not there when the first session ends.
///
/// # Errors
/// [`ConnectError`] naming what the external client app lacks.
pub fn ensure_refreshable(tokens: &Tokens) -> Result<(), ConnectError> {
    ensure_granted(tokens, &[API, IDENTITY, LASTING])?;
    tokens.refresh_token.as_ref().map(drop).ok_or(ConnectError::NoLastingRefreshToken)
}

/// An org whose policy expires refresh tokens at once still gives one: better known now than when the first session
/// ends. The org is asked, and when it says no, one refresh decides; its tokens are the grant's then.
///
/// # Errors
/// [`ConnectError`] when the refresh token is no good, or nobody knows any more whether it is.
pub async fn lasting(app: &App, client_id: &str, tokens: Tokens) -> Result<Tokens, ConnectError> {
    let Some(refresh_token) = &tokens.refresh_token else { return Ok(tokens) };
    let instance = tokens.instance(&app.hosts).map_err(ConnectError::Host)?;
    let client = app.config.oauth.client_secrets(client_id);
    let said = app.oauth.introspect_refresh_token(&instance, &client.first, refresh_token).await;
    if said.map_or(true, |said| said.active) {
        return Ok(tokens);
    }
    let (at, token) = (&instance, refresh_token);
    let refresh = |client: OAuthClient| async move { app.oauth.refresh(at, &client, token).await };
    match secrets::try_each(&client, || true, refresh).await {
        Ok(mut renewed) => {
            renewed.refresh_token = renewed.refresh_token.or(tokens.refresh_token);
            Ok(renewed)
        }
        Err(failure) if failure.refusal().is_some_and(Refusal::ends_grant) => {
            Err(ConnectError::NoLastingRefreshToken)
        }
        Err(failure) if failure.outcome() == Outcome::NotSent => Ok(tokens),
        Err(failure) => Err(ConnectError::Tokens(failure)),
    }
}

/// Asks the org whose tokens these are. Hosts and ids must agree with each other and with the log-in, and the user
/// must be allowed to manage AppLink.
///
/// # Errors
/// [`ConnectError`].
pub async fn identify(
    app: &App,
    org_type: OrgType,
    login: &OrgOrigin,
    tokens: &Tokens,
) -> Result<OrgUser, ConnectError> {
    ensure_granted(tokens, &[API, IDENTITY])?;
    if org_type == OrgType::DataCloudOrg {
        ensure_granted(tokens, &DATA_CLOUD)?;
    }
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
    if org_type == OrgType::DataCloudOrg {
        ensure_tenant(app, &instance, tokens).await?;
    }
    Ok(OrgUser {
        org_id: identity.org_id.to_string(),
        instance_url: org.origin().as_str().to_owned(),
        user_id: identity.user_id.to_string(),
        username: user.username,
        api_version: api_version.to_string(),
    })
}

/// The org has a Data Cloud that takes this user's tokens: better known now than when an app first asks.
async fn ensure_tenant(app: &App, instance: &OrgOrigin, tokens: &Tokens) -> Result<(), ConnectError> {
    let exchanged = app.oauth.exchange_for_tenant(instance, &tokens.access_token).await;
    let tenant = exchanged.map_err(ConnectError::NoTenant)?;
    tenant.tenant(&app.hosts, instance).map(drop).map_err(ConnectError::Host)
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
