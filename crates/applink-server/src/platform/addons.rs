//! Add-ons: a tenant with an app that owns it, provisioned and deprovisioned in the background.
//!
//! ```text
//! POST ──▶ provisioning ──(token made, config vars appear)──▶ provisioned
//!                                                                │ DELETE: attachments and tokens go at once
//!                       (gone) ◀──(grants revoked at the orgs)── deprovisioning
//! ```

use applink_api::ids::AddonId;
use applink_api::operator::CreateAddon;
use applink_api::time::Timestamp;
use secrecy::SecretString;

use super::apps::PlatformApp;
use super::attachments::free_prefix;
use super::caller::RequirePerson;
use super::error::PlatformError;
use super::people::Person;
use super::{reconcile, releases, store};
use crate::addons::{self as tenants, Addon, AttachedApp, Attachment, provision};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::error::ApiError;
use crate::removals;
use crate::web::auth::hash_of;

/// The one service that can be had here.
pub const SERVICE: &str = "heroku-applink";
/// Its one plan.
pub const PLAN: &str = "heroku-applink:local";

/// Where an add-on stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for; no config vars yet.
    Provisioning,
    /// In use.
    Provisioned,
    /// Out of use; its grants are being revoked.
    Deprovisioning,
    /// Gone. Only in the answer to the request that made it so.
    Deprovisioned,
}

impl State {
    /// As stored and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Deprovisioning => "deprovisioning",
            Self::Deprovisioned => "deprovisioned",
        }
    }

    /// Reads what is stored.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Provisioning, Self::Provisioned, Self::Deprovisioning, Self::Deprovisioned];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// An add-on and whose it is.
#[derive(Clone, Debug)]
pub struct PlatformAddon {
    /// The tenant.
    pub addon: Addon,
    /// The app that owns it.
    pub app: AttachedApp,
    /// Where it stands.
    pub state: State,
    /// Where it is attached, oldest first.
    pub attachments: Vec<Attachment>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its state changed last.
    pub updated_at: Timestamp,
}

impl PlatformAddon {
    /// Whether it is attached to this app.
    pub fn is_attached_to(&self, app: &PlatformApp) -> bool {
        self.attachments.iter().any(|attachment| attachment.app.id == app.app.id)
    }

    /// Its config vars on the app that owns it.
    pub fn config_vars(&self) -> Vec<String> {
        let own = self.attachments.iter().filter(|attachment| attachment.app.id == self.app.id);
        own.flat_map(|attachment| names_of(&attachment.prefix)).collect()
    }
}

/// The config vars of an attachment.
pub fn names_of(prefix: &str) -> [String; 2] {
    [format!("{prefix}_API_URL"), format!("{prefix}_TOKEN")]
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `heroku-applink`, or a plan of it.
    pub plan: String,
    /// The add-on's name; generated when absent.
    pub name: Option<String>,
    /// The config-var prefix; the first free one when absent.
    pub attachment: Option<String>,
}

/// Provisions an add-on for an app. It is attached at once; its config vars appear when it is `provisioned`.
///
/// # Errors
/// 404 when the plan is not ours, 409 when a name is taken, 422 when it breaks a rule.
pub async fn create(
    app: &App,
    caller: &RequirePerson,
    on: &PlatformApp,
    asked: Asked,
) -> Result<PlatformAddon, PlatformError> {
    let Asked { plan, name, attachment } = asked;
    if plan.split(':').next() != Some(SERVICE) {
        let message =
            format!("Couldn't find the add-on service or plan `{plan}`: only {SERVICE} can be had here.");
        return Err(ApiError::new(http::StatusCode::NOT_FOUND, "not_found", message).into());
    }
    let mut tx = app.store.begin().await?;
    store::apps::lock(&*tx, on.app.id).await?;
    let prefix = free_prefix(app, &*tx, on, attachment).await?;
    let request = CreateAddon { app: on.app.id.to_string(), attachment: Some(prefix), name };
    let made = provision::provision_in(app, &mut tx, &caller.actor(), request).await?;
    let row = new_row(app, made.id, on, &caller.person, State::Provisioning);
    store::addons::insert(&*tx, row).await?;
    tx.commit().await?;
    app.nudges.platform.notify_one();
    loaded(app, made.id).await
}

fn new_row(
    app: &App,
    id: AddonId,
    on: &PlatformApp,
    by: &Person,
    state: State,
) -> store::addons::rows::Model {
    let now = app.clock.now().as_micros();
    store::addons::rows::Model {
        id: id.into(),
        app_id: on.app.id.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        state: state.as_str().to_owned(),
        due_at: (state == State::Provisioning).then_some(reconcile::AT_ONCE.as_micros()),
        requested_by: by.email.clone(),
        created_at: now,
        updated_at: now,
    }
}

async fn loaded(app: &App, id: AddonId) -> Result<PlatformAddon, PlatformError> {
    let found = store::addons::find(app.store.reader(), &id.to_string()).await?;
    found.ok_or(PlatformError::Missing("add_on"))
}

/// Deprovisions an add-on: its attachments go with their tokens at once, every connection and authorization is
/// disconnected, and once their grants are revoked (or could not be for long enough) everything is erased.
///
/// # Errors
/// 422 when the app does not own it.
pub async fn destroy(
    app: &App,
    caller: &RequirePerson,
    on: &PlatformApp,
    addon: PlatformAddon,
) -> Result<PlatformAddon, PlatformError> {
    if addon.app.id != on.app.id {
        let message =
            format!("{} belongs to the app {}: destroy it there.", addon.addon.name, addon.app.name);
        return Err(PlatformError::invalid(message));
    }
    retire(app, caller, &addon).await?;
    let erased = removals::reconcile::advance(app, addon.addon.id).await.map_err(ApiError::internal)?;
    let state = if erased { State::Deprovisioned } else { State::Deprovisioning };
    Ok(PlatformAddon { state, ..addon })
}

