//! What a person sees of an add-on in a browser, after Heroku, or our stand-in for it, signed them on.
//!
//! 1. Heroku has the browser POST to `/sso/login` ([`login`]): digest right, at most five minutes old, and never seen
//!    before. The stand-in gives out links of its own ([`ticket`]): sixty seconds, one use, and a button in between, so
//!    that what only looks at links (a chat's preview) uses none up.
//! 2. Either makes a session ([`session`]): a random cookie, stored hashed, for eight hours, for one add-on.
//! 3. `/dashboard` ([`home`]) lists connections and authorizations. It changes nothing.

pub mod home;
pub mod login;
pub mod session;
pub mod store;
pub(crate) mod ticket;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::error::{ApiError, ErrorCause, chain};
use crate::web::page::Page;

/// It didn't work, and why.
#[derive(Debug, Template)]
#[template(path = "dashboard/trouble.html")]
pub(crate) struct Trouble {
    title: &'static str,
    message: String,
    status: StatusCode,
    cause: Option<String>,
}

impl Trouble {
    fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self { title, message: message.into(), status, cause: None }
    }

    /// Wrong, stale, used: which of them is in the log only.
    fn refused(why: impl ToString) -> Self {
        let message = "It is good for a few minutes and one use. Open the add-on again from where you came.";
        let mut trouble = Self::new(StatusCode::FORBIDDEN, "This sign-on doesn't count", message);
        trouble.cause = Some(why.to_string());
        trouble
    }

    /// No session.
    pub(crate) fn signed_out() -> Self {
        let message = "Open the add-on from your app's resources, or with `heroku addons:open`.";
        Self::new(StatusCode::UNAUTHORIZED, "You are signed out", message)
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
