//! Signing a browser in, and out.

use std::fmt;

use applink_api::time::Timestamp;
use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Response};
use cookie::Cookie;
use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;

use super::form::SignedPost;
use super::links::{self, Visitor};
use super::session::{self, Basis};
use super::{Trouble, store};
use crate::addons;
use crate::app::App;
use crate::db::StoreError;
use crate::error::ApiError;
use crate::web::ApiPath;
use crate::web::auth::hash_of;
use crate::web::auth::sso::{self, AHEAD, FRESH, Params};
use crate::web::page::{HEADERS, Page};

/// What counts once.
pub(crate) enum Once {
    /// What stands for a sign-on, and from when on it is refused for its age.
    SignOn(String, Timestamp),
    /// The hash of a link.
    Link(String),
}

/// The form that Heroku has a browser send.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct SignOn(Params);

impl fmt::Debug for SignOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignOn")
    }
}

/// Where Heroku sends a browser to sign it in.
///
/// The form is Heroku's; its digest works once.
#[utoipa::path(
    post,
    path = "/sso/login",
    tag = "browser",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Signed in"), (status = 403, description = "Not, and why", body = String, content_type = "text/html")),
    security(())
)]
pub async fn sso_login(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<SignOn>, FormRejection>,
) -> Response {
    let Ok(Form(SignOn(params))) = form else {
        return Trouble::refused("the form can't be read").into_response();
    };
    let Some(salt) = &app.config.access.sso_salt else {
        return Trouble::refused("this server has no APPLINK_SSO_SALT").into_response();
    };
    let (Some(addon), Some(used)) = (params.addon(), params.digest()) else {
        return Trouble::refused("the form has no resource or no digest").into_response();
    };
    let now = app.clock.now();
    match sso::verify_params(params, salt, Some(now)) {
        Ok(person) => {
            let basis = Basis::SignOn(person.proved);
            let visitor = Visitor { addon, person: person.name, basis, may_change: true };
            let once = Once::SignOn(hash_of(&used.into()), now.plus(FRESH + AHEAD));
            enter(&app, &headers, visitor, once).await
        }
        Err(why) => Trouble::refused(why).into_response(),
    }
}

/// The page with the button.
#[derive(Template)]
#[template(path = "dashboard/open.html")]
struct OpenPage {
    addon: String,
    person: String,
    may_change: bool,
    ticket: String,
}

/// A sign-in link; opening it uses nothing up.
#[utoipa::path(
    get,
    path = "/sso/open/{ticket}",
    tag = "browser",
    operation_id = "show_sign_in_link",
    responses((status = 200, description = "A page with a button", body = String, content_type = "text/html"), (status = 403, description = "Too old", body = String, content_type = "text/html")),
    security(())
)]
pub async fn show_link(State(app): State<App>, ApiPath(text): ApiPath<String>) -> Response {
    let found = async {
        let hash = hash_of(&SecretString::from(text.as_str()));
        let Some(visitor) = links::store::find(app.store.reader(), &hash, app.clock.now()).await? else {
            return Ok(None);
        };
        let addon = addons::store::find_addon(app.store.reader(), visitor.addon).await?;
        Ok::<_, StoreError>(addon.map(|addon| (addon.name, visitor)))
    };
    match found.await {
        Ok(Some((addon, visitor))) => {
            let page =
                OpenPage { addon, person: visitor.person, may_change: visitor.may_change, ticket: text };
            Page::new(StatusCode::OK, &page).into_response()
        }
        Ok(None) => Trouble::refused("the link is garbled, used or too old").into_response(),
        Err(error) => Trouble::of(&error.into()).into_response(),
    }
}

/// The form of that page.
#[derive(Debug, Deserialize)]
pub struct Opened {
    #[serde(with = "applink_api::secret::wire")]
    ticket: SecretString,
}

/// Uses a sign-in link up.
#[utoipa::path(
    post,
    path = "/sso/open",
    tag = "browser",
    operation_id = "use_sign_in_link",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Signed in"), (status = 403, description = "Not, and why", body = String, content_type = "text/html")),
    security(())
)]
pub async fn use_link(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<Opened>, FormRejection>,
) -> Response {
    let Ok(Form(Opened { ticket })) = form else {
        return Trouble::refused("the form can't be read").into_response();
    };
    let hash = hash_of(&ticket);
    match links::store::find(app.store.reader(), &hash, app.clock.now()).await {
        Ok(Some(visitor)) => enter(&app, &headers, visitor, Once::Link(hash)).await,
        Ok(None) => Trouble::refused("the link is garbled, used or too old").into_response(),
        Err(error) => Trouble::of(&error.into()).into_response(),
    }
}

pub(crate) async fn enter(app: &App, headers: &HeaderMap, visitor: Visitor, once: Once) -> Response {
    match begin(app, headers, visitor, once).await {
        Ok(Some(cookie)) => redirect("/dashboard", &cookie),
        Ok(None) => Trouble::refused("it was used before").into_response(),
        Err(error) => Trouble::of(&error).into_response(),
    }
}

async fn begin(
    app: &App,
    headers: &HeaderMap,
    visitor: Visitor,
    once: Once,
) -> Result<Option<Cookie<'static>>, ApiError> {
    session::ensure_may_look(app, visitor.addon, visitor.basis).await?;
    let mut tx = app.store.begin().await?;
    let is_first = match once {
        Once::SignOn(id, expires_at) => store::use_up(&*tx, id, expires_at).await?,
        Once::Link(hash) => links::store::use_up(&*tx, &hash).await?,
    };
    if !is_first {
        return Ok(None);
    }
    if addons::store::find_addon(&*tx, visitor.addon).await?.is_none() {
        return Err(ApiError::not_found());
    }
    session::end_former(app, &tx, headers).await?;
    let cookie = session::begin(app, &mut tx, visitor).await?;
    tx.commit().await?;
    Ok(Some(cookie))
}

/// Signs this browser out.
#[utoipa::path(
    post,
    path = "/dashboard/sign-out",
    tag = "browser",
    responses((status = 303, description = "Signed out")),
    security(())
)]
pub async fn sign_out(State(app): State<App>, found: SignedPost) -> Response {
    let ended = async {
        let tx = app.store.begin().await?;
        store::delete(&*tx, found.session.id).await?;
        tx.commit().await
    };
    match ended.await {
        Ok(()) => redirect("/dashboard", &session::no_cookie(&app)),
        Err(error) => Trouble::of(&error.into()).into_response(),
    }
}

fn redirect(location: &'static str, cookie: &Cookie<'_>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, HEADERS).into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    if let Ok(cookie) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let page = |may_change| {
            let page = OpenPage { addon: evil(), person: evil(), may_change, ticket: evil() };
            Sample::new("dashboard/open.html", page)
        };
        vec![page(true), page(false)]
    }
}
