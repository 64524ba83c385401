//! Small pages for people's browsers: no script, no third party, nothing framed or cached.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Styles are inline in the one layout; forms go to ourselves only.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A rendered page with its status.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    html: Result<String, askama::Error>,
}

impl Page {
    /// Renders a template.
    pub fn new(status: StatusCode, template: &impl askama::Template) -> Self {
        Self { status, html: template.render() }
    }
}

/// What every page is sent with. The page after a log-in has secrets in its URL: no referrer leaves it.
pub const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let html = match self.html {
            Ok(html) => html,
            Err(error) => return crate::error::ApiError::internal(error).into_response(),
        };
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
        (self.status, content_type, HEADERS, html).into_response()
    }
}
