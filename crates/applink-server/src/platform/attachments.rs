//! Attachments: an add-on at an app under a config-var prefix, each with a token of its own.

use http::StatusCode;
use sea_orm::ConnectionTrait;

use super::addons::{PlatformAddon, State};
use super::apps::PlatformApp;
use super::caller::RequirePerson;
use super::error::PlatformError;
use super::{releases, store};
use crate::addons::{self as tenants, Attachment, DEFAULT_ATTACHMENT, provision};
use crate::app::App;
use crate::audit::Entry;
use crate::db::{StoreError, Tx};
use crate::error::ApiError;
use crate::web::auth::hash_of;

/// What tells a second add-on's config vars from the first one's.
const COLOURS: [&str; 16] = [
    "AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "COPPER", "CRIMSON", "GOLD", "GRAY", "GREEN", "IVORY",
    "ORANGE", "PINK", "SILVER", "TEAL", "YELLOW",
];

/// The prefix that was asked for, in capitals; else the usual one; else that with a colour.
pub(super) async fn free_prefix(
    app: &App,
    connection: &impl ConnectionTrait,
    on: &PlatformApp,
    asked: Option<String>,
) -> Result<String, StoreError> {
    if let Some(asked) = asked {
        return Ok(asked.to_ascii_uppercase());
    }
    let taken = store::addons::attachments_of_app(connection, on.app.id).await?;
    let is_free = |prefix: &String| !taken.iter().any(|attachment| attachment.prefix == *prefix);
    let coloured = COLOURS.iter().map(|colour| format!("{DEFAULT_ATTACHMENT}_{colour}"));
    let found = std::iter::once(DEFAULT_ATTACHMENT.to_owned()).chain(coloured).find(is_free);
    Ok(found.unwrap_or_else(|| format!("{DEFAULT_ATTACHMENT}_{}", 1000 + app.entropy.below(9000))))
}

/// How an attachment is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The config-var prefix; the first free one when absent.
    pub name: Option<String>,
    /// The app's name, when another add-on's config vars may be overwritten.
    pub confirm: Option<String>,
}

/// Attaches an add-on to an app; its config vars are there at once.
///
/// # Errors
/// 409 when the add-on has this prefix there already, 422 when it is not provisioned or the name breaks a rule, 423
/// when another add-on has the prefix and that is not confirmed.
pub async fn create(
    app: &App,
    caller: &RequirePerson,
    addon: &PlatformAddon,
    on: &PlatformApp,
    asked: Asked,
) -> Result<Attachment, PlatformError> {
    if addon.state != State::Provisioned {
        let message =
            format!("{} is {}: wait until it is provisioned.", addon.addon.name, addon.state.as_str());
        return Err(PlatformError::invalid(message));
    }
    let mut tx = app.store.begin().await?;
    store::apps::lock(&*tx, on.app.id).await?;
    let prefix = free_prefix(app, &*tx, on, asked.name).await?;
    let of_app = store::addons::attachments_of_app(&*tx, on.app.id).await?;
    let held = of_app.into_iter().find(|held| held.prefix == prefix && held.addon.id != addon.addon.id);
    if let Some(held) = held {
        ensure_confirmed(&held, asked.confirm.as_deref())?;
        remove(app, &mut tx, caller, &held).await?;
    }
    let made =
        provision::attach_in(app, &mut tx, &caller.actor(), addon.addon.clone(), &on.app.name, Some(prefix))
            .await?;
    let attachment = tenants::store::attachment_by_token(&*tx, &hash_of(&made.token)).await?;
    let attachment = attachment.ok_or(PlatformError::Missing("add_on attachment"))?;
    let sealed = app.vault.seal(store::addons::token_place(&attachment), &made.token).await?;
    store::addons::save_token(&*tx, attachment.id, sealed).await?;
    let what = format!("Attach {} ({})", attachment.prefix, addon.addon.name);
    releases::add(app, &tx, &on.app, &caller.person.email, &what).await?;
    tx.commit().await?;
    Ok(attachment)
}

/// The CLI knows this id: it asks the person, and sends the request again with the app's name.
fn ensure_confirmed(held: &Attachment, confirm: Option<&str>) -> Result<(), PlatformError> {
    if confirm.is_some_and(|confirm| confirm == held.app.name) {
        return Ok(());
    }
    let message = format!(
        "{} is attached to {} as {} and would be detached from it.",
        held.addon.name, held.app.name, held.prefix
    );
    Err(ApiError::new(StatusCode::LOCKED, "confirmation_required", message).into())
}

/// Removes an attachment; its token is void at once.
///
/// # Errors
/// 422 when it is the add-on's last: nothing could reach it any more.
pub async fn destroy(
    app: &App,
    caller: &RequirePerson,
    attachment: &Attachment,
) -> Result<(), PlatformError> {
    let mut tx = app.store.begin().await?;
    remove(app, &mut tx, caller, attachment).await?;
    Ok(tx.commit().await?)
}

async fn remove(
    app: &App,
    tx: &mut Tx,
    caller: &RequirePerson,
    attachment: &Attachment,
) -> Result<(), PlatformError> {
    tenants::store::lock(&**tx, attachment.addon.id).await?;
    if tenants::store::attachments_of(&**tx, attachment.addon.id).await?.len() < 2 {
        let name = &attachment.addon.name;
        let message = format!(
            "This is the last attachment of {name}: destroy the add-on, or attach it elsewhere first."
        );
        return Err(PlatformError::invalid(message));
    }
    tenants::store::delete_attachment(&**tx, attachment.id).await?;
    let what = format!("Detach {} ({})", attachment.prefix, attachment.addon.name);
    releases::add_where_known(app, tx, &attachment.app, &caller.person.email, &what).await?;
    let entry = Entry::new(&caller.actor(), "attachment.removed", attachment.addon.id, attachment.id);
    tx.audit(entry.with_detail(&attachment.prefix));
    Ok(())
}
