//! API keys: 256 random bits with a visible prefix, stored hashed, with one scope, at most two alive per owner and
//! scope so that one can replace the other.
//!
//! Operators make any. A person who may change an add-on makes keys of their own for it, which end by themselves; a key
//! makes none, since what it made would outlive its own revocation. Who may change the add-on may revoke each of its keys.
//!
//! Where we are the platform too, such a key has its maker's rights, looked up with every use (`web/auth.rs`), and ends with
//! the change that leaves them none ([`end_of_person`]). Heroku and OpenID providers can't be asked again: there it goes on.

pub mod api;
pub mod store;

use std::time::Duration;

use applink_api::error::error_id;
use applink_api::ids::AddonId;
use applink_api::operator::{
    API_KEY_PREFIX, CreateApiKey, CreateExpiringApiKey, CreateOwnApiKey, CreatedApiKey, Scope,
};
use applink_api::time::Timestamp;
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::addons;
use crate::app::App;
use crate::audit::{Actor, ActorKind, Entry};
use crate::db::{StoreError, Tx};
use crate::error::ApiError;
use crate::platform;
use crate::web::auth::{RequireManager, hash_of};

/// Characters of a key that stay visible, the prefix included.
const SHOWN: usize = 10;
/// Live keys per owner and scope: one in use, one to change over to.
const LIVE_KEYS: u64 = 2;

/// How long a key may live, in days.
const DAYS: std::ops::RangeInclusive<u16> = 1..=3650;
/// How long a key lives that a person makes, in days, unless they say otherwise; and how long at most.
pub(crate) const OWN_DAYS: u16 = 90;
pub(crate) const MOST_OWN_DAYS: u16 = 365;
const DAY: Duration = Duration::from_secs(86_400);

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its uuid.
    pub id: Uuid,
    /// What it may do.
    pub scope: Scope,
    /// The one add-on it reaches, for [`Scope::Manage`].
    pub addon: Option<AddonId>,
    /// Whose it is.
    pub owner: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The person of our own Platform API who made it for themselves: it may do what they may.
    pub person: Option<Uuid>,
    /// When it was used first.
    pub first_used_at: Option<Timestamp>,
}

/// How long a key is good, and whose rights it has.
#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    expires_at: Option<Timestamp>,
    person: Option<Uuid>,
}

/// Makes a key that never ends by itself. The only time it is shown.
///
/// # Errors
/// As [`create_expiring`].
pub async fn create(app: &App, actor: &Actor, request: CreateApiKey) -> Result<CreatedApiKey, ApiError> {
    make(app, actor, request, Terms::default()).await
}

/// Makes a key. The only time it is shown.
///
/// # Errors
/// 404 when there is no such add-on, 409 when the owner has two already, 422 when owner or add-on are missing or the
/// number of days is out of range.
pub async fn create_expiring(
    app: &App,
    actor: &Actor,
    request: CreateExpiringApiKey,
) -> Result<CreatedApiKey, ApiError> {
    create_for(app, actor, request, None).await
}

async fn create_for(
    app: &App,
    actor: &Actor,
    request: CreateExpiringApiKey,
    person: Option<Uuid>,
) -> Result<CreatedApiKey, ApiError> {
    let CreateExpiringApiKey { owner, scope, addon, expires_in_days } = request;
    if expires_in_days.is_some_and(|days| !DAYS.contains(&days)) {
        let message = format!("A key ends after {} to {} days, or never.", DAYS.start(), DAYS.end());
        return Err(ApiError::invalid_field("$.expires_in_days", message));
    }
    let expires_at = expires_in_days.map(|days| app.clock.now().plus(DAY * u32::from(days)));
    make(app, actor, CreateApiKey { owner, scope, addon }, Terms { expires_at, person }).await
}

/// Makes a key of the person who asks, for the add-on. The only time it is shown.
///
/// # Errors
/// 403 when it is no person who asks, 409 when they have two already, 422 when the number of days is out of range.
pub async fn create_own(
    app: &App,
    manager: &RequireManager,
    request: CreateOwnApiKey,
) -> Result<CreatedApiKey, ApiError> {
    let owner = match manager.actor.kind {
        ActorKind::Person => manager.actor.name.clone(),
        // Nobody vouches for the name, so the key does not pass for theirs.
        ActorKind::Claimed => {
            ensure_few_claimed(app, manager.addon.id).await?;
            format!("{}{CLAIMED}", manager.actor.name)
        }
        _ => {
            let message = "Only a person makes keys, signed on by Heroku, `applink dev` or an OpenID provider: what a key made would outlive it.";
            return Err(ApiError::forbidden(message));
        }
    };
    let days = request.expires_in_days.unwrap_or(OWN_DAYS);
    if !(1..=MOST_OWN_DAYS).contains(&days) {
        let message = format!("A key of your own ends after 1 to {MOST_OWN_DAYS} days.");
        return Err(ApiError::invalid_field("$.expires_in_days", message));
    }
    let request = CreateExpiringApiKey {
        owner,
        scope: Scope::Manage,
        addon: Some(manager.addon.id),
        expires_in_days: Some(days),
    };
    create_for(app, &manager.actor, request, manager.person).await
}

