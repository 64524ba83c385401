//! The way to stored users.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use applink_salesforce::OrgEgress;

use crate::authorization::Authorization;
use crate::config::AddonConfig;
use crate::env::{Env, ProcessEnv};
use crate::error::Error;
use crate::session::{ControlPlane, Grant, egress};

/// The AppLink add-on of this app. Cheap to clone; clones share their tokens.
#[derive(Clone)]
pub struct AppLink {
    inner: Arc<Inner>,
}

struct Inner {
    control: Arc<ControlPlane>,
    egress: OrgEgress,
    grants: Mutex<HashMap<Key, Arc<Grant>>>,
}

/// API URL and authorization name: a changed environment must not hand out another add-on's user.
type Key = (String, String);

impl AppLink {
    /// The app's default attachment, from the process's environment.
    ///
    /// # Errors
    /// [`Error::Config`] when the variables are missing or can't be used.
    pub fn from_env() -> Result<Self, Error> {
        Self::from(ProcessEnv, None)
    }

    /// Another attachment: by name or colour, API URL, or the add-on's uuid or name. See
    /// [`docs::authorizations`](crate::docs::authorizations).
    ///
    /// # Errors
    /// [`Error::Config`], saying which variables were looked for.
    pub fn from_env_named(attachment: &str) -> Result<Self, Error> {
        Self::from(ProcessEnv, Some(attachment))
    }

    /// The same with variables from elsewhere.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn from(env: impl Env, attachment: Option<&str>) -> Result<Self, Error> {
        AddonConfig::resolve(&env, attachment)?.client()?;
        let control = ControlPlane { env: Box::new(env), attachment: attachment.map(str::to_owned) };
        Ok(Self {
            inner: Arc::new(Inner {
                control: Arc::new(control),
                egress: egress()?,
                grants: Mutex::default(),
            }),
        })
    }

    /// The stored user with this developer name or alias. Asks the API the first time; later calls share the
    /// token until the org refuses it.
    ///
    /// # Errors
    /// [`Error::AppLink`] when the API has no such authorization or can't be reached, [`Error::NotAuthorized`]
    /// when it has no token.
    pub async fn authorization(&self, name: &str) -> Result<Authorization, Error> {
        let config =
            AddonConfig::resolve(&*self.inner.control.env, self.inner.control.attachment.as_deref())?;
        let key = (config.api_url, name.to_owned());
        if let Some(grant) = self.known(&key) {
            return Ok(Authorization::of(grant));
        }
        let inner = &self.inner;
        let grant = Arc::new(Grant::fetch(inner.control.clone(), inner.egress.clone(), name).await?);
        Ok(Authorization::of(self.remember(key, grant)))
    }

    /// A client of the AppLink API, with the environment as it is now.
    #[cfg(feature = "axum")]
    pub(crate) fn client(&self) -> Result<applink_api::client::Client, Error> {
        self.inner.control.client()
    }

    fn known(&self, key: &Key) -> Option<Arc<Grant>> {
        let grants = self.inner.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.get(key).filter(|grant| !grant.has_moved()).cloned()
    }

    /// The first of two simultaneous fetches stays, so that everybody shares one token.
    fn remember(&self, key: Key, grant: Arc<Grant>) -> Arc<Grant> {
        let mut grants = self.inner.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = grants.entry(key).or_insert_with(|| grant.clone());
        if kept.has_moved() {
            *kept = grant;
        }
        kept.clone()
    }
}

impl fmt::Debug for AppLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppLink").field("attachment", &self.inner.control.attachment).finish_non_exhaustive()
    }
}
