//! Making and changing endpoints.

use std::time::Duration;

use applink_api::webhook::{CreateWebhook, UpdateWebhook};
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::{Endpoint, events, flow, sign, store};
use crate::addons;
use crate::app::App;
use crate::audit::Entry;
use crate::credentials::begin::capitalised;
use crate::db::Tx;
use crate::error::{ApiError, chain};
use crate::vault::{Place, SealedToken, VaultError};
use crate::web::auth::RequireManager;

/// Endpoints per add-on.
pub const MOST: u64 = 20;
/// Characters of a URL.
const LONGEST_URL: usize = 2048;
/// Characters of a description.
const LONGEST_DESCRIPTION: usize = 200;
/// How long a former secret signs too when nothing else is asked for.
const OVERLAP_HOURS: u32 = 24;
/// The longest overlap that may be asked for.
const LONGEST_OVERLAP_HOURS: u32 = 168;

/// Makes an endpoint; its secret is shown this once.
///
/// # Errors
/// 422 when URL, types or description won't do; 409 when there are [`MOST`] already.
pub async fn create(
    app: &App,
    manager: &RequireManager,
    asked: CreateWebhook,
) -> Result<(Endpoint, SecretString), ApiError> {
    let url = checked_url(app, &asked.url).await?;
    let event_types = checked_types(asked.event_types)?;
    let description = checked_description(asked.description)?;
    let secret = sign::new_secret(&app.entropy);
    let id = app.entropy.uuid();
    // Before the transaction: sealing reads the data key, for which the pool may have no second connection.
    let place = Place { addon: manager.addon.id, table: store::ENDPOINTS, row: id, column: "secret" };
    let sealed = app.vault.seal(place, &secret).await?;
    let (now, by) = (app.clock.now(), manager.actor.name.clone());
    let endpoint = Endpoint {
        id,
        addon: manager.addon.id,
        url: url.into(),
        event_types,
        description,
        secret: sealed,
        former_secret: None,
        enabled: true,
        disabled_reason: None,
        failing_since: None,
        created_at: now,
        created_by: by.clone(),
        last_modified_at: now,
        last_modified_by: by,
    };
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    if store::count(&*tx, manager.addon.id).await? >= MOST {
        return Err(ApiError::conflict(format!(
            "There are {MOST} webhooks already: remove one that is not needed."
        )));
    }
    store::insert(&*tx, &endpoint).await?;
    tx.audit(entry(manager, "webhook.created", &endpoint));
    tx.commit().await?;
    Ok((endpoint, secret))
}

/// Changes what is given. Switching an endpoint on again forgets its failures.
///
/// # Errors
/// As [`create`]; 404 when there is none.
pub async fn update(
    app: &App,
    manager: &RequireManager,
    id: Uuid,
    asked: UpdateWebhook,
) -> Result<Endpoint, ApiError> {
    let url = match &asked.url {
        Some(url) => Some(checked_url(app, url).await?),
        None => None,
    };
    let event_types = asked.event_types.map(checked_types).transpose()?;
    let description = checked_description(asked.description.clone())?;
    let tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    let found = store::find(&*tx, manager.addon.id, id).await?;
    let mut endpoint = found.ok_or_else(ApiError::not_found)?;
    if let Some(url) = url {
        endpoint.url = url.into();
    }
    if let Some(event_types) = event_types {
        endpoint.event_types = event_types;
    }
    if asked.description.is_some() {
        endpoint.description = description;
    }
    if let Some(enabled) = asked.enabled {
        endpoint.enabled = enabled;
        endpoint.disabled_reason = None;
        endpoint.failing_since = None;
    }
    save(app, manager, tx, endpoint, "webhook.changed").await
}

/// Gives it a new secret; the former one signs too for a while.
///
/// # Errors
/// 404 when there is none, 422 when the overlap is too long.
pub async fn rotate_secret(
    app: &App,
    manager: &RequireManager,
    id: Uuid,
    overlap_hours: Option<u32>,
) -> Result<(Endpoint, SecretString), ApiError> {
    let hours = overlap_hours.unwrap_or(OVERLAP_HOURS);
    if hours > LONGEST_OVERLAP_HOURS {
        let message = format!("The former secret may sign for at most {LONGEST_OVERLAP_HOURS} hours.");
        return Err(ApiError::invalid_field("$.overlap_hours", message));
    }
    let found = store::find(app.store.reader(), manager.addon.id, id).await?;
    let before = found.ok_or_else(ApiError::not_found)?;
    let secret = sign::new_secret(&app.entropy);
    // Before the transaction, as in `create`; a ciphertext is tied to its column, so the former is sealed anew.
    let former = former_secret(app, &before).await?;
    let sealed = app.vault.seal(before.place("secret"), &secret).await?;
    let until = app.clock.now().plus(Duration::from_secs(u64::from(hours) * 3600));
    let tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    let found = store::find(&*tx, manager.addon.id, id).await?;
    let mut endpoint = found.ok_or_else(ApiError::not_found)?;
    if endpoint.secret != before.secret {
        let message = "The secret was rotated by somebody else at this moment; look before you do it again.";
        return Err(ApiError::conflict(message));
    }
    endpoint.secret = sealed;
    endpoint.former_secret = former.filter(|_| hours > 0).map(|former| (former, until));
    save(app, manager, tx, endpoint, "webhook.secret_rotated").await.map(|endpoint| (endpoint, secret))
}

