//! Posted forms. [`Posted`] is what a handler that changes something takes; in this order:
//!
//! 1. The form comes from a page of ours: `Origin`, and what browsers say in `Sec-Fetch-Site`, must not say otherwise.
//! 2. Somebody is signed in. If not, the answer holds what was typed, to be sent again after signing in.
//! 3. It has the session's token. If not (it is of an older session), the same.
//! 4. The person may change the add-on: as [`RequireManager`] of the API.
//! 5. It was not sent before: a second press of the button leads to the list, which shows what came of the first. One
//!    that was refused or failed, so that nothing was done, does not count as sent ([`settle`]).
//!
//! What a form asks for is done to its end, whether or not the browser stays to hear of it: sent once more, it either leads
//! to what came of it, or is done, when nothing did.

use std::fmt;
use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;

use super::notice::Notice;
use super::parts::Hidden;
use super::session::{self, RequireSession, Session};
use super::shell::{Section, Shell, go_to};
use super::{Trouble, openid_provider, store};
use crate::app::App;
use crate::db::StoreError;
use crate::error::{ApiError, chain};
use crate::limits::Who;
use crate::web::auth::{RequireManager, hash_of, same};
use crate::web::limits;
use crate::web::page::Page;

/// The field with the session's token.
pub(super) const CSRF: &str = "csrf";
/// The field that differs with every page.
pub(super) const ONCE: &str = "once";
/// Fields whose names begin so are never shown again.
const SECRET: &str = "secret_";

/// The fields of a form. White space around a value is of no meaning.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    fn read(body: &[u8]) -> Option<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
        let sound = pairs.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0'));
        sound.then_some(Self(pairs))
    }

    /// For tests that render a template.
    #[cfg(test)]
    pub(crate) fn sample(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A field; empty when it wasn't sent.
    pub fn get(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// A field that was filled in.
    pub fn given(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// A field whose name begins with `secret_`.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        debug_assert!(name.starts_with(SECRET), "{name} would be shown again");
        self.given(name).map(SecretString::from)
    }

    /// Whether a box is ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// What may be shown again.
    fn shown(&self) -> Vec<(String, String)> {
        let shown = |name: &str| name != CSRF && name != ONCE && !name.starts_with(SECRET);
        self.0.iter().filter(|(name, _)| shown(name)).cloned().collect()
    }
}

/// A form that counts, of somebody who may change the add-on.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Who is signed in.
    pub found: RequireSession,
    /// Who it is, for the functions the API calls too.
    pub manager: RequireManager,
    /// What was sent.
    pub fields: Fields,
}

impl Posted {
    /// Around the page that answers when it didn't work.
    pub fn shell(&self, app: &App, section: Section) -> Shell {
        self.found.shell(app, section)
    }
}

impl FromRequest<App> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (found, fields, sent) = signed(request, app).await?;
        match admit(app, &found, &sent).await {
            Ok(Some(manager)) => Ok(Self { found, manager, fields }),
            Ok(None) => Err(go_to(app, &list_of(&sent.path), Some(Notice::SentAlready))),
            Err(error) => Err(found.bare_shell(app).refused(&error)),
        }
    }
}

/// The same for what anybody who is signed in may do.
#[derive(Clone, Debug)]
pub struct SignedPost {
    pub(super) session: Session,
}

impl FromRequest<App> for SignedPost {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (found, ..) = signed(request, app).await?;
        Ok(Self { session: found.session })
    }
}

struct Sent {
    path: String,
    body: Bytes,
    extensions: http::Extensions,
}

/// Steps 1 to 3.
async fn signed(request: Request, app: &App) -> Result<(RequireSession, Fields, Sent), Response> {
    let (parts, body) = request.into_parts();
    if !is_from_us(&parts.headers, parts.uri.authority().map(http::uri::Authority::as_str)) {
        return Err(Trouble::foreign().into_response());
    }
    // The route's limit is among the extensions.
    let mut limited = Request::new(body);
    limited.extensions_mut().clone_from(&parts.extensions);
    let body = Bytes::from_request(limited, &()).await.map_err(|rejection| {
        let status = rejection.status();
        Trouble::new(status, "The form can't be read", "It is too large, or broke off.").into_response()
    })?;
    let Some(fields) = Fields::read(&body) else {
        let message = "It is not what our page sends.";
        return Err(Trouble::new(StatusCode::BAD_REQUEST, "The form can't be read", message).into_response());
    };
    let path = parts.uri.path().to_owned();
    let found = match session::load(app, &parts.headers).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Again::signed_out(app, &path, &fields)),
        Err(error) => return Err(Trouble::of(&error).into_response()),
    };
    if !same(fields.get(CSRF), &found.hidden.csrf) {
        return Err(Again::stale(&path, &fields, &found));
    }
    Ok((found, fields, Sent { path, body, extensions: parts.extensions }))
}

/// Steps 4 and 5; nobody when it was sent before.
async fn admit(app: &App, found: &RequireSession, sent: &Sent) -> Result<Option<RequireManager>, ApiError> {
    let manager = found.manager()?;
    limits::count(app, &sent.extensions, Who::Management(found.addon.id))?;
    let body = String::from_utf8_lossy(&sent.body);
    let said = ["form", &found.session.id.to_string(), &sent.path, &body].join("\n");
    let id = hash_of(&said.into());
    let tx = app.store.begin().await?;
    if !store::use_up(&*tx, id.clone(), found.session.expires_at).await? {
        return Ok(None);
    }
    tx.commit().await?;
    if let Some(Counted(counted)) = sent.extensions.get() {
        // Set once: a request holds one form.
        let _ = counted.set(id);
    }
    Ok(Some(manager))
}

