//! What a person sees of an add-on in a browser, and changes there, after Heroku, or our stand-in for it, signed them on.
//!
//! 1. Heroku has the browser POST to `/sso/login` ([`login`]): digest right, at most five minutes old, and never seen
//!    before. Everybody else comes through a link ([`links`]), which the API gives to who has an API key or the add-on's
//!    token, and the stand-in to whom it knows: sixty seconds, one use, and a button in between, so that what only
//!    looks at links (a chat's preview) uses none up.
//! 2. Either makes a session ([`session`]): a random cookie, stored hashed, for eight hours, for one add-on. The session
//!    the browser had ends.
//! 3. Pages are looked at with [`session::RequireSession`], and change something with [`form::Posted`], which holds a
//!    [`RequireManager`](crate::web::auth::RequireManager): handlers call the very functions the API's handlers call.
//!
//! # How a page is made
//!
//! - Its template extends `dashboard/layout.html` and fills the blocks `title` and `main`; its struct has a field
//!   `shell: Shell`, from `found.shell(&app, Section::…)` (a new section is added to [`shell`]'s list, which is the
//!   navigation). The handler answers `shell.answer(load(…).await)`, or `shell.page(status, &template)`.
//! - A form is `method="post"` with `{{ shell.hidden() }}` in it, shown only `{% if shell.may_change() %}`. Its handler
//!   takes [`form::Posted`] last, reads `posted.fields.get("name")`, calls the API's function with `posted.manager`, and
//!   answers with [`shell::go_to`] (and a [`notice::Notice`]), or with its page again, filled in, with 422 and what is
//!   wrong. What is secret is in a field called `secret_…`, which is never shown again.
//! - `{{ Time }}` and `{{ Badge }}` of [`parts`] print themselves. Lists take a [`paging::Paging`] and import
//!   `dashboard/pages.html`.
//! - Live updates are an element with an id, `hx-get` of its own page, `hx-select` of that id, `hx-trigger="every 2s"`
//!   and `hx-swap="outerHTML"`, written only while something is pending.
//! - `<div class="copy"><pre>…</pre></div>` gets a copy button; `<input type="file" data-into="id">` reads a file into the
//!   field with that id. There is no inline script or style: the policy forbids both.

pub mod activity;
pub mod assets;
pub(crate) mod back;
pub mod credentials;
pub mod form;
pub mod health;
pub mod home;
pub mod links;
pub mod login;
pub mod notice;
pub mod paging;
pub mod parts;
pub mod publications;
pub mod session;
pub mod settings;
pub mod shell;
pub mod store;
pub mod targets;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::app::App;
use crate::error::{ApiError, ErrorCause, chain};
use crate::web::page::Page;

/// Where signing in with an OpenID provider begins.
#[cfg(feature = "oidc")]
const OPENID: &str = "/sso/openid";

/// The OpenID provider, for people, where there is one.
#[cfg(feature = "oidc")]
pub(crate) fn openid_provider(app: &App) -> Option<String> {
    app.openid.as_ref().map(|provider| provider.name().to_owned())
}

/// There is none in this build.
#[cfg(not(feature = "oidc"))]
pub(crate) fn openid_provider(_: &App) -> Option<String> {
    None
}

/// It didn't work, and why.
#[derive(Debug, Template)]
#[template(path = "dashboard/trouble.html")]
pub(crate) struct Trouble {
    title: &'static str,
    message: String,
    status: StatusCode,
    cause: Option<String>,
    /// The OpenID provider that may sign in again, with what leads there.
    again: Option<&'static str>,
    provider: Option<String>,
}

impl Trouble {
    pub(crate) fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self { title, message: message.into(), status, cause: None, again: None, provider: None }
    }

    /// Wrong, stale, used: which of them is in the log only.
    fn refused(why: impl ToString) -> Self {
        let message = "It is good for a few minutes and one use. Open the add-on again from where you came.";
        let mut trouble = Self::new(StatusCode::FORBIDDEN, "This sign-on doesn't count", message);
        trouble.cause = Some(why.to_string());
        trouble
    }

    /// A form of another site.
    fn foreign() -> Self {
        let message = "It comes from another site, or from a page that was not this server's.";
        Self::new(StatusCode::FORBIDDEN, "This form doesn't count", message)
    }

    /// No session.
    pub(crate) fn signed_out(app: &App) -> Self {
        let message =
            "Open the add-on from your app's resources, with `heroku addons:open`, or with `applink open`.";
        let mut trouble = Self::new(StatusCode::UNAUTHORIZED, "You are signed out", message);
        trouble.provider = openid_provider(app);
        trouble
    }

    /// The same, with what goes into the log.
    #[cfg(feature = "oidc")]
    pub(crate) fn caused_by(mut self, cause: Option<String>) -> Self {
        self.cause = cause;
        self
    }

    /// The same, with a link that begins anew.
    #[cfg(feature = "oidc")]
    pub(crate) fn or_sign_in_again(mut self) -> Self {
        self.again = Some(OPENID);
        self
    }

    /// Our own fault, or the database's.
    pub(crate) fn of(error: &ApiError) -> Self {
        let mut trouble = Self::new(error.status(), "Something went wrong", error.message());
        trouble.cause = std::error::Error::source(error).map(chain);
        trouble
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = Page::new(self.status, &self).into_response();
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(ErrorCause(cause.into()));
        }
        response
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let mut all = Trouble::new(StatusCode::NOT_FOUND, HOSTILE, evil());
        (all.again, all.provider) = (Some("/sso/openid"), Some(evil()));
        [all, Trouble::foreign()].map(|one| Sample::new("dashboard/trouble.html", one)).to_vec()
    }
}
