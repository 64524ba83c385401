//! Whose token a call carries, and what happens when the org refuses it.
//!
//! 1. A call is sent with the current token.
//! 2. The org answers 401: it did nothing. For an invocation's session that is the end.
//! 3. For a stored user the API is told (`POST …/refresh`; a service without that route is simply asked again),
//!    by one caller for everybody who holds the same dead token.
//! 4. The call is sent once more with the fresh token.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use applink_api::authorization::{Authorization, RefreshRequest};
use applink_api::client::{Client, ClientError};
use applink_api::org::OrgType;
use applink_api::secret::fingerprint;
use applink_salesforce::egress::EgressSettings;
use applink_salesforce::error::OrgError;
use applink_salesforce::rest::{self, OrgAnswer, OrgCall};
use applink_salesforce::{OrgEgress, OrgOrigin};
use secrecy::{ExposeSecret, SecretString};

use crate::config::AddonConfig;
use crate::env::Env;
use crate::error::Error;
use crate::org::User;

/// A user's session in an org.
#[derive(Clone)]
pub(crate) enum Session {
    /// The caller's, for as long as the invocation lasts.
    Caller(Arc<CallerSession>),
    /// A stored user's.
    Renewable(Arc<Grant>),
}

/// What an invocation brought along.
pub(crate) struct CallerSession {
    pub(crate) org: rest::Org,
    pub(crate) org_id: String,
    pub(crate) user: User,
}

impl Session {
    /// Steps 1 to 4.
    pub(crate) async fn send(&self, call: &OrgCall, request_id: Option<&str>) -> Result<OrgAnswer, Error> {
        match self {
            Self::Caller(caller) => Ok(with_id(&caller.org, request_id).send(call).await?),
            Self::Renewable(grant) => grant.send(call, request_id).await,
        }
    }

    /// The org with the token of this moment.
    pub(crate) fn org(&self) -> rest::Org {
        match self {
            Self::Caller(caller) => caller.org.clone(),
            Self::Renewable(grant) => grant.current().org.clone(),
        }
    }

    pub(crate) fn org_id(&self) -> String {
        match self {
            Self::Caller(caller) => caller.org_id.clone(),
            Self::Renewable(grant) => grant.current().authorization.org.id.clone(),
        }
    }

    /// An invocation comes from a Salesforce org.
    pub(crate) fn org_type(&self) -> OrgType {
        match self {
            Self::Caller(_) => OrgType::SalesforceOrg,
            Self::Renewable(grant) => grant.current().authorization.org.kind,
        }
    }

    pub(crate) fn user(&self) -> User {
        match self {
            Self::Caller(caller) => caller.user.clone(),
            Self::Renewable(grant) => grant.current().user.clone(),
        }
    }
}

fn with_id(org: &rest::Org, request_id: Option<&str>) -> rest::Org {
    let org = org.clone();
    match request_id {
        Some(id) => org.with_request_id(id),
        None => org,
    }
}

/// Where tokens come from: the environment is read again each time.
pub(crate) struct ControlPlane {
    pub(crate) env: Box<dyn Env>,
    pub(crate) attachment: Option<String>,
}

impl ControlPlane {
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(AddonConfig::resolve(&*self.env, self.attachment.as_deref())?.client()?)
    }
}

/// A stored user's token, shared by everyone who asked for the same name.
pub(crate) struct Grant {
    control: Arc<ControlPlane>,
    egress: OrgEgress,
    name: String,
    current: RwLock<Arc<Current>>,
    renewing: tokio::sync::Mutex<()>,
    moved: AtomicBool,
}

/// One answer of the API.
pub(crate) struct Current {
    pub(crate) authorization: Authorization,
    pub(crate) user: User,
    pub(crate) org: rest::Org,
}

