//! Setting up apps and add-ons, for the operator's routes and for `applink dev`.

use applink_api::ids::{AddonId, AppUuid};
use applink_api::operator::{
    App as WireApp, CreateAddon, CreateApp, CreateAttachment, ProvisionedAddon, Removal,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use uuid::Uuid;

use super::{Addon, AttachedApp, Attachment, DEFAULT_ATTACHMENT, names, store};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::Tx;
use crate::error::ApiError;
use crate::provider;
use crate::removals;
use crate::web::auth::hash_of;

/// Longest name of an app or add-on.
const LONGEST_NAME: usize = 64;

/// Makes an app known. `id` is its uuid where it has one already (`HEROKU_APP_ID`).
///
/// # Errors
/// 409 when the name is taken, 422 when a value breaks a rule.
pub async fn create_app(
    app: &App,
    actor: &Actor,
    request: CreateApp,
    id: Option<AppUuid>,
) -> Result<WireApp, ApiError> {
    let mut tx = app.store.begin().await?;
    let created = create_app_in(app, &mut tx, actor, request, id).await?;
    tx.commit().await?;
    Ok(wire_app(created))
}

pub(crate) async fn create_app_in(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    request: CreateApp,
    id: Option<AppUuid>,
) -> Result<AttachedApp, ApiError> {
    let CreateApp { name, url } = request;
    ensure_slug("$.name", &name)?;
    let url = url.as_deref().map(public_url).transpose()?;
    let created = AttachedApp { id: id.unwrap_or_else(|| app.entropy.uuid().into()), name, url };
    if store::find_app(&**tx, &created.name).await?.is_some() {
        return Err(ApiError::conflict(format!("There is already an app named `{}`.", created.name)));
    }
    store::insert_app(&**tx, &created, app.clock.now().as_micros()).await?;
    tx.audit(operator_entry(actor, "app.created", created.id.0, &created.name));
    Ok(created)
}

/// Sets the URL where orgs call an app.
///
/// # Errors
/// 404 when there is no such app, 422 when the URL breaks a rule.
pub async fn set_app_url(app: &App, actor: &Actor, named: &str, url: &str) -> Result<WireApp, ApiError> {
    let url = public_url(url)?;
    let mut tx = app.store.begin().await?;
    let mut found = store::find_app(&*tx, named).await?.ok_or_else(ApiError::not_found)?;
    store::set_app_url(&*tx, found.id, &url).await?;
    tx.audit(operator_entry(actor, "app.url_set", found.id.0, &url));
    tx.commit().await?;
    found.url = Some(url);
    Ok(wire_app(found))
}

/// Makes an add-on with its data key and attaches it to an app. The only time its token is shown.
///
/// # Errors
/// 404 when there is no such app, 409 when a name is taken, 422 when a value breaks a rule.
pub async fn provision(app: &App, actor: &Actor, request: CreateAddon) -> Result<ProvisionedAddon, ApiError> {
    let mut tx = app.store.begin().await?;
    let provisioned = provision_in(app, &mut tx, actor, request).await?;
    tx.commit().await?;
    Ok(provisioned)
}

pub(crate) async fn provision_in(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    request: CreateAddon,
) -> Result<ProvisionedAddon, ApiError> {
    let name = request.name.unwrap_or_else(|| names::random(&app.entropy));
    ensure_slug("$.name", &name)?;
    let addon = Addon { id: app.entropy.uuid().into(), name };
    let inserted = store::insert_addon(&**tx, &addon, app.clock.now().as_micros()).await;
    if inserted.as_ref().is_err_and(crate::db::StoreError::is_duplicate) {
        return Err(ApiError::conflict(format!("There is already an add-on named `{}`.", addon.name)));
    }
    inserted?;
    app.vault.create_data_key(tx, addon.id).await?;
    tx.audit(operator_entry(actor, "addon.created", addon.id.0, &addon.name));
    attach_in(app, tx, actor, addon, &request.app, request.attachment).await
}

/// Attaches an add-on to one more app, which gets a token of its own.
///
/// # Errors
/// 404 when there is no such add-on or app, 409 when the app has this prefix already.
pub async fn attach(
    app: &App,
    actor: &Actor,
    addon: &str,
    request: CreateAttachment,
) -> Result<ProvisionedAddon, ApiError> {
    let mut tx = app.store.begin().await?;
    let addon = store::find_addon_named(&*tx, addon).await?.ok_or_else(ApiError::not_found)?;
    ensure_not_herokus(&tx, &addon, "attach").await?;
    let provisioned = attach_in(app, &mut tx, actor, addon, &request.app, request.name).await?;
    tx.commit().await?;
    Ok(provisioned)
}

/// Removes an attachment (by name or uuid of its add-on); its token is void at once.
///
/// # Errors
/// 404 when there is no such add-on or attachment, 409 when Heroku decides that, 422 when it is the add-on's last.
pub async fn detach(app: &App, actor: &Actor, addon: &str, attachment: Uuid) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    let addon = store::find_addon_named(&*tx, addon).await?.ok_or_else(ApiError::not_found)?;
    ensure_not_herokus(&tx, &addon, "detach").await?;
    store::lock(&*tx, addon.id).await?;
    let all = store::attachments_of(&*tx, addon.id).await?;
    let found = all.iter().find(|found| found.id == attachment).ok_or_else(ApiError::not_found)?;
    if all.len() < 2 {
        return Err(ApiError::validation(format!(
            "This is the last attachment of {name}: attach it to another app first, or destroy the add-on with \
             `applink admin:addons:destroy {name}`.",
            name = addon.name
        )));
    }
    store::delete_attachment(&*tx, attachment).await?;
    let entry = Entry::new(actor, "attachment.removed", addon.id, attachment);
    tx.audit(entry.with_detail(format!("{} on {}", found.prefix, found.app.name)));
    Ok(tx.commit().await?)
}

