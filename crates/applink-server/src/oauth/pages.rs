//! The three pages a browser may see of us on the way.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::store;
use crate::credentials::{Credential, Kind};
use crate::error::{ApiError, ErrorCause, chain};
use crate::web::page::Page;

/// It worked.
#[derive(Debug, Template)]
#[template(path = "oauth/connected.html")]
pub(super) struct Connected {
    name: String,
    word: &'static str,
    org_id: String,
    username: String,
    /// How many grants the user has for our client, when they are many.
    many_grants: Option<u64>,
}

impl Connected {
    pub(super) fn new(credential: &Credential, many_grants: Option<u64>) -> Self {
        let org = credential.live();
        Self {
            name: credential.name.clone(),
            word: match credential.kind {
                Kind::Connection => "connected",
                Kind::Authorization => "authorized",
            },
            org_id: org.map(|org| org.org_id.clone()).unwrap_or_default(),
            username: org.map(|org| org.username.clone()).unwrap_or_default(),
            many_grants,
        }
    }
}

/// On an answer: it went well, and there is nothing else on the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllWell;

impl IntoResponse for Connected {
    fn into_response(self) -> Response {
        let mut response = Page::new(StatusCode::OK, &self).into_response();
        if self.many_grants.is_none() {
            response.extensions_mut().insert(AllWell);
        }
        response
    }
}

/// What is about to be connected, with a button.
#[derive(Template)]
#[template(path = "oauth/confirm.html")]
pub(super) struct ConfirmPage {
    addon: String,
    app: String,
    kind: &'static str,
    name: String,
    started_by: String,
    is_verified: bool,
    login: String,
    ticket: String,
}

impl ConfirmPage {
    pub(super) fn new(addon: &str, credential: &Credential, flow: &store::Model, ticket: String) -> Self {
        Self {
            addon: addon.to_owned(),
            app: flow.app_name.clone().unwrap_or_else(|| "(none)".to_owned()),
            kind: match credential.kind {
                Kind::Connection => "Connection",
                Kind::Authorization => "Authorization",
            },
            name: credential.name.clone(),
            started_by: flow.started_by.clone(),
            is_verified: flow.started_by_verified,
            login: flow.login_origin.clone(),
            ticket,
        }
    }
}

impl IntoResponse for ConfirmPage {
    fn into_response(self) -> Response {
        Page::new(StatusCode::OK, &self).into_response()
    }
}

/// It didn't work, and why.
#[derive(Debug, Template)]
#[template(path = "oauth/trouble.html")]
pub(super) struct Trouble {
    title: &'static str,
    message: String,
    status: StatusCode,
    cause: Option<String>,
}

impl Trouble {
    fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self { title, message: message.into(), status, cause: None }
    }

    /// Unknown, used or expired: which of them is nobody's business.
    pub(super) fn link_used() -> Self {
        Self::new(
            StatusCode::GONE,
            "This link works only once",
            "It was opened before, or its time is up. Run the command again to get a new one.",
        )
    }

    pub(super) fn unknown_state() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "This log-in can't be continued here",
            "It was finished already, took too long, or was started in another browser. Run the command again and open its link in this browser.",
        )
    }

    pub(super) fn not_from_an_org() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "An org sends browsers here",
            "This page was opened without what an org adds to it. Run the command again.",
        )
    }

    pub(super) fn removed_meanwhile() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "It was changed meanwhile",
            "What you logged in for was removed or replaced in the meantime. Run the command again if you still need it.",
        )
    }

    pub(super) fn failed(message: String) -> Self {
        Self::new(StatusCode::OK, "The org was not connected", message)
    }

    pub(super) fn of(error: ApiError) -> Self {
        let cause = std::error::Error::source(&error).map(chain);
        let mut trouble = Self::new(error.status(), "Something went wrong", error.message());
        trouble.cause = cause;
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
        let connected = [None, Some(4)].map(|many_grants| {
            let (name, org_id, username) = (evil(), evil(), evil());
            let page = Connected { name, word: "connected", org_id, username, many_grants };
            Sample::new("oauth/connected.html", page)
        });
        let confirm = [true, false].map(|is_verified| {
            let page = ConfirmPage {
                addon: evil(),
                app: evil(),
                kind: "Connection",
                name: evil(),
                started_by: evil(),
                is_verified,
                login: evil(),
                ticket: evil(),
            };
            Sample::new("oauth/confirm.html", page)
        });
        let trouble = Sample::new("oauth/trouble.html", Trouble::new(StatusCode::OK, HOSTILE, evil()));
        connected.into_iter().chain(confirm).chain([trouble]).collect()
    }
}
