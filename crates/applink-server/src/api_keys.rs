//! API keys: 256 random bits with a visible prefix, stored hashed, with one scope, at most two alive per owner and
//! scope so that one can replace the other.
//!
//! Operators make any. A person who may change an add-on makes keys of their own for it, which end by themselves; a key
//! makes none, since what it made would outlive its own revocation. Who may change the add-on may revoke each of its keys.

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
use crate::error::ApiError;
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
}

/// Makes a key that never ends by itself. The only time it is shown.
///
/// # Errors
/// As [`create_expiring`].
pub async fn create(app: &App, actor: &Actor, request: CreateApiKey) -> Result<CreatedApiKey, ApiError> {
    make(app, actor, request, None).await
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
    let CreateExpiringApiKey { owner, scope, addon, expires_in_days } = request;
    if expires_in_days.is_some_and(|days| !DAYS.contains(&days)) {
        let message = format!("A key ends after {} to {} days, or never.", DAYS.start(), DAYS.end());
        return Err(ApiError::invalid_field("$.expires_in_days", message));
    }
    let ends = expires_in_days.map(|days| app.clock.now().plus(DAY * u32::from(days)));
    make(app, actor, CreateApiKey { owner, scope, addon }, ends).await
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
    create_expiring(app, &manager.actor, request).await
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
    expires_at: Option<Timestamp>,
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
    let row = ApiKey { id, scope, addon, owner, expires_at };
    store::insert(&*tx, &row, shown, hash_of(&key), app.clock.now()).await?;
    let detail = format!("{} for {}", store::scope_word(scope), row.owner);
    tx.audit(Entry { actor: actor.clone(), action: "api_key.created", addon, subject: Some(id), detail });
    tx.commit().await?;
    Ok(CreatedApiKey { id, key })
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