/// Takes an add-on (name or uuid) out of use at once and apart in the background.
///
/// # Errors
/// 404 when there is no such add-on, 409 when Heroku decides that.
pub async fn destroy(app: &App, actor: &Actor, addon: &str) -> Result<Removal, ApiError> {
    let mut tx = app.store.begin().await?;
    let addon = store::find_addon_named(&*tx, addon).await?.ok_or_else(ApiError::not_found)?;
    ensure_not_herokus(&tx, &addon, "destroy").await?;
    removals::begin(app, &mut tx, actor, &addon).await?;
    let row = removals::store::find(&*tx, addon.id).await?.ok_or_else(ApiError::not_found)?;
    tx.commit().await?;
    app.nudges.removals.notify_one();
    Ok(removals::wire(&row))
}

/// What Heroku provisioned, Heroku attaches and destroys: here it would only look so.
async fn ensure_not_herokus(tx: &Tx, addon: &Addon, what: &str) -> Result<(), ApiError> {
    if provider::store::find(&**tx, addon.id).await?.is_none() {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "Heroku provisioned {name}: use `heroku addons:{what} {name}` instead.",
        name = addon.name
    )))
}

/// Gives an app's attachment of an add-on a new token and returns it; the old one is void at once. `applink dev`
/// does this when it finds its add-on again but has lost the token.
///
/// # Errors
/// 404 when there is no such attachment.
pub async fn rotate_token(
    app: &App,
    actor: &Actor,
    addon: AddonId,
    prefix: &str,
) -> Result<ProvisionedAddon, ApiError> {
    let mut tx = app.store.begin().await?;
    let attachments = store::attachments_of(&*tx, addon).await?;
    let found = attachments.into_iter().find(|attachment| attachment.prefix == prefix);
    let attachment = found.ok_or_else(ApiError::not_found)?;
    let token = new_token(app);
    store::set_token_hash(&*tx, attachment.id, hash_of(&token)).await?;
    tx.audit(Entry::new(actor, "attachment.token_rotated", addon, attachment.id));
    tx.commit().await?;
    Ok(provisioned(app, attachment, token))
}

pub(crate) async fn attach_in(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    addon: Addon,
    app_named: &str,
    prefix: Option<String>,
) -> Result<ProvisionedAddon, ApiError> {
    let prefix = prefix.unwrap_or_else(|| DEFAULT_ATTACHMENT.to_owned());
    ensure_prefix(&prefix)?;
    let attached = store::find_app(&**tx, app_named).await?.ok_or_else(ApiError::not_found)?;
    let attachment = Attachment { id: app.entropy.uuid(), addon, app: attached, prefix };
    let token = new_token(app);
    let at = app.clock.now().as_micros();
    let inserted = store::insert_attachment(&**tx, &attachment, hash_of(&token), at).await;
    if inserted.as_ref().is_err_and(crate::db::StoreError::is_duplicate) {
        let Attachment { app, prefix, .. } = attachment;
        let message =
            format!("The app `{}` has an attachment `{prefix}` already: choose another name.", app.name);
        return Err(ApiError::conflict(message));
    }
    inserted?;
    tx.audit(Entry::new(actor, "attachment.created", attachment.addon.id, attachment.id));
    Ok(provisioned(app, attachment, token))
}

/// 256 bits as hexadecimal, the form of the official tokens.
pub(crate) fn new_token(app: &App) -> SecretString {
    SecretString::from(app.entropy.hex::<32>())
}

fn provisioned(app: &App, attachment: Attachment, token: SecretString) -> ProvisionedAddon {
    ProvisionedAddon {
        id: attachment.addon.id,
        api_url: app.urls.api(attachment.addon.id),
        name: attachment.addon.name,
        app: wire_app(attachment.app),
        attachment: attachment.prefix,
        token: SecretString::from(token.expose_secret()),
    }
}

fn wire_app(app: AttachedApp) -> WireApp {
    WireApp { id: app.id, name: app.name, url: app.url }
}

fn operator_entry(actor: &Actor, action: &'static str, subject: Uuid, detail: &str) -> Entry {
    Entry { actor: actor.clone(), action, addon: None, subject: Some(subject), detail: detail.to_owned() }
}

fn ensure_slug(place: &str, name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    let message = format!(
        "A name starts with a letter and has up to {LONGEST_NAME} lower-case letters, digits and `-` between them."
    );
    Err(ApiError::invalid_field(place, message))
}

fn ensure_prefix(prefix: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let good = (1..=LONGEST_NAME).contains(&prefix.len())
        && prefix.bytes().all(allowed)
        && prefix.starts_with(|c: char| c.is_ascii_uppercase());
    if good {
        return Ok(());
    }
    let message = "An attachment is named in capitals, digits and `_`, such as HEROKU_APPLINK: config vars start with it.";
    Err(ApiError::invalid_field("$.attachment", message))
}

/// Orgs call the app there, so it is an origin with or without a path.
fn public_url(text: &str) -> Result<String, ApiError> {
    let refuse =
        || ApiError::invalid_field("$.url", "Give the app's public URL, such as https://my-app.example.");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
