//! People and their platform API keys: 256 random bits with a visible prefix, stored hashed, at most two alive per
//! person so that one can replace the other.

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::store::people as store;
use crate::app::App;
use crate::audit::{Actor, ActorKind, Entry};
use crate::error::ApiError;
use crate::web::auth::hash_of;

/// Every platform API key starts with this, so that one in a log or a commit is recognised.
pub const PLATFORM_KEY_PREFIX: &str = "alp_";
/// Characters of a key that stay visible, the prefix included.
const SHOWN: usize = 10;
/// Live keys per person: one in use, one to change over to.
const LIVE_KEYS: u64 = 2;
/// Longest e-mail address (RFC 5321 §4.5.3.1.3, less the brackets).
const LONGEST_EMAIL: usize = 254;

/// Somebody who uses the stand-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their uuid.
    pub id: Uuid,
    /// Their e-mail, in lower case.
    pub email: String,
    /// Their name, as shown.
    pub name: String,
}

impl Person {
    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor::new(ActorKind::Person, self.email.clone())
    }
}

/// A new key. The only time it is shown.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// Its uuid.
    pub id: Uuid,
    /// The key.
    pub key: SecretString,
}

/// The person with this e-mail, made when there is none.
///
/// # Errors
/// 422 when it is no e-mail address.
pub async fn ensure(app: &App, actor: &Actor, email: &str) -> Result<Person, ApiError> {
    let email = checked_email(email)?;
    let mut tx = app.store.begin().await?;
    if let Some(known) = store::find_by_email(&*tx, &email).await? {
        return Ok(known);
    }
    let name = email.split('@').next().unwrap_or_default().to_owned();
    let person = Person { id: app.entropy.uuid(), email, name };
    store::insert(&*tx, &person, app.clock.now()).await?;
    tx.audit(entry(actor, "platform.user_created", person.id));
    tx.commit().await?;
    Ok(person)
}

/// Makes a key for a person.
///
/// # Errors
/// 409 when they have two already.
pub async fn create_key(app: &App, actor: &Actor, person: &Person) -> Result<CreatedKey, ApiError> {
    let key = SecretString::from(format!("{PLATFORM_KEY_PREFIX}{}", app.entropy.url_token()));
    let id = app.entropy.uuid();
    let mut tx = app.store.begin().await?;
    if store::count_keys(&*tx, person.id).await? >= LIVE_KEYS {
        let message =
            format!("{} has {LIVE_KEYS} platform API keys already: revoke one first.", person.email);
        return Err(ApiError::conflict(message));
    }
    let row = store::keys::Model {
        id: id.into(),
        user_id: person.id.into(),
        shown_prefix: key.expose_secret().get(..SHOWN).unwrap_or_default().to_owned(),
        key_hash: hash_of(&key),
        created_at: app.clock.now().as_micros(),
        revoked_at: None,
    };
    store::insert_key(&*tx, row).await?;
    tx.audit(entry(actor, "platform.key_created", id));
    tx.commit().await?;
    Ok(CreatedKey { id, key })
}

/// Makes a key void at once.
///
/// # Errors
/// 404 when there is no such live key.
pub async fn revoke_key(app: &App, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    if !store::revoke_key(&*tx, id, app.clock.now()).await? {
        return Err(ApiError::not_found());
    }
    tx.audit(entry(actor, "platform.key_revoked", id));
    Ok(tx.commit().await?)
}

/// Line breaks and the like are refused too: the address is part of what single sign-on signs.
fn checked_email(email: &str) -> Result<String, ApiError> {
    let email = email.trim().to_lowercase();
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    let parts = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if parts && email.len() <= LONGEST_EMAIL && email.chars().all(plain) {
        return Ok(email);
    }
    Err(ApiError::invalid_field("$.email", "Give an e-mail address, such as dev@acme.example."))
}

pub(super) fn entry(actor: &Actor, action: &'static str, subject: Uuid) -> Entry {
    Entry { actor: actor.clone(), action, addon: None, subject: Some(subject), detail: String::new() }
}