/// Follows the name of an owner whom nobody vouches for.
const CLAIMED: &str = " (so they say)";

/// Where a name is a claim, one person could have a key under each of many names: the add-on has two such keys at a time.
async fn ensure_few_claimed(app: &App, addon: AddonId) -> Result<(), ApiError> {
    let live = store::list_live_of(app.store.reader(), addon, app.clock.now()).await?;
    let claimed = live.iter().filter(|(key, ..)| key.owner.ends_with(CLAIMED)).count();
    if claimed < 2 {
        return Ok(());
    }
    let message = "The add-on has two live keys of people whom nobody vouches for: revoke one first.";
    Err(ApiError::new(StatusCode::CONFLICT, error_id::CONFLICT, message))
}

/// Makes a key of the manager's add-on void at once.
///
/// # Errors
/// 404 when the add-on has no such live key.
pub async fn revoke_of_addon(app: &App, manager: &RequireManager, id: Uuid) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    if !store::revoke_one_of(&*tx, manager.addon.id, id, app.clock.now()).await? {
        return Err(ApiError::not_found());
    }
    tx.audit(Entry::new(&manager.actor, "api_key.revoked", manager.addon.id, id));
    Ok(tx.commit().await?)
}

async fn make(
    app: &App,
    actor: &Actor,
    request: CreateApiKey,
    terms: Terms,
) -> Result<CreatedApiKey, ApiError> {
    let CreateApiKey { owner, scope, addon } = request;
    if owner.trim().is_empty() || owner.chars().count() > 254 {
        return Err(ApiError::invalid_field(
            "$.owner",
            "Say whose key it is, by e-mail: it is recorded as the actor.",
        ));
    }
    if (scope == Scope::Manage) != addon.is_some() {
        let message = "A key with scope `manage` names one add-on; a key with scope `operate` names none.";
        return Err(ApiError::invalid_field("$.addon", message));
    }
    let key = SecretString::from(format!("{API_KEY_PREFIX}{}", app.entropy.url_token()));
    let id = app.entropy.uuid();
    let mut tx = app.store.begin().await?;
    if let Some(addon) = addon
        && !addons::store::lock(&*tx, addon).await?
    {
        return Err(ApiError::not_found());
    }
    if store::count_live(&*tx, &owner, scope, addon, app.clock.now()).await? >= LIVE_KEYS {
        let message = format!("{owner} has {LIVE_KEYS} such keys already: revoke one first.");
        return Err(ApiError::conflict(message));
    }
    let shown = key.expose_secret().get(..SHOWN).unwrap_or_default().to_owned();
    let Terms { expires_at, person } = terms;
    let row = ApiKey { id, scope, addon, owner, expires_at, person, first_used_at: None };
    store::insert(&*tx, &row, shown, hash_of(&key), app.clock.now()).await?;
    let detail = format!("{} for {}", store::scope_word(scope), row.owner);
    tx.audit(Entry { actor: actor.clone(), action: "api_key.created", addon, subject: Some(id), detail });
    tx.commit().await?;
    Ok(CreatedApiKey { id, key })
}

/// The live key with this hash. That it is in use is noted with its first use, so that one that never reached its maker can
/// be told from the others.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn presented(app: &App, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    let now = app.clock.now();
    let found = store::find_live(app.store.reader(), hash, now).await?;
    if let Some(key) = &found
        && key.first_used_at.is_none()
    {
        let tx = app.store.begin().await?;
        store::note_first_use(&*tx, key.id, now).await?;
        tx.commit().await?;
    }
    Ok(found)
}

/// Ends the keys a person made for add-ons that they may not change any more, in the transaction that took the right.
///
/// # Errors
/// Those of the database.
pub(crate) async fn end_of_person(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    person: Uuid,
) -> Result<(), ApiError> {
    let now = app.clock.now();
    let keys = store::list_live_of_person(&**tx, person, now).await?;
    for key in keys {
        let Some(addon) = key.addon else { continue };
        let attached = addons::store::attachments_of(&**tx, addon).await?.into_iter().map(|one| one.app);
        if !platform::caller::works_through(&**tx, person, attached.collect()).await?.is_empty() {
            continue;
        }
        store::revoke(&**tx, key.id, now).await?;
        let why = format!("{} may not change the add-on any more", key.owner);
        tx.audit(Entry::new(actor, "api_key.revoked", addon, key.id).with_detail(why));
    }
    Ok(())
}

/// Makes a key void at once.
///
/// # Errors
/// 404 when there is no such live key.
pub async fn revoke(app: &App, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    if !store::revoke(&*tx, id, app.clock.now()).await? {
        return Err(ApiError::not_found());
    }
    let entry = Entry {
        actor: actor.clone(),
        action: "api_key.revoked",
        addon: None,
        subject: Some(id),
        detail: String::new(),
    };
    tx.audit(entry);
    Ok(tx.commit().await?)
}