/// The form that a request was counted as.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<OnceLock<String>>);

/// Around every page that takes forms. One that a browser sends and does not wait for is worked on to its end; one that is
/// answered with an error has done nothing, and may be sent again, byte for byte.
pub async fn settle(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let counted = Counted::default();
    request.extensions_mut().insert(counted.clone());
    let (known, as_what) = (app.clone(), counted.clone());
    let done = app.finish(async move {
        let response = next.run(request).await;
        if response.status().as_u16() >= 400 {
            may_come_again(&known, &as_what).await;
        }
        response
    });
    if let Some(response) = done.await {
        return response;
    }
    may_come_again(&app, &counted).await;
    Trouble::of(&ApiError::internal("the handler of a form panicked")).into_response()
}

async fn may_come_again(app: &App, counted: &Counted) {
    if let Some(id) = counted.0.get()
        && let Err(error) = forget(app, id).await
    {
        tracing::warn!(error = %chain(&error), "a form that was refused or failed counts as sent");
    }
}

async fn forget(app: &App, id: &str) -> Result<(), StoreError> {
    let tx = app.store.begin().await?;
    store::forget_use(&*tx, id).await?;
    tx.commit().await
}

/// `/dashboard/connections` of `/dashboard/connections/…`.
fn list_of(path: &str) -> String {
    path.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// Browsers say where a form comes from; what says nothing is no browser, or an old one, and needs the token all the same.
/// A page without referrers sends the origin `null`: then `Sec-Fetch-Site`, which no page can set, must say it is ours.
fn is_from_us(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST.as_str()).or(authority);
    let site = header("sec-fetch-site");
    let is_ours = match header(ORIGIN.as_str()) {
        None => true,
        Some("null") => site == Some("same-origin"),
        Some(origin) => origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host),
    };
    is_ours && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}

/// What was typed, to be sent again.
#[derive(Template)]
#[template(path = "dashboard/again.html")]
struct Again {
    title: &'static str,
    message: &'static str,
    action: String,
    fields: Vec<(String, String)>,
    hidden: Option<Hidden>,
    /// Who may sign in again, beside the other ways.
    provider: Option<String>,
    /// To what they are signed in now.
    addon: Option<String>,
}

impl Again {
    fn signed_out(app: &App, path: &str, fields: &Fields) -> Response {
        let again = Self {
            title: "You are signed out",
            message: "Nothing was changed. Sign in again in another tab (open the add-on from your app's resources, or with \
                      applink open), come back, and send what you typed. Keys and secrets are not kept.",
            action: path.to_owned(),
            fields: fields.shown(),
            hidden: None,
            provider: openid_provider(app),
            addon: None,
        };
        Page::new(StatusCode::UNAUTHORIZED, &again).into_response()
    }

    fn stale(path: &str, fields: &Fields, found: &RequireSession) -> Response {
        let again = Self {
            title: "This page is from an earlier sign-in",
            message: "Nothing was changed. Is this what you want to send? Keys and secrets are not kept.",
            action: path.to_owned(),
            fields: fields.shown(),
            hidden: Some(found.hidden.clone()),
            provider: None,
            addon: Some(found.addon.name.clone()),
        };
        Page::new(StatusCode::FORBIDDEN, &again).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_us(pairs: &[(&'static str, &str)]) -> bool {
        let pairs =
            pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        is_from_us(&pairs.collect(), None)
    }

    #[test]
    fn other_sites_are_told_from_ours() {
        let host = ("host", "applink.example");
        assert!(from_us(&[host]));
        assert!(from_us(&[host, ("origin", "https://applink.example"), ("sec-fetch-site", "same-origin")]));
        assert!(!from_us(&[host, ("origin", "https://evil.example")]));
        assert!(!from_us(&[host, ("origin", "null")]));
        assert!(!from_us(&[host, ("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(from_us(&[host, ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!from_us(&[host, ("sec-fetch-site", "same-site")]));
        assert!(!from_us(&[host, ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn secrets_are_not_shown_again() {
        let fields = Fields::read(b"csrf=1&once=2&name=+a+&secret_key=canary&empty=").unwrap();
        assert_eq!(
            fields.shown(),
            [("name".to_owned(), " a ".to_owned()), ("empty".to_owned(), String::new())]
        );
        assert_eq!((fields.get("name"), fields.given("empty")), ("a", None));
        assert!(!format!("{fields:?}").contains("canary"));
        assert!(Fields::read(b"a=%00").is_none());
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let hidden = Hidden { csrf: "csrf".to_owned(), once: "once".to_owned() };
        let short = ("short".to_owned(), "<b>".to_owned());
        let full = Again {
            title: HOSTILE,
            message: HOSTILE,
            action: evil(),
            fields: vec![(evil(), evil()), short],
            hidden: Some(hidden),
            provider: Some(evil()),
            addon: Some(evil()),
        };
        let empty = Again {
            title: "title",
            message: "message",
            action: "/dashboard/connections".to_owned(),
            fields: Vec::new(),
            hidden: None,
            provider: None,
            addon: None,
        };
        [full, empty].map(|one| Sample::new("dashboard/again.html", one)).to_vec()
    }
}
