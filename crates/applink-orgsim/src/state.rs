//! What the org's request handlers share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use url::Url;

use crate::clock::Clock;
use crate::data_cloud::DataCloudWork;
use crate::db::{Database, DbError, Tx};
use crate::entropy::Entropy;
use crate::keys::SigningKey;
use crate::oauth::faults::TokenDesk;
use crate::org::{DataCloudSettings, DeployMode, OrgKind};
use crate::rest::{ApiVersion, BulkWork, RestHost};
use crate::rights::Caller;
use crate::sessions::{self, Kind, Session};

/// A handle on a running org; clones are cheap.
#[derive(Clone)]
pub(crate) struct OrgState(Arc<Shared>);

/// Everything [`OrgState`] is made of.
pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) identity: Identity,
    pub(crate) signing_key: SigningKey,
    pub(crate) sim_key: SecretString,
    pub(crate) limits: Limits,
    /// Calls published apps: no redirects, with time-outs.
    pub(crate) http: reqwest::Client,
    /// Wakes the deploy worker.
    pub(crate) deploy_nudge: Notify,
    /// Held while a deployment is moved on.
    pub(crate) deploy_lock: Mutex<()>,
    /// What the bulk API and its worker share.
    pub(crate) bulk_work: BulkWork,
    /// What Data Cloud and its worker share.
    pub(crate) data_cloud: DataCloudWork,
    /// Faults of the token endpoint that were asked for, and what it did.
    pub(crate) token_desk: TokenDesk,
    /// Counts callbacks that arrived, so that listeners can wait for the next.
    pub(crate) callbacks_seen: watch::Sender<u64>,
}

/// Which org this is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// 18 characters, `00D…`.
    pub(crate) org_id: String,
    pub(crate) name: String,
    pub(crate) kind: OrgKind,
    /// Where the org answers, without a path.
    pub(crate) base_url: Url,
    /// The newest API version the org serves: 66 for `66.0`.
    pub(crate) api_version: u32,
    /// All API versions the org serves, oldest first.
    pub(crate) api_versions: Vec<ApiVersion>,
}

/// The org's adjustable durations.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Seconds without use after which a session ends, unless its client says otherwise.
    pub(crate) session_timeout_seconds: i64,
    pub(crate) callout_timeout: Duration,
    pub(crate) deploy_mode: DeployMode,
    pub(crate) data_cloud: DataCloudSettings,
}

impl OrgState {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn db(&self) -> &Database {
        &self.0.db
    }

    /// Runs `work`, which may wait for the database or take long, where it keeps no other request waiting.
    pub(crate) async fn call<R, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let state = self.clone();
        self.db().call(move |_| work(&state)).await
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn entropy(&self) -> &Entropy {
        &self.0.entropy
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(crate) fn org_id(&self) -> &str {
        &self.0.identity.org_id
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.0.identity.base_url
    }

    /// The org's URL without a trailing slash: `instance_url`, `iss`.
    pub(crate) fn base(&self) -> &str {
        self.0.identity.base_url.as_str().trim_end_matches('/')
    }

    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.0.signing_key
    }

    pub(crate) fn sim_key(&self) -> &SecretString {
        &self.0.sim_key
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn deploy_nudge(&self) -> &Notify {
        &self.0.deploy_nudge
    }

    pub(crate) fn data_cloud(&self) -> &DataCloudWork {
        &self.0.data_cloud
    }

    pub(crate) fn token_desk(&self) -> &TokenDesk {
        &self.0.token_desk
    }

    pub(crate) fn deploy_lock(&self) -> &Mutex<()> {
        &self.0.deploy_lock
    }

    pub(crate) fn callbacks_seen(&self) -> &watch::Sender<u64> {
        &self.0.callbacks_seen
    }

    /// The newest API version as clients write it: `66.0`.
    pub(crate) fn api_version(&self) -> String {
        format!("{}.0", self.0.identity.api_version)
    }

    /// The identity URL of a user: `{org}/id/{org id}/{user id}`.
    pub(crate) fn identity_url(&self, user_id: &str) -> String {
        format!("{}/id/{}/{user_id}", self.base(), self.org_id())
    }

    /// Seconds of inactivity after which a client's session ends.
    pub(crate) fn session_timeout(&self, minutes: Option<u32>) -> i64 {
        minutes.map_or(self.0.limits.session_timeout_seconds, |minutes| i64::from(minutes) * 60)
    }

    /// The live API session of an access token, its expiry pushed out by this use. Waits for the database; for
    /// inside [`OrgState::call`].
    pub(crate) fn use_session(&self, token: &str) -> Result<Option<Session>, DbError> {
        let found = self.db().read(|tx| sessions::find(tx, token))?;
        let Some(session) = found.filter(|session| session.kind != Kind::Browser) else { return Ok(None) };
        self.keep_alive(&session)?;
        Ok(Some(session))
    }

    /// Pushes a session's expiry out when it is due.
    pub(crate) fn keep_alive(&self, session: &Session) -> Result<(), DbError> {
        if session.is_due_for_extension(self.clock().now_micros()) {
            self.db().write(|tx: &Tx<'_>| sessions::extend(tx, &session.id))?;
        }
        Ok(())
    }
}

impl RestHost for OrgState {
    fn database(&self) -> &Database {
        self.db()
    }

    /// Sessions that may use the data API: those with the scope for it.
    fn authenticate(&self, bearer: &str) -> Option<Caller> {
        let session = self.use_session(bearer).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a session could not be looked up");
            None
        });
        let session = session.filter(|session| session.has_scope("api") || session.has_scope("full"))?;
        Some(Caller::user(session.user_id, session.id))
    }

    fn identity_url(&self, user_id: &str) -> String {
        self.identity_url(user_id)
    }

    fn api_versions(&self) -> &[ApiVersion] {
        &self.0.identity.api_versions
    }

    fn bulk_work(&self) -> &BulkWork {
        &self.0.bulk_work
    }
}

impl std::fmt::Debug for OrgState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrgState").field("org_id", &self.0.identity.org_id).finish_non_exhaustive()
    }
}

/// The token of an `Authorization: Bearer …` (or `OAuth …`, as old clients write) header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
    known.then(|| token.trim()).filter(|token| !token.is_empty())
}