async fn retire(app: &App, caller: &RequirePerson, addon: &PlatformAddon) -> Result<(), PlatformError> {
    let mut tx = app.store.begin().await?;
    tenants::store::lock(&*tx, addon.addon.id).await?;
    for attachment in tenants::store::attachments_of(&*tx, addon.addon.id).await? {
        let what = format!("Detach {} ({})", attachment.prefix, addon.addon.name);
        releases::add_where_known(app, &tx, &attachment.app, &caller.person.email, &what).await?;
    }
    store::addons::set_state(&*tx, addon.addon.id, State::Deprovisioning, None, app.clock.now()).await?;
    removals::begin(app, &mut tx, &caller.actor(), &addon.addon).await?;
    tx.commit().await?;
    app.nudges.removals.notify_one();
    Ok(())
}

/// Shows the stand-in an app and an add-on that were made past it, whose token is still known: `applink dev` does this
/// at every start.
///
/// # Errors
/// 404 when the token belongs to no attachment.
pub async fn adopt(
    app: &App,
    actor: &Actor,
    owner: &Person,
    token: &SecretString,
) -> Result<(), PlatformError> {
    let attachment = tenants::store::attachment_by_token(app.store.reader(), &hash_of(token)).await?;
    let attachment = attachment.ok_or(PlatformError::Missing("add_on attachment"))?;
    let sealed = app.vault.seal(store::addons::token_place(&attachment), token).await?;
    let made = PlatformApp {
        app: attachment.app.clone(),
        owner: owner.clone(),
        team: None,
        created_at: app.clock.now(),
    };
    let mut tx = app.store.begin().await?;
    if store::apps::of(&*tx, attachment.app.clone()).await?.is_none() {
        store::apps::insert(&*tx, &made).await?;
        releases::add(app, &tx, &made.app, &owner.email, "Initial release").await?;
    }
    if store::addons::row(&*tx, attachment.addon.id).await?.is_none() {
        let row = new_row(app, attachment.addon.id, &made, owner, State::Provisioned);
        store::addons::insert(&*tx, row).await?;
        tx.audit(Entry::new(actor, "addon.adopted", attachment.addon.id, attachment.addon.id.0));
    }
    if store::addons::token_of(&*tx, attachment.id).await?.is_none() {
        store::addons::save_token(&*tx, attachment.id, sealed).await?;
    }
    Ok(tx.commit().await?)
}

/// The add-ons that a name means: a name or uuid, `APP::ATTACHMENT`, or on an app also an attachment or the service.
///
/// # Errors
/// 404 when nothing has that name, 403 when the person may only view it.
pub async fn resolve(
    app: &App,
    caller: &RequirePerson,
    named: &str,
    on: Option<&str>,
) -> Result<Vec<PlatformAddon>, PlatformError> {
    if let Some((on, attachment)) = named.split_once("::") {
        return on_app(app, &caller.app(app, on).await?, attachment).await;
    }
    let Some(on) = on else { return Ok(vec![caller.addon(app, named).await?]) };
    let on = caller.app(app, on).await?;
    match on_app(app, &on, named).await {
        Err(PlatformError::Missing(_)) => Ok(vec![caller.addon(app, named).await?]),
        answer => answer,
    }
}

async fn on_app(app: &App, on: &PlatformApp, named: &str) -> Result<Vec<PlatformAddon>, PlatformError> {
    let all = list_of_app(app, on).await?;
    let attached_as = |addon: &PlatformAddon| {
        let mut own = addon.attachments.iter().filter(|attachment| attachment.app.id == on.app.id);
        own.any(|attachment| attachment.prefix == named)
    };
    let meant = |addon: &PlatformAddon| {
        named == SERVICE
            || addon.addon.name == named
            || addon.addon.id.to_string() == named
            || attached_as(addon)
    };
    let found: Vec<PlatformAddon> = all.into_iter().filter(meant).collect();
    if found.is_empty() { Err(PlatformError::Missing("add_on")) } else { Ok(found) }
}

/// The add-ons that are attached to an app.
///
/// # Errors
/// Those of the database.
pub async fn list_of_app(app: &App, on: &PlatformApp) -> Result<Vec<PlatformAddon>, PlatformError> {
    let all = store::addons::list(app.store.reader()).await?;
    Ok(all.into_iter().filter(|addon| addon.is_attached_to(on)).collect())
}

/// The add-on of an app with this name, uuid or attachment. One that is being deprovisioned is still found by its
/// owner, who may be waiting for that.
///
/// # Errors
/// 404 when the app has none of this name.
pub async fn find_on_app(app: &App, on: &PlatformApp, named: &str) -> Result<PlatformAddon, PlatformError> {
    if let Ok(mut found) = on_app(app, on, named).await
        && let Some(addon) = found.pop()
        && found.is_empty()
    {
        return Ok(addon);
    }
    let found = store::addons::find(app.store.reader(), named).await?;
    found.filter(|addon| addon.app.id == on.app.id).ok_or(PlatformError::Missing("add_on"))
}
