//! Work that is due on add-ons: tokens to make.

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
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::reconcilers::{Status, StepError};
use crate::web::auth::hash_of;

/// Nothing here calls out: a step is quick.
const LEASE: Duration = Duration::from_secs(10);
/// Rows taken at a time.
const BATCH: u32 = 20;
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
        if State::from_word(&row.state) == Some(State::Provisioning) {
            status.done += u64::from(make_tokens(app, &row).await?);
        }
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
