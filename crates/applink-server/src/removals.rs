//! Taking an add-on apart, whoever asks for it: an operator, Heroku, or a person at the Platform API stand-in.
//!
//! ```text
//! begin ──▶ unpublish ──(each app is out of each org, or could not be taken out)──▶ revoke
//!                                                                                      │ grants revoked at the orgs,
//!                          done ◀──(everything erased; the report stays)───────────────┘ or waited for long enough
//! ```
//!
//! 1. [`begin`] voids every token and key at once, in the transaction of whoever asks, and leaves a row.
//! 2. [`reconcile`] does the rest, step by step, as often as it is killed. What an org refuses or is away for goes
//!    into the [`Report`], which outlives the add-on: nothing is left behind in silence.

pub mod api;
pub mod reconcile;
pub mod store;

use applink_api::ids::AddonId;
use applink_api::operator::{LeftBehind, Removal};
use applink_api::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::addons::{self, Addon};
use crate::api_keys;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::{StoreError, Tx};
use crate::error::ApiError;

/// A due time that has always passed.
pub(crate) const AT_ONCE: Timestamp = Timestamp::from_seconds(0);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Apps are being taken out of the orgs. The connections still live: that needs their tokens.
    Unpublish,
    /// Grants are being revoked.
    Revoke,
    /// Everything is erased.
    Done,
}

impl Stage {
    /// As stored and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpublish => "unpublish",
            Self::Revoke => "revoke",
            Self::Done => "done",
        }
    }

    /// Reads what is stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unpublish, Self::Revoke, Self::Done].into_iter().find(|stage| stage.as_str() == word)
    }
}

/// What became of what the add-on had in orgs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Publications that are out of their orgs, as `client in org`.
    pub unpublished: Vec<String>,
    /// What is still there.
    pub left: Vec<LeftBehind>,
}

/// Takes an add-on out of use at once and leaves a row for the rest. `false` when it is being removed already.
///
/// # Errors
/// Those of the database.
pub async fn begin(app: &App, tx: &mut Tx, actor: &Actor, addon: &Addon) -> Result<bool, StoreError> {
    addons::store::lock(&**tx, addon.id).await?;
    if store::find(&**tx, addon.id).await?.is_some() {
        return Ok(false);
    }
    addons::store::delete_attachments(&**tx, addon.id).await?;
    api_keys::store::revoke_of_addon(&**tx, addon.id, app.clock.now()).await?;
    store::insert(&**tx, addon, &actor.name, app.clock.now()).await?;
    tx.audit(Entry::new(actor, "addon.removal_begun", addon.id, addon.id.0).with_detail(&addon.name));
    Ok(true)
}

/// Refuses what would give an add-on that is being removed something new at an org: nobody would revoke it. Callers
/// hold the add-on's lock.
///
/// # Errors
/// 404, as for an add-on that is gone.
pub async fn refuse_if_begun(tx: &Tx, addon: AddonId) -> Result<(), ApiError> {
    match store::find(&**tx, addon).await? {
        Some(_) => Err(ApiError::not_found()),
        None => Ok(()),
    }
}

/// As the operator's API shows it.
pub fn wire(row: &store::Model) -> Removal {
    let report = row.report();
    Removal {
        addon: AddonId::from(row.id),
        name: row.name.clone(),
        stage: row.stage.clone(),
        requested_by: row.requested_by.clone(),
        requested_at: Timestamp::from_micros(row.requested_at),
        finished_at: row.finished_at.map(Timestamp::from_micros),
        unpublished: report.unpublished,
        left: report.left,
    }
}