impl Grant {
    /// Asks the API for the first time.
    pub(crate) async fn fetch(
        control: Arc<ControlPlane>,
        egress: OrgEgress,
        name: &str,
    ) -> Result<Self, Error> {
        let answer = control.client()?.authorizations().get(name).await;
        let current = Current::of(name, answer.map_err(|error| unread(name, error))?, &egress)?;
        let current = RwLock::new(Arc::new(current));
        let (name, renewing) = (name.to_owned(), tokio::sync::Mutex::new(()));
        Ok(Self { control, egress, name, current, renewing, moved: AtomicBool::new(false) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the name has come to stand for another org: whoever asks for it anew must not get this one.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(&self, call: &OrgCall, request_id: Option<&str>) -> Result<OrgAnswer, Error> {
        let current = self.current();
        match with_id(&current.org, request_id).send(call).await {
            Err(expired @ OrgError::SessionExpired { .. }) => {
                let fresh = match self.renew(&current).await {
                    Err(error) if is_too_often(&error) => return Err(expired.into()),
                    renewed => renewed?,
                };
                if same_token(&fresh, &current) {
                    return Err(expired.into());
                }
                Ok(with_id(&fresh.org, request_id).send(call).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Step 3. Whoever comes while it runs, or later with the same stale token, gets its result.
    pub(crate) async fn renew(&self, stale: &Arc<Current>) -> Result<Arc<Current>, Error> {
        let _one_at_a_time = self.renewing.lock().await;
        let current = self.current();
        if !same_token(&current, stale) {
            return Ok(current);
        }
        let fresh = Current::of(&self.name, self.fresh_answer(&current).await?, &self.egress)?;
        if fresh.authorization.org.id != current.authorization.org.id {
            self.moved.store(true, Ordering::Release);
            return Err(Error::OtherOrg {
                name: self.name.clone(),
                expected: current.authorization.org.id.clone(),
                found: fresh.authorization.org.id,
            });
        }
        let fresh = Arc::new(fresh);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        Ok(fresh)
    }

    async fn fresh_answer(&self, stale: &Current) -> Result<Authorization, Error> {
        let client = self.control.client()?;
        let report = RefreshRequest { stale_token: Some(fingerprint(stale.org.access_token()).to_string()) };
        let answer = match client.authorizations().refresh(&self.name, &report).await {
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                client.authorizations().get(&self.name).await
            }
            answer => answer,
        };
        answer.map_err(|error| unread(&self.name, error))
    }
}

impl Current {
    fn of(name: &str, mut authorization: Authorization, egress: &OrgEgress) -> Result<Self, Error> {
        let Some(auth) = authorization.org.user_auth.take() else {
            return Err(Error::NotAuthorized {
                name: name.to_owned(),
                status: authorization.status.as_str(),
            });
        };
        let version = authorization.org.api_version.as_deref().unwrap_or_default();
        let org = org_client(egress, &authorization.org.instance_url, version, auth.access_token)?;
        Ok(Self { authorization, user: User { id: auth.user_id, username: auth.username }, org })
    }
}

/// An org somebody vouches for: the API, or the mesh.
pub(crate) fn org_client(
    egress: &OrgEgress,
    url: &str,
    version: &str,
    token: SecretString,
) -> Result<rest::Org, Error> {
    let origin = OrgOrigin::vouched_for(url).map_err(Error::OrgUrl)?;
    let version = version.parse().map_err(Error::Version)?;
    Ok(rest::Org::new(egress.clone(), origin, version, token))
}

/// A client for orgs under this crate's name.
pub(crate) fn egress() -> Result<OrgEgress, Error> {
    let user_agent = concat!("applink-sdk/", env!("CARGO_PKG_VERSION")).to_owned();
    Ok(OrgEgress::new(EgressSettings { user_agent, ..EgressSettings::default() })?)
}

fn same_token(a: &Current, b: &Current) -> bool {
    a.org.access_token().expose_secret() == b.org.access_token().expose_secret()
}

/// The API renews no token that is refused again and again: the org's own error says more than that.
fn is_too_often(error: &Error) -> bool {
    matches!(error, Error::AppLink { source, .. } if source.status() == Some(429))
}

fn unread(name: &str, error: ClientError) -> Error {
    Error::AppLink { name: name.to_owned(), source: Box::new(error) }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user();
        f.debug_struct("Session")
            .field("org", &self.org_id())
            .field("user", &user.username)
            .finish_non_exhaustive()
    }
}
