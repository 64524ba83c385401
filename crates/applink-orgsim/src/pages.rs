//! The pages people see: sign-in, consent, errors and the org's front page. Server-rendered, without scripts.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use url::Url;

use crate::failure::Failure;
use crate::state::OrgState;

const STYLE_SHEET: &str = include_str!("../templates/org.css");

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

/// The org's front page.
#[derive(Template)]
#[template(path = "status.html")]
pub(crate) struct StatusPage {
    pub(crate) org: String,
    pub(crate) kind: &'static str,
    pub(crate) org_id: String,
    pub(crate) base: String,
    pub(crate) api_version: String,
    pub(crate) signed_in: Option<String>,
    /// Whether users, services and deployments are shown.
    pub(crate) sees_setup: bool,
    pub(crate) users: Vec<UserLine>,
    pub(crate) services: Vec<ServiceLine>,
    pub(crate) deployments: Vec<(String, String)>,
    pub(crate) invocations: Vec<InvocationLine>,
}

/// A user on the front page.
pub(crate) struct UserLine {
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) profile: String,
    pub(crate) permission_sets: String,
}

/// A published service on the front page.
pub(crate) struct ServiceLine {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) operations: String,
}

/// An invocation on the front page.
pub(crate) struct InvocationLine {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) username: String,
    pub(crate) state: String,
    pub(crate) status: String,
}

/// Renders a page with the headers every page has. `callback` is where a form on it may lead in the end:
/// browsers apply `form-action` to the redirects that follow a form, too.
pub(crate) fn respond(
    status: StatusCode,
    page: &impl Template,
    callback: Option<&str>,
) -> Result<Response, Failure> {
    let html = page.render()?;
    let callback =
        callback.and_then(|callback| Url::parse(callback).ok()).map(|url| url.origin().ascii_serialization());
    let callback =
        callback.filter(|origin| origin != "null").map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{callback}"
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

/// `GET /assets/org.css`.
pub(crate) async fn style_sheet() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, STYLE_SHEET).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_name_is_escaped() {
        let page = ConsentPage {
            org: "Acme".into(),
            kind: "Sandbox",
            client: "<script>alert(1)</script>".into(),
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
            username: String::new(),
            problem: None,
        };
        let response = respond(StatusCode::OK, &page, Some("http://127.0.0.1:7700/oauth/callback")).unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("form-action 'self' http://127.0.0.1:7700"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}
