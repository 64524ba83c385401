//! Work that is due on add-ons: tokens to make, tenants to erase.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;

use super::addons::{PlatformAddon, State, names_of};
use super::releases;
use super::store::addons::{self as store, rows};
use crate::addons::store as tenants;
use crate::addons::{Attachment, provision};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, Kind};
use crate::db::claim::Claim;
use crate::db::{RowId, StoreError};
use crate::reconcilers::{Status, StepError};
use crate::tokens;
use crate::web::auth::hash_of;

/// Nothing here calls out: a step is quick.
const LEASE: Duration = Duration::from_secs(10);
/// Rows taken at a time.
const BATCH: u32 = 20;
/// When to look again whether the grants of a destroyed add-on are revoked.
pub(super) const RETRY: Duration = Duration::from_secs(5);
/// After this long an org that can't be reached no longer keeps its grants' rows here.
const PATIENCE: Duration = Duration::from_secs(600);
/// A due time that has always passed.
pub(super) const AT_ONCE: Timestamp = Timestamp::from_seconds(0);

/// Does what is due.
///
/// # Errors
/// [`StepError`] when database or vault fail.
pub async fn work_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let due = app.store.database().claim_due::<rows::Model>(store::DUE, claim).await?;
    let mut status = Status::default();
    for row in due {
        let id = row.id.into();
        let done = match State::from_word(&row.state) {
            Some(State::Provisioning) => make_tokens(app, &row).await?,
            Some(State::Deprovisioning) => erase_when_revoked(app, id).await?,
            _ => false,
        };
        status.done += u64::from(done);
    }
    Ok(status)
}

/// Makes the token of a new add-on's attachment, and with it the config vars.
async fn make_tokens(app: &App, row: &rows::Model) -> Result<bool, StepError> {
    let Some(addon) = found(app, row.id.into()).await? else { return Ok(false) };
    let mut tokens = Vec::with_capacity(addon.attachments.len());
    for attachment in &addon.attachments {
        let token = provision::new_token(app);
        let sealed =
            app.vault.seal(store::token_place(attachment), &token).await.map_err(StepError::Vault)?;
        tokens.push((attachment, hash_of(&token), sealed));
    }
    let mut tx = app.store.begin().await?;
    tenants::lock(&*tx, addon.addon.id).await?;
    let now = store::row(&*tx, addon.addon.id).await?;
    if now.is_none_or(|now| now.fence != row.fence || now.state != State::Provisioning.as_str()) {
        return Ok(false);
    }
    for (attachment, hash, sealed) in tokens {
        tenants::set_token_hash(&*tx, attachment.id, hash).await?;
        store::save_token(&*tx, attachment.id, sealed).await?;
        let what = release_of(&addon, attachment);
        releases::add_where_known(app, &tx, &attachment.app, &row.requested_by, &what).await?;
    }
    store::set_state(&*tx, addon.addon.id, State::Provisioned, None, app.clock.now()).await?;
    tx.audit(Entry::new(&Actor::system(), "addon.provisioned", addon.addon.id, addon.addon.id.0));
    tx.commit().await?;
    Ok(true)
}

fn release_of(addon: &PlatformAddon, attachment: &Attachment) -> String {
    format!("Attach {}: {}", addon.addon.name, names_of(&attachment.prefix).join(", "))
}

async fn found(app: &App, id: AddonId) -> Result<Option<PlatformAddon>, StoreError> {
    store::find(app.store.reader(), &id.to_string()).await
}

/// Erases a destroyed add-on once none of its grants is left, or they have been waited for long enough; what could
/// not be revoked is then logged. `true` when it is gone.
pub(super) async fn erase_when_revoked(app: &App, id: AddonId) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    tenants::lock(&*tx, id).await?;
    let Some(row) = store::row(&*tx, id).await? else { return Ok(false) };
    if row.state != State::Deprovisioning.as_str() {
        return Ok(false);
    }
    let now = app.clock.now();
    let left = unrevoked(&tx, id).await?;
    let patient = now.since(Timestamp::from_micros(row.updated_at)) < PATIENCE;
    if !left.is_empty() && patient {
        return Ok(false);
    }
    if !left.is_empty() {
        tracing::warn!(addon = %id, names = left.join(", "), "an add-on is erased with grants that could not be revoked: end them in the org");
    }
    tenants::delete_addon(&*tx, id).await?;
    let entry = Entry::new(&Actor::system(), "addon.deprovisioned", id, id.0);
    tx.audit(entry.with_detail(format!("{} grants could not be revoked", left.len())));
    tx.commit().await?;
    Ok(true)
}

/// Names of the connections and authorizations whose grants are still there.
async fn unrevoked(tx: &sea_orm::DatabaseTransaction, id: AddonId) -> Result<Vec<String>, StoreError> {
    let mut left = Vec::new();
    for kind in [Kind::Connection, Kind::Authorization] {
        for credential in credentials::store::list(tx, id, kind).await? {
            if tokens::store::any_left(tx, RowId(credential.id)).await? {
                left.push(credential.name);
            }
        }
    }
    Ok(left)
}
