//! Work that must happen, whether anybody asks or not. A reconciler takes no input: it claims rows that are due, does
//! one idempotent step for each, and writes when they are due next. It runs periodically, and at once when nudged.

pub mod runner;

use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

use crate::app::App;
use crate::db::StoreError;
use crate::spool::SpoolError;
use crate::vault::VaultError;
use crate::{
    audit, credentials, dashboard, data_action_targets, health_checks, invocations, oauth, platform,
    provider, publications, removals, spool, tokens, trust, vault, webhooks,
};

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Rows that were dealt with.
    pub done: u64,
}

/// A run ended early; the rows it had claimed are due again when their lease is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The database failed. Trying again may help.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// A secret can't be sealed.
    #[error("the vault failed")]
    Vault(#[source] VaultError),
    /// The spool can't be read.
    #[error("the spool failed")]
    Spool(#[source] SpoolError),
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Wakes reconcilers before their period is over.
#[derive(Debug, Default)]
pub struct Nudges {
    /// Rows of credentials are due.
    pub credentials: Notify,
    /// Data action targets are due.
    pub data_action_targets: Notify,
    /// Grants are to be revoked.
    pub grants: Notify,
    /// Add-ons of the Platform API stand-in are due.
    pub platform: Notify,
    /// Resources that Heroku asked for are due.
    pub provider: Notify,
    /// Deploys are due.
    pub publications: Notify,
    /// Public keys of an org are wanted.
    pub org_keys: Notify,
    /// Add-ons are to be taken apart.
    pub removals: Notify,
    /// Keys are to be rotated.
    pub vault: Notify,
    /// Deliveries are due: the store's commits wake it.
    pub webhooks: Arc<Notify>,
    /// Never used: housekeeping has time.
    pub housekeeping: Notify,
}

impl Nudges {
    /// A credential was disconnected or replaced.
    pub fn nudge(&self) {
        self.grants.notify_one();
        self.credentials.notify_one();
    }
}

/// One run.
type Step = for<'a> fn(&'a App) -> BoxFuture<'a, Result<Status, StepError>>;

/// A reconciler.
#[derive(Clone, Copy)]
pub struct Reconciler {
    /// Its name, in logs.
    pub name: &'static str,
    /// How often it runs without a nudge.
    pub period: Duration,
    /// What wakes it.
    nudge: fn(&Nudges) -> &Notify,
    step: Step,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Reconciler {
    /// Runs once.
    ///
    /// # Errors
    /// [`StepError`].
    pub async fn run(&self, app: &App) -> Result<Status, StepError> {
        (self.step)(app).await
    }
}

/// Every reconciler, by name.
pub const ALL: &[Reconciler] = &[
    Reconciler {
        name: "activity counts",
        period: Duration::from_secs(10),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(audit::tallies::count(app)),
    },
    Reconciler {
        name: "audit anchors",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(write_anchor(app)),
    },
    Reconciler {
        name: "credentials",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.credentials,
        step: |app| Box::pin(credentials::reconcile::settle_due(app)),
    },
    Reconciler {
        name: "data action targets",
        period: Duration::from_secs(2),
        nudge: |nudges| &nudges.data_action_targets,
        step: |app| Box::pin(data_action_targets::reconcile::work_due(app)),
    },
    Reconciler {
        name: "expired log-ins",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(forget_log_ins(app)),
    },
    Reconciler {
        name: "grants",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.grants,
        step: |app| Box::pin(tokens::reconcile::revoke_due(app)),
    },
    Reconciler {
        name: "idle grants",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(tokens::keep_alive::refresh_idle(app)),
    },
    Reconciler {
        name: "mesh reports",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(invocations::reconcile::forget_old(app)),
    },
    Reconciler {
        name: "org keys",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.org_keys,
        step: |app| Box::pin(trust::reconcile::fetch_due(app)),
    },
    Reconciler {
        name: "health checks",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(health_checks::reconcile::check_due(app)),
    },
    Reconciler {
        name: "old webhook events",
        period: Duration::from_secs(3600),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(webhooks::deliver::forget_old(app)),
    },
    Reconciler {
        name: "platform add-ons",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.platform,
        step: |app| Box::pin(platform::reconcile::work_due(app)),
    },
    Reconciler {
        name: "provider resources",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.provider,
        step: |app| Box::pin(provider::reconcile::work_due(app)),
    },
    Reconciler {
        name: "publications in orgs",
        period: Duration::from_secs(60),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(publications::presence::check_due(app)),
    },
    Reconciler {
        name: "publications",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.publications,
        step: |app| Box::pin(publications::reconcile::deploy_due(app)),
    },
    Reconciler {
        name: "removals",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.removals,
        step: |app| Box::pin(removals::reconcile::work_due(app)),
    },
    Reconciler {
        name: "spool",
        period: Duration::from_secs(1),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(async move { Ok(spool::reconcile(app).await?) }),
    },
    Reconciler {
        name: "uses of authorizations",
        period: Duration::from_secs(10),
        nudge: |nudges| &nudges.housekeeping,
        step: |app| Box::pin(audit::uses::note(app)),
    },
    Reconciler {
        name: "vault",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.vault,
        step: |app| Box::pin(vault::reconcile::run(app)),
    },
    Reconciler {
        name: "webhooks",
        period: Duration::from_secs(5),
        nudge: |nudges| &nudges.webhooks,
        step: |app| Box::pin(webhooks::deliver::deliver_due(app)),
    },
];

async fn write_anchor(app: &App) -> Result<Status, StepError> {
    if let Err(error) = app.recorder.settle_reads(Some(app.clock.now())).await {
        tracing::error!(error = %crate::error::chain(&error), "reads could not be counted in the audit log");
    }
    let now = app.clock.now();
    let anchor = audit::anchor::write(&app.store, now).await?;
    let closed = audit::anchor::close_abandoned(&app.store, now).await?;
    Ok(Status { done: u64::from(anchor.is_some()) + closed })
}

async fn forget_log_ins(app: &App) -> Result<Status, StepError> {
    let now = app.clock.now();
    app.handed_out.forget_dead(now);
    let tx = app.store.begin().await?;
    let done =
        oauth::store::forget_expired(&*tx, now).await? + dashboard::store::forget_expired(&*tx, now).await?;
    tx.commit().await?;
    Ok(Status { done })
}
