//! The pages people see. Server-rendered; signing in and consent are without scripts, the others work without.
//!
//! - Signing in, consent and errors are [`LoginPage`], [`ConsentPage`], [`error()`].
//! - Everything behind the log-in stands in a [`frame`]; [`visit`] says who may see it and takes its forms.
//! - Below `/setup` is what an admin has under Setup, one file per noun; `/records` browses data with the rights of who
//!   looks, `/invoke` calls published apps ([`invoke`]), `/arrivals` shows what comes back ([`arrivals`]).

mod arrivals;
mod client_apps;
mod credentials;
mod deployments;
mod frame;
mod home;
mod invoke;
mod lists;
mod logins;
mod objects;
mod people;
mod permission_sets;
#[cfg(test)]
mod samples;
mod services;
mod visit;

pub(crate) use frame::known as known_page;

use askama::Template;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use url::Url;

use crate::failure::Failure;
use crate::state::OrgState;

const STYLE_SHEET: &str = include_str!("../templates/org.css");
const SCRIPT: &str = include_str!("../templates/org.js");

/// Every page but those of signing in.
pub(crate) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/", get(home::show))
        .route("/assets/org.css", get(style_sheet))
        .route("/assets/org.js", get(script))
        .merge(home::routes())
        .merge(services::routes())
        .merge(credentials::routes())
        .merge(people::routes())
        .merge(permission_sets::routes())
        .merge(client_apps::routes())
        .merge(deployments::routes())
        .merge(logins::routes())
        .merge(objects::routes())
        .merge(invoke::routes())
        .merge(arrivals::routes())
}

/// The sign-in form.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    pub(crate) org: String,
    pub(crate) kind: &'static str,
    /// The app that waits for the sign-in, when one does.
    pub(crate) client: Option<String>,
    /// The handle of the authorization request; empty when there is none.
    pub(crate) request: String,
    /// The page that asked for the log-in; empty when none did.
    pub(crate) next: &'static str,
    pub(crate) username: String,
    pub(crate) problem: Option<String>,
}

/// The consent form.
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage {
    pub(crate) org: String,
    pub(crate) kind: &'static str,
    pub(crate) client: String,
    /// What stands for the client's picture.
    pub(crate) initial: char,
    pub(crate) username: String,
    pub(crate) user_name: String,
    /// Wire name and meaning of each requested scope.
    pub(crate) scopes: Vec<(&'static str, &'static str)>,
    pub(crate) request: String,
    pub(crate) confirmation: String,
    /// Where the answer goes.
    pub(crate) callback_host: String,
}

/// A refusal a person sees.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    org: &'a str,
    kind: &'static str,
    error: &'a str,
    description: &'a str,
}

/// Renders a page with the headers every page has. `callback` is where a form on it may lead in the end:
/// browsers apply `form-action` to the redirects that follow a form, too.
pub(crate) fn respond(
    status: StatusCode,
    page: &impl Template,
    callback: Option<&str>,
) -> Result<Response, Failure> {
    let callback =
        callback.and_then(|callback| Url::parse(callback).ok()).map(|url| url.origin().ascii_serialization());
    let callback =
        callback.filter(|origin| origin != "null").map(|origin| format!(" {origin}")).unwrap_or_default();
    respond_under(status, page, "", &callback)
}

/// A page in a [`frame`]: its own script may run, and ask this org for what is new.
fn respond_framed(status: StatusCode, page: &impl Template) -> Result<Response, Failure> {
    respond_under(status, page, " script-src 'self'; connect-src 'self';", "")
}

fn respond_under(
    status: StatusCode,
    page: &impl Template,
    scripts: &str,
    form_targets: &str,
) -> Result<Response, Failure> {
    let html = page.render()?;
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:;{scripts} base-uri 'none'; frame-ancestors 'none'; form-action 'self'{form_targets}"
    );
    let policy = HeaderValue::from_str(&policy)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    let headers: [(HeaderName, HeaderValue); 6] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Not `no-referrer`: with it browsers post our own forms with `Origin: null`.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((status, headers, html).into_response())
}

/// An error page.
pub(crate) fn error(
    state: &OrgState,
    status: StatusCode,
    error: &str,
    description: &str,
) -> Result<Response, Failure> {
    let identity = state.identity();
    respond(status, &ErrorPage { org: &identity.name, kind: identity.kind.label(), error, description }, None)
}

/// The answer to an address below a known page that leads to nothing.
fn nothing_here(state: &OrgState) -> Result<Response, Failure> {
    error(
        state,
        StatusCode::NOT_FOUND,
        "not_found",
        "There is no such page in this org, or what it showed is gone.",
    )
}

/// `GET /assets/org.css`.
async fn style_sheet() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, STYLE_SHEET).into_response()
}

/// `GET /assets/org.js`.
async fn script() -> Response {
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, SCRIPT).into_response()
}

#[cfg(test)]
mod tests {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::samples::evil;
    use super::*;

    /// Of the pages of this file.
    pub(super) fn samples() -> Vec<Sample> {
        let login = |client: Option<String>, problem: Option<String>| LoginPage {
            org: evil(),
            kind: HOSTILE,
            client,
            request: evil(),
            next: HOSTILE,
            username: evil(),
            problem,
        };
        let consent = ConsentPage {
            org: evil(),
            kind: HOSTILE,
            client: evil(),
            initial: '<',
            username: evil(),
            user_name: evil(),
            scopes: vec![(HOSTILE, HOSTILE)],
            request: evil(),
            confirmation: evil(),
            callback_host: evil(),
        };
        let error = ErrorPage { org: HOSTILE, kind: HOSTILE, error: HOSTILE, description: HOSTILE };
        vec![
            Sample::new("login.html", login(Some(evil()), Some(evil()))),
            Sample::new("login.html", login(None, None)),
            Sample::new("consent.html", consent),
            Sample::new("error.html", error),
        ]
    }

    #[test]
    fn what_strangers_name_is_escaped() {
        let page = ConsentPage {
            org: "Acme".into(),
            kind: "Sandbox",
            client: "<script>alert(1)</script>".into(),
            initial: '<',
            username: "a@b\"c".into(),
            user_name: "A".into(),
            scopes: vec![("api", "Read and change data")],
            request: "r\"><x".into(),
            confirmation: "c".into(),
            callback_host: "127.0.0.1".into(),
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("\"><x"), "{html}");
        assert!(html.contains("Read and change data"));
    }

    #[test]
    fn a_form_may_lead_to_the_callback_and_nowhere_else() {
        let page = LoginPage {
            org: "Acme".into(),
            kind: "Production",
            client: None,
            request: String::new(),
            next: "",
            username: String::new(),
            problem: None,
        };
        let response = respond(StatusCode::OK, &page, Some("http://127.0.0.1:7700/oauth/callback")).unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("form-action 'self' http://127.0.0.1:7700"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}
