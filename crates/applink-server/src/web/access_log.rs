//! One line per request: what was asked, how it ended, how long it took, and the cause of an error. Paths may hold
//! one-time links, so the *route* is logged, never the path; queries, headers and bodies never are.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::request_id::RequestId;
use crate::error::ErrorCause;

/// Logs it.
pub async fn layer(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("(none)", MatchedPath::as_str);
    let status = response.status().as_u16();
    let millis = started.elapsed().as_millis();
    let cause = response.extensions().get::<ErrorCause>().map_or("", |cause| &*cause.0);
    if response.status().is_server_error() {
        tracing::error!(%method, route, status, %millis, request_id = %id, cause, "request failed");
    } else {
        tracing::info!(%method, route, status, %millis, request_id = %id, cause, "request");
    }
    response
}