/// The secret in use, sealed as the former one; none when it does not open: a new one is what helps then.
async fn former_secret(app: &App, endpoint: &Endpoint) -> Result<Option<SealedToken>, VaultError> {
    match app.vault.open_sealed(endpoint.place("secret"), &endpoint.secret).await {
        Ok(former) => app.vault.seal(endpoint.place("former_secret"), &former).await.map(Some),
        Err(error @ VaultError::Store(_)) => Err(error),
        Err(error) => {
            tracing::error!(webhook = %endpoint.id, error = %chain(&error), "a secret that is replaced can't be opened");
            Ok(None)
        }
    }
}

/// Removes an endpoint with what is still to be delivered to it.
///
/// # Errors
/// 404 when there is none.
pub async fn remove(app: &App, manager: &RequireManager, id: Uuid) -> Result<Endpoint, ApiError> {
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    let found = store::find(&*tx, manager.addon.id, id).await?;
    let endpoint = found.ok_or_else(ApiError::not_found)?;
    store::delete(&*tx, manager.addon.id, id).await?;
    store::forget_subject(&*tx, id).await?;
    tx.audit(entry(manager, "webhook.removed", &endpoint));
    tx.commit().await?;
    Ok(endpoint)
}

/// Writes a test event for one endpoint.
///
/// # Errors
/// 404 when there is none, 409 when it is switched off.
pub async fn test(app: &App, manager: &RequireManager, id: Uuid) -> Result<store::Delivery, ApiError> {
    let tx = app.store.begin().await?;
    let found = store::find(&*tx, manager.addon.id, id).await?;
    let endpoint = found.ok_or_else(ApiError::not_found)?;
    if !endpoint.enabled {
        return Err(ApiError::conflict("The webhook is switched off: switch it on, then test it."));
    }
    let written = events::tell_test(&tx, &endpoint).await?;
    let delivery = match written {
        Some(delivery) => store::find_delivery(&*tx, &endpoint, delivery).await?,
        None => None,
    };
    tx.commit().await?;
    delivery.ok_or_else(|| ApiError::internal("a test's delivery was not written"))
}

async fn save(
    app: &App,
    manager: &RequireManager,
    mut tx: Tx,
    mut endpoint: Endpoint,
    action: &'static str,
) -> Result<Endpoint, ApiError> {
    endpoint.last_modified_at = app.clock.now();
    endpoint.last_modified_by.clone_from(&manager.actor.name);
    store::save(&*tx, &endpoint).await?;
    if !endpoint.enabled {
        store::give_up(&*tx, endpoint.id).await?;
    }
    tx.audit(entry(manager, action, &endpoint));
    tx.commit().await?;
    Ok(endpoint)
}

/// A URL may hold a secret of the receiver's in its path: the audit log gets the host.
fn entry(manager: &RequireManager, action: &'static str, endpoint: &Endpoint) -> Entry {
    let host = Url::parse(&endpoint.url).ok().map(|url| url.origin().ascii_serialization());
    Entry::new(&manager.actor, action, endpoint.addon, endpoint.id).with_detail(host.unwrap_or_default())
}

async fn checked_url(app: &App, text: &str) -> Result<Url, ApiError> {
    let refused = |message: String| ApiError::invalid_field("$.url", message);
    if text.len() > LONGEST_URL {
        return Err(refused(format!("The URL is longer than {LONGEST_URL} characters.")));
    }
    let url = Url::parse(text.trim()).map_err(|_| {
        refused("This is not a URL: write one such as https://hooks.example/applink.".to_owned())
    })?;
    app.tenant
        .check(&url)
        .await
        .map_err(|error| refused(format!("{}.", capitalised(&error.to_string()))).caused_by(error))?;
    Ok(url)
}

fn checked_types(mut types: Vec<String>) -> Result<Vec<String>, ApiError> {
    if let Some(unknown) = types.iter().find(|text| !flow::is_pattern(text)) {
        let shown: String = unknown.chars().take(40).collect();
        return Err(ApiError::invalid_field(
            "$.event_types",
            format!(
                "There is no event type `{}`: write types such as connection.failed, or connection.* for all of a kind.",
                shown.escape_debug()
            ),
        ));
    }
    types.sort();
    types.dedup();
    Ok(types)
}

fn checked_description(text: Option<String>) -> Result<Option<String>, ApiError> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        let message = format!("The description is longer than {LONGEST_DESCRIPTION} characters.");
        return Err(ApiError::invalid_field("$.description", message));
    }
    Ok(text)
}
