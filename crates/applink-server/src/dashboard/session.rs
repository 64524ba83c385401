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

use super::links::Visitor;
use super::parts::Hidden;
use super::shell::{Section, Shell, notice_of};
use super::{Trouble, store};
use crate::addons::{self, Addon, AttachedApp};
use crate::api_keys;
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
    /// What it rests on.
    pub basis: Basis,
    /// Whether it may change things.
    pub may_change: bool,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What a session rests on: it can't do more, and ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Heroku's single sign-on, or that of our stand-in, which knows the person: then their rights are looked at with
    /// every request.
    SignOn(Option<Uuid>),
    /// An API key.
    Key(Uuid),
    /// The add-on's token, of an attachment.
    Attachment(Uuid),
    /// The word of an OpenID provider.
    OpenId,
}

impl Basis {
    /// As stored: the word, the id, and the person of our own stand-in.
    pub(super) fn columns(self) -> (&'static str, Option<Uuid>, Option<Uuid>) {
        match self {
            Self::SignOn(user) => ("sign_on", None, user),
            Self::Key(id) => ("api_key", Some(id), None),
            Self::Attachment(id) => ("attachment", Some(id), None),
            Self::OpenId => ("openid", None, None),
        }
    }

    /// From what is stored: the word, then the id and the person.
    pub(super) fn of_columns(word: &str, ids: (Option<Uuid>, Option<Uuid>)) -> Option<Self> {
        match (word, ids) {
            ("sign_on", (None, user)) => Some(Self::SignOn(user)),
            ("api_key", (Some(id), None)) => Some(Self::Key(id)),
            ("attachment", (Some(id), None)) => Some(Self::Attachment(id)),
            ("openid", (None, None)) => Some(Self::OpenId),
            _ => None,
        }
    }

    /// For the audit log. A name that nobody vouches for is a claim.
    fn kind(self) -> ActorKind {
        match self {
            Self::SignOn(None) => ActorKind::Claimed,
            Self::SignOn(Some(_)) | Self::OpenId => ActorKind::Person,
            Self::Key(_) => ActorKind::ApiKey,
            Self::Attachment(_) => ActorKind::App,
        }
    }
}

/// Makes a session in the transaction that used the sign-on up; its cookie.
pub(super) async fn begin(app: &App, tx: &mut Tx, visitor: Visitor) -> Result<Cookie<'static>, ApiError> {
    let now = app.clock.now();
    let token = app.entropy.url_token();
    let (id, expires_at) = (app.entropy.uuid(), now.plus(LIFETIME));
    let Visitor { addon, person, basis, may_change } = visitor;
    let session = Session { id, addon, person, basis, may_change, expires_at };
    store::insert(&**tx, &session, hash_of(&SecretString::from(token.as_str())), now).await?;
    tx.audit(Entry::new(&session.actor(), "session.begun", addon, session.id));
    Ok(cookie(app, name(app), token, LIFETIME))
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
    fn actor(&self) -> Actor {
        Actor::new(self.basis.kind(), self.person.clone())
    }
}

/// The cookie that takes a session's cookie away.
pub(super) fn no_cookie(app: &App) -> Cookie<'static> {
    cookie(app, name(app), String::new(), Duration::ZERO)
}

/// A cookie of somebody who signs in, for the whole of this server.
pub(crate) fn cookie(app: &App, name: &'static str, value: String, lifetime: Duration) -> Cookie<'static> {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or_default();
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .secure(app.urls.is_https())
        // The way here is a top-level navigation from Heroku's site, or an OpenID provider's.
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
    /// The person of our own Platform API whose rights were looked at.
    pub(super) person: Option<Uuid>,
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
            ApiError::forbidden(match self.session.basis {
                Basis::SignOn(_) => {
                    "You need the deploy or the operate permission on an app that this add-on is attached to."
                }
                Basis::Attachment(_) => {
                    "The add-on's token alone changes nothing: open the dashboard with an API key (APPLINK_API_KEY)."
                }
                Basis::Key(_) | Basis::OpenId => "You may look at this add-on, but change nothing.",
            })
        })?;
        let app = if through.len() == 1 { through.pop() } else { None };
        let (addon, actor) = (self.addon.clone(), self.session.actor());
        Ok(RequireManager { addon, app, actor, person: self.person })
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
            Ok(None) => Err(Trouble::signed_out(app).into_response()),
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
    if !still_stands(app, &session).await? {
        return Ok(None);
    }
    let person = ensure_may_look(app, session.addon, session.basis).await?;
    let csrf = hash_of(&SecretString::from(format!("applink dashboard form v1\n{}", token.expose_secret())));
    let hidden = Hidden { csrf, once: app.entropy.hex::<16>() };
    let through = apps_of(app, &session, person).await?;
    let notice = notice_of(app, headers);
    Ok(Some(RequireSession { session, addon, hidden, through, person, notice }))
}

/// Whether the credential that a link was made with still counts.
async fn still_stands(app: &App, session: &Session) -> Result<bool, ApiError> {
    let reader = app.store.reader();
    match session.basis {
        Basis::SignOn(_) | Basis::OpenId => Ok(true),
        Basis::Key(id) => Ok(api_keys::store::find(reader, id, app.clock.now()).await?.is_some()),
        Basis::Attachment(id) => {
            let attached = addons::store::attachments_of(reader, session.addon).await?;
            Ok(attached.iter().any(|attachment| attachment.id == id))
        }
    }
}

/// The apps through which the person may change the add-on. Where Heroku signed them on, it looked at their rights.
async fn apps_of(
    app: &App,
    session: &Session,
    person: Option<Uuid>,
) -> Result<Option<Vec<AttachedApp>>, ApiError> {
    if !session.may_change {
        return Ok(None);
    }
    let mut attachments = addons::store::attachments_of(app.store.reader(), session.addon).await?;
    if let Basis::Attachment(own) = session.basis {
        attachments.retain(|attachment| attachment.id == own);
    }
    let mut attached: Vec<AttachedApp> = attachments.into_iter().map(|found| found.app).collect();
    attached.dedup_by_key(|attached| attached.id);
    let Some(person) = person else { return Ok(Some(attached)) };
    let through = platform::caller::works_through(app.store.reader(), person, attached).await?;
    Ok((!through.is_empty()).then_some(through))
}

/// Where we are the platform too, a right that was taken away ends what the session may see, also one that a link with a
/// person's API key began. Who the person is, when their rights were looked at.
pub(super) async fn ensure_may_look(
    app: &App,
    addon: AddonId,
    basis: Basis,
) -> Result<Option<Uuid>, ApiError> {
    let person = match (&app.config.platform, basis) {
        (Some(_), Basis::SignOn(Some(user))) => Some(user),
        (Some(_), Basis::SignOn(None)) => {
            let message = "This server's own Platform API did not sign you on.";
            return Err(ApiError::forbidden(message));
        }
        (_, Basis::Key(id)) => {
            let key = api_keys::store::find(app.store.reader(), id, app.clock.now()).await?;
            key.and_then(|key| key.person)
        }
        (None, Basis::SignOn(_)) | (_, Basis::Attachment(_) | Basis::OpenId) => None,
    };
    if let Some(person) = person {
        platform::caller::ensure_may_look(app, person, addon).await?;
    }
    Ok(person)
}

fn sent(app: &App, headers: &HeaderMap) -> Option<SecretString> {
    let name = name(app);
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let found = cookies.find(|cookie| cookie.name() == name && !cookie.value().is_empty())?;
    Some(SecretString::from(found.value()))
}
