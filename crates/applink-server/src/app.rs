//! What handlers and reconcilers share. Cheap to clone; passed down, never global.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_salesforce::oauth::OAuth;
use applink_salesforce::{OrgEgress, OrgHosts};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::audit::Recorder;
use crate::authorizations::{HandedOut, Reads};
use crate::config::Config;
use crate::data_cloud::exchanges::Exchanges;
use crate::db::{Store, StoreError, Tx};
use crate::egress::TenantEgress;
use crate::invocations::keys::KeyRing;
use crate::limits::Limiter;
use crate::provider::heroku::Heroku;
use crate::reconcilers::Nudges;
use crate::spool::Spool;
use crate::tokens::flights::Flights;
use crate::urls::Urls;
use crate::vault::Vault;
use crate::web::auth::Callers;

/// Everything a request or a reconciler may touch.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of [`App`].
#[non_exhaustive]
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Seals and opens.
    pub vault: Vault,
    /// Keeps what the database can't take at the moment.
    pub spool: Spool,
    /// Records what reads nothing but is to be known.
    pub recorder: Recorder,
    /// The time.
    pub clock: Clock,
    /// Random bytes.
    pub entropy: Entropy,
    /// Which orgs may be called.
    pub hosts: OrgHosts,
    /// The client that calls them.
    pub egress: OrgEgress,
    /// OAuth through that client.
    pub oauth: OAuth,
    /// The client that calls what tenants type.
    pub tenant: TenantEgress,
    /// Heroku, where this server is an add-on of its.
    pub heroku: Option<Heroku>,
    /// The OpenID provider that signs people in, where there is one.
    #[cfg(feature = "oidc")]
    pub openid: Option<crate::openid::provider::Provider>,
    /// Links to ourselves.
    pub urls: Urls,
    /// Renewals under way.
    pub flights: Flights,
    /// Trades for Data Cloud tokens under way.
    pub exchanges: Exchanges,
    /// Keys and tokens that were looked up before.
    pub callers: Callers,
    /// Tokens that were handed out, for while the database is away.
    pub handed_out: HandedOut,
    /// Hand-outs that are read together.
    pub(crate) reads: Reads,
    /// Public keys of connected orgs.
    pub keys: KeyRing,
    /// Counts calls.
    pub limiter: Limiter,
    /// Wakes reconcilers.
    pub nudges: Nudges,
    /// Tasks that outlive a request; waited for at the end.
    pub tasks: TaskTracker,
}

impl App {
    /// Puts the parts together.
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// A credential was disconnected, replaced or renamed, and that is committed: what was handed out of it is forgotten,
    /// and its former grants are revoked soon.
    pub(crate) fn changed(&self, credential: Uuid) {
        self.handed_out.forget(credential);
        self.nudges.nudge();
    }

    /// Commits a change of a credential, to its end even when the caller goes away. What was handed out of it before is
    /// forgotten whatever is known of the commit: one that broke may have been made all the same.
    ///
    /// # Errors
    /// [`StoreError`], as [`Tx::commit`].
    pub(crate) async fn commit_change(&self, tx: Tx, credential: Uuid) -> Result<(), StoreError> {
        let app = self.clone();
        let committed = async move {
            let committed = tx.commit().await;
            app.changed(credential);
            committed
        };
        self.finish(committed).await.unwrap_or_else(|| Err(StoreError::timed_out()))
    }

    /// Runs `work` to its end even when the caller goes away: a code or a token that is spent at the org must be
    /// recorded here.
    pub async fn finish<T, F>(&self, work: F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.tasks.spawn(work.in_current_span()).await.ok()
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}
