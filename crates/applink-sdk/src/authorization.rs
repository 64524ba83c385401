//! A stored user.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::org::Org;
use crate::session::{Grant, Session};

/// A stored user: who it is, and the way into the org as that user.
#[derive(Clone)]
pub struct Authorization {
    grant: Arc<Grant>,
}

impl Authorization {
    pub(crate) fn of(grant: Arc<Grant>) -> Self {
        Self { grant }
    }

    /// The org, as this user.
    pub fn org(&self) -> Org {
        Org::of(Session::Renewable(self.grant.clone()))
    }

    /// The authorization's uuid.
    pub fn id(&self) -> String {
        self.grant.current().authorization.id.to_string()
    }

    /// The name it is stored under; the name that was asked for when the API doesn't say.
    pub fn developer_name(&self) -> String {
        let current = self.grant.current();
        current.authorization.org.developer_name.clone().unwrap_or_else(|| self.grant.name().to_owned())
    }

    /// `authorized`, as of the last answer of the API.
    pub fn status(&self) -> &'static str {
        self.grant.current().authorization.status.as_str()
    }

    /// Who stored it (an e-mail).
    pub fn created_by(&self) -> String {
        self.grant.current().authorization.created_by.clone()
    }

    /// When it was stored, RFC 3339 in UTC.
    pub fn created_at(&self) -> String {
        self.grant.current().authorization.created_at.to_string()
    }

    /// Says that the org refused the token (401 seen outside of this crate): a fresh one is fetched, once however
    /// many callers say so at the same time.
    ///
    /// # Errors
    /// [`Error::AppLink`] when the API has no fresh token.
    pub async fn token_is_stale(&self) -> Result<(), Error> {
        let stale = self.grant.current();
        self.grant.renew(&stale).await.map(drop)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("name", &self.grant.name()).finish_non_exhaustive()
    }
}
