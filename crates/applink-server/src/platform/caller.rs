//! Who calls the stand-in. A handler that takes [`RequirePerson`] can't run without one.

use applink_api::ids::{AddonId, AppUuid};
use axum::extract::FromRequestParts;
use http::request::Parts;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::access::{Access, Reach};
use super::addons::PlatformAddon;
use super::apps::PlatformApp;
use super::error::PlatformError;
use super::people::Person;
use super::store;
use crate::addons::{AttachedApp, Attachment};
use crate::app::App;
use crate::audit::Actor;
use crate::db::StoreError;
use crate::error::ApiError;
use crate::web::auth::{bearer, hash_of};

/// A person with a platform API key, and how far they reach.
#[derive(Clone, Debug)]
pub struct RequirePerson {
    /// Who.
    pub person: Person,
    /// Where they may do what.
    pub reach: Reach,
}

impl FromRequestParts<App> for RequirePerson {
    type Rejection = PlatformError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PlatformError> {
        let refused = || ApiError::unauthorized("Invalid credentials provided.");
        let key = bearer(&parts.headers).ok_or_else(refused)?;
        let person = store::people::find_by_key(app.store.reader(), &hash_of(&key)).await?;
        let person = person.ok_or_else(refused)?;
        let reach = store::teams::reach_of(app.store.reader(), person.id).await?;
        Ok(Self { person, reach })
    }
}

impl RequirePerson {
    /// For the audit log.
    pub fn actor(&self) -> Actor {
        self.person.actor()
    }

    /// The app with this name or uuid, when they may work on it.
    ///
    /// # Errors
    /// 404 when there is none or they don't know it, 403 when they may only view it.
    pub async fn app(&self, app: &App, named: &str) -> Result<PlatformApp, PlatformError> {
        let found = store::apps::find(app.store.reader(), named).await?;
        let found = found.ok_or(PlatformError::Missing("app"))?;
        self.ensure_works_on(&found).map(|_| found)
    }

    /// The same, when they may say who else may work on it.
    ///
    /// # Errors
    /// As [`RequirePerson::app`]; 403 also without that permission.
    pub async fn managed_app(&self, app: &App, named: &str) -> Result<PlatformApp, PlatformError> {
        let found = store::apps::find(app.store.reader(), named).await?;
        let found = found.ok_or(PlatformError::Missing("app"))?;
        if self.ensure_works_on(&found)? {
            return Ok(found);
        }
        let message = format!("You need the manage permission on the app {} for that.", found.app.name);
        Err(ApiError::forbidden(message).into())
    }

    /// Whether they also manage it.
    fn ensure_works_on(&self, app: &PlatformApp) -> Result<bool, PlatformError> {
        match self.reach.on(app) {
            Access::None => Err(PlatformError::Missing("app")),
            Access::ViewOnly => Err(view_is_not_enough(&app.app.name).into()),
            Access::Works { manages } => Ok(manages),
        }
    }

