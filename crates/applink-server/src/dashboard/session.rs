//! A browser that is signed in.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use cookie::{Cookie, SameSite};
use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::parts::Hidden;
use super::shell::{Section, Shell, notice_of};
use super::{Trouble, store};
use crate::addons::{self, Addon, AttachedApp};
use crate::app::App;
use crate::audit::{Actor, ActorKind, Entry};
use crate::db::Tx;
use crate::error::ApiError;
use crate::limits::Who;
use crate::platform;
use crate::web::auth::{RequireManager, hash_of};
use crate::web::limits;

/// How long a session lasts, whatever is done with it.
const LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// Who is signed in, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its uuid.
    pub id: Uuid,
    /// The add-on.
    pub addon: AddonId,
    /// Who, as shown.
    pub person: String,
    /// Who, when our own stand-in signed them on: then their rights are looked at with every request.
    pub user: Option<Uuid>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Makes a session in the transaction that used the sign-on up; its cookie.
pub(super) async fn begin(
    app: &App,
    tx: &mut Tx,
    addon: AddonId,
    person: String,
    user: Option<Uuid>,
) -> Result<Cookie<'static>, ApiError> {
    let now = app.clock.now();
    let token = app.entropy.url_token();
    let session = Session { id: app.entropy.uuid(), addon, person, user, expires_at: now.plus(LIFETIME) };
    store::insert(&**tx, &session, hash_of(&SecretString::from(token.as_str())), now).await?;
    tx.audit(Entry::new(&session.actor(), "session.begun", addon, session.id));
    Ok(cookie(app, token, LIFETIME))
}

/// Ends the session a browser has that signs in again, if it is one.
pub(super) async fn end_former(app: &App, tx: &Tx, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = sent(app, headers) else { return Ok(()) };
    if let Some(former) = store::find_live(&**tx, &hash_of(&token), app.clock.now()).await? {
        store::delete(&**tx, former.id).await?;
    }
    Ok(())
}

impl Session {
    /// For the audit log. A name that nobody vouches for is a claim.
    fn actor(&self) -> Actor {
        let kind = if self.user.is_some() { ActorKind::Person } else { ActorKind::Claimed };
        Actor::new(kind, self.person.clone())
    }
}

/// The cookie that takes a session's cookie away.
pub(super) fn no_cookie(app: &App) -> Cookie<'static> {
    cookie(app, String::new(), Duration::ZERO)
}

fn cookie(app: &App, value: String, lifetime: Duration) -> Cookie<'static> {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or_default();
    Cookie::build((name(app), value))
        .path("/")
        .http_only(true)
        .secure(app.urls.is_https())
        // The way here is a top-level navigation from Heroku's site.
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(seconds))
        .build()
}

/// Browsers take the `__Host-` prefix over TLS only.
fn name(app: &App) -> &'static str {
    if app.urls.is_https() { "__Host-applink-session" } else { "applink-session" }
}

/// A browser that is signed in, and its add-on.
#[derive(Clone, Debug)]
pub struct RequireSession {
    /// The session.
    pub session: Session,
    /// Its add-on.
    pub addon: Addon,
    pub(super) hidden: Hidden,
    /// None when the person may change nothing.
    through: Option<Vec<AttachedApp>>,
    notice: (Option<&'static str>, Option<Cookie<'static>>),
}

impl RequireSession {
    /// Around a page of a section.
    pub fn shell(&self, app: &App, section: Section) -> Shell {
        Shell { section: Some(section), ..self.bare_shell(app) }
    }

    /// Around a page of none.
    pub(super) fn bare_shell(&self, app: &App) -> Shell {
        // A form that is shown again is another form.
        let hidden = Hidden { once: app.entropy.hex::<16>(), ..self.hidden.clone() };
        let (notice, no_notice) = self.notice.clone();
        Shell {
            addon: self.addon.name.clone(),
            person: self.session.person.clone(),
            hidden,
            section: None,
            may_change: self.through.is_some(),
            notice,
            no_notice,
        }
    }

    /// The apps through which the person may change the add-on.
    pub(super) fn apps(&self) -> &[AttachedApp] {
        self.through.as_deref().unwrap_or_default()
    }

    /// What the API demands of whoever changes something.
    pub(super) fn manager(&self) -> Result<RequireManager, ApiError> {
        let mut through = self.through.clone().ok_or_else(|| {
            ApiError::forbidden(
                "You need the deploy or the operate permission on an app that this add-on is attached to.",
            )
        })?;
        let app = if through.len() == 1 { through.pop() } else { None };
        Ok(RequireManager { addon: self.addon.clone(), app, actor: self.session.actor() })
    }
}

impl FromRequestParts<App> for RequireSession {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match load(app, &parts.headers).await {
            Ok(Some(found)) => match limits::count(app, &parts.extensions, Who::Management(found.addon.id)) {
                Ok(()) => Ok(found),
                Err(error) => Err(Trouble::of(&error).into_response()),
            },
            Ok(None) => Err(Trouble::signed_out().into_response()),
            Err(error) => Err(Trouble::of(&error).into_response()),
        }
    }
}

pub(super) async fn load(app: &App, headers: &HeaderMap) -> Result<Option<RequireSession>, ApiError> {
    let Some(token) = sent(app, headers) else { return Ok(None) };
    let reader = app.store.reader();
    let Some(session) = store::find_live(reader, &hash_of(&token), app.clock.now()).await? else {
        return Ok(None);
    };
    let Some(addon) = addons::store::find_addon(reader, session.addon).await? else { return Ok(None) };
    ensure_may_look(app, session.addon, session.user).await?;
    let csrf = hash_of(&SecretString::from(format!("applink dashboard form v1\n{}", token.expose_secret())));
    let hidden = Hidden { csrf, once: app.entropy.hex::<16>() };
    let through = apps_of(app, &session).await?;
    Ok(Some(RequireSession { session, addon, hidden, through, notice: notice_of(app, headers) }))
}

/// The apps through which the person may change the add-on. Where Heroku signed them on, it looked at their rights.
async fn apps_of(app: &App, session: &Session) -> Result<Option<Vec<AttachedApp>>, ApiError> {
    let attachments = addons::store::attachments_of(app.store.reader(), session.addon).await?;
    let mut attached: Vec<AttachedApp> = attachments.into_iter().map(|found| found.app).collect();
    attached.dedup_by_key(|attached| attached.id);
    let (Some(_), Some(user)) = (&app.config.platform, session.user) else { return Ok(Some(attached)) };
    let mut through = Vec::new();
    for candidate in attached {
        match platform::caller::ensure_may_work(app, user, candidate.id).await {
            Ok(()) => through.push(candidate),
            Err(error) if error.status() == http::StatusCode::FORBIDDEN => {}
            Err(error) => return Err(error),
        }
    }
    Ok((!through.is_empty()).then_some(through))
}

/// Where we are the platform too, a right that was taken away ends what the session may see.
pub(super) async fn ensure_may_look(app: &App, addon: AddonId, user: Option<Uuid>) -> Result<(), ApiError> {
    match (&app.config.platform, user) {
        (None, _) => Ok(()),
        (Some(_), Some(user)) => platform::caller::ensure_may_look(app, user, addon).await,
        (Some(_), None) => Err(ApiError::forbidden("This server's own Platform API did not sign you on.")),
    }
}

fn sent(app: &App, headers: &HeaderMap) -> Option<SecretString> {
    let name = name(app);
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let found = cookies.find(|cookie| cookie.name() == name && !cookie.value().is_empty())?;
    Some(SecretString::from(found.value()))
}
