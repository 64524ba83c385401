//! One line per request: what was asked, how it ended, how long it took, and the cause of an error. Paths may hold
//! one-time links, so the *route* is logged, never the path; queries, headers and bodies never are.

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::Method;
use tokio::time::Instant;

use super::request_id::RequestId;
use crate::error::ErrorCause;

/// What is known of a request before it is answered.
pub(super) struct Line {
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
}

impl Line {
    /// Of a request that is about to be served.
    pub(super) fn begin(request: &Request, route: Option<MatchedPath>) -> Self {
        Self { started: Instant::now(), method: request.method().clone(), route }
    }

    /// Logs it.
    pub(super) fn end(self, response: &Response, id: &RequestId) {
        let Self { started, method, route } = self;
        let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
        let status = response.status().as_u16();
        let millis = started.elapsed().as_millis();
        let cause = response.extensions().get::<ErrorCause>().map_or("", |cause| &*cause.0);
        if response.status().is_server_error() {
            tracing::error!(%method, route, status, %millis, request_id = %id, cause, "request failed");
        } else {
            tracing::info!(%method, route, status, %millis, request_id = %id, cause, "request");
        }
    }
}