    /// Every app they may work on, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn apps(&self, app: &App) -> Result<Vec<PlatformApp>, PlatformError> {
        let all = store::apps::list(app.store.reader()).await?;
        Ok(all.into_iter().filter(|found| matches!(self.reach.on(found), Access::Works { .. })).collect())
    }

    /// The add-on with this name or uuid, when they may work on an app it is attached to.
    ///
    /// # Errors
    /// 404 when there is none or they don't know it, 403 when they may only view all of its apps.
    pub async fn addon(&self, app: &App, named: &str) -> Result<PlatformAddon, PlatformError> {
        let found = store::addons::find(app.store.reader(), named).await?;
        let found = found.ok_or(PlatformError::Missing("add_on"))?;
        match self.best_access(app, &found).await? {
            Access::None => Err(PlatformError::Missing("add_on")),
            Access::ViewOnly => Err(view_is_not_enough(&found.app.name).into()),
            Access::Works { .. } => Ok(found),
        }
    }

    async fn best_access(&self, app: &App, addon: &PlatformAddon) -> Result<Access, PlatformError> {
        let mut best = Access::None;
        let attached = addon.attachments.iter().map(|attachment| &attachment.app);
        for candidate in attached.chain([&addon.app]) {
            let Some(known) = store::apps::of(app.store.reader(), candidate.clone()).await? else { continue };
            match (self.reach.on(&known), best) {
                (works @ Access::Works { .. }, _) => return Ok(works),
                (Access::ViewOnly, _) => best = Access::ViewOnly,
                (Access::None, _) => {}
            }
        }
        Ok(best)
    }

    /// The attachment with this uuid, when they may work on its app or on the one that owns the add-on.
    ///
    /// # Errors
    /// 404 when there is none or they don't know it, 403 when they may only view the app.
    pub async fn attachment(&self, app: &App, id: &str) -> Result<Attachment, PlatformError> {
        const MISSING: PlatformError = PlatformError::Missing("add_on attachment");
        let id: Uuid = id.parse().map_err(|_| MISSING)?;
        let mut best = Access::None;
        for addon in store::addons::list(app.store.reader()).await? {
            let found = addon.attachments.iter().find(|attachment| attachment.id == id);
            let Some(found) = found else { continue };
            for candidate in [&found.app, &addon.app] {
                let known = store::apps::of(app.store.reader(), candidate.clone()).await?;
                match known.map_or(Access::None, |known| self.reach.on(&known)) {
                    Access::Works { .. } => return Ok(found.clone()),
                    Access::ViewOnly => best = Access::ViewOnly,
                    Access::None => {}
                }
            }
        }
        match best {
            Access::ViewOnly => Err(ApiError::forbidden(VIEW_ALONE).into()),
            _ => Err(MISSING),
        }
    }
}

const VIEW_ALONE: &str = "To view an app is not enough: you need the deploy or the operate permission on it.";

fn view_is_not_enough(name: &str) -> ApiError {
    ApiError::forbidden(format!(
        "You may only view the app {name}: you need the deploy or the operate permission on it."
    ))
}

/// Whether a person whom single sign-on names may still work through an app. An app that was made past the
/// stand-in has nobody who may.
///
/// # Errors
/// 403 when not.
pub async fn ensure_may_work(app: &App, person: Uuid, through: AppUuid) -> Result<(), ApiError> {
    let reach = store::teams::reach_of(app.store.reader(), person).await?;
    let known = store::apps::find(app.store.reader(), &through.to_string()).await?;
    match known.map(|known| reach.on(&known)) {
        Some(Access::Works { .. }) => Ok(()),
        _ => Err(ApiError::forbidden(
            "You need the deploy or the operate permission on this app to work with its connections.",
        )),
    }
}

/// The apps among these through which a person may work.
///
/// # Errors
/// Those of the database.
pub async fn works_through(
    connection: &impl ConnectionTrait,
    person: Uuid,
    among: Vec<AttachedApp>,
) -> Result<Vec<AttachedApp>, StoreError> {
    let reach = store::teams::reach_of(connection, person).await?;
    let mut through = Vec::new();
    for candidate in among {
        let known = store::apps::of(connection, candidate.clone()).await?;
        if known.is_some_and(|known| matches!(reach.on(&known), Access::Works { .. })) {
            through.push(candidate);
        }
    }
    Ok(through)
}

/// Whether a person may look at an add-on in the browser: what they need to see it with the CLI.
///
/// # Errors
/// 403 when not.
pub async fn ensure_may_look(app: &App, person: Uuid, addon: AddonId) -> Result<(), ApiError> {
    let refused =
        || ApiError::forbidden("You need the deploy or the operate permission on an app of this add-on.");
    let person = store::people::find(app.store.reader(), person).await?.ok_or_else(refused)?;
    let reach = store::teams::reach_of(app.store.reader(), person.id).await?;
    let caller = RequirePerson { person, reach };
    match caller.addon(app, &addon.to_string()).await {
        Ok(_) => Ok(()),
        Err(PlatformError::Refused(error)) if error.status().is_server_error() => Err(error),
        Err(_) => Err(refused()),
    }
}
