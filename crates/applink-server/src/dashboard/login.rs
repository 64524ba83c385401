//! Signing a browser in, and out.

use std::fmt;

use applink_api::ids::AddonId;
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
use uuid::Uuid;

use super::form::SignedPost;
use super::session;
use super::ticket::Ticket;
use super::{Trouble, store};
use crate::addons;
use crate::app::App;
use crate::error::ApiError;
use crate::web::ApiPath;
use crate::web::auth::hash_of;
use crate::web::auth::sso::{self, AHEAD, FRESH, Params};
use crate::web::page::{HEADERS, Page};

/// Somebody whose sign-on counts, if it was not used before.
struct Comer {
    addon: AddonId,
    person: String,
    user: Option<Uuid>,
    /// What stands for the sign-on.
    used: String,
    /// From when on it is refused for its age.
    expires_at: Timestamp,
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
            let comer = Comer {
                addon,
                person: person.name,
                user: person.proved,
                used: hash_of(&used.into()),
                expires_at: now.plus(FRESH + AHEAD),
            };
            enter(&app, &headers, comer).await
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
    let Some(ticket) = read(&app, &text) else {
        return Trouble::refused("the link is garbled or too old").into_response();
    };
    match addons::store::find_addon(app.store.reader(), ticket.addon).await {
        Ok(Some(addon)) => {
            let page = OpenPage { addon: addon.name, person: ticket.email, ticket: text };
            Page::new(StatusCode::OK, &page).into_response()
        }
        Ok(None) => Trouble::refused("the add-on is gone").into_response(),
        Err(error) => Trouble::of(&error.into()).into_response(),
    }
}

fn read(app: &App, text: &str) -> Option<Ticket> {
    Ticket::read(text, app.config.access.sso_salt.as_ref()?, app.clock.now())
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
    let Ok(Form(Opened { ticket: text })) = form else {
        return Trouble::refused("the form can't be read").into_response();
    };
    let Some(ticket) = read(&app, secrecy::ExposeSecret::expose_secret(&text)) else {
        return Trouble::refused("the link is garbled or too old").into_response();
    };
    let comer = Comer {
        addon: ticket.addon,
        person: ticket.email,
        user: Some(ticket.user),
        used: hash_of(&text),
        expires_at: ticket.expires_at,
    };
    enter(&app, &headers, comer).await
}

async fn enter(app: &App, headers: &HeaderMap, comer: Comer) -> Response {
    match begin(app, headers, comer).await {
        Ok(Some(cookie)) => redirect("/dashboard", &cookie),
        Ok(None) => Trouble::refused("it was used before").into_response(),
        Err(error) => Trouble::of(&error).into_response(),
    }
}

async fn begin(app: &App, headers: &HeaderMap, comer: Comer) -> Result<Option<Cookie<'static>>, ApiError> {
    session::ensure_may_look(app, comer.addon, comer.user).await?;
    let mut tx = app.store.begin().await?;
    if !store::use_up(&*tx, comer.used, comer.expires_at).await? {
        return Ok(None);
    }
    if addons::store::find_addon(&*tx, comer.addon).await?.is_none() {
        return Err(ApiError::not_found());
    }
    session::end_former(app, &tx, headers).await?;
    let cookie = session::begin(app, &mut tx, comer.addon, comer.person, comer.user).await?;
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
