//! The org's HTTP server: one router, and what every request passes through.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, ServiceExt};
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Layer;
use tower::util::MapRequestLayer;

use crate::failure::Failure;
use crate::state::OrgState;
use crate::{callbacks, control, data_cloud, guard, metadata, oauth, pages, rest};

pub(super) async fn serve(listener: TcpListener, state: OrgState, stop: CancellationToken) {
    let service = MapRequestLayer::new(with_plain_path).layer(router(state));
    let served = axum::serve(listener, ServiceExt::<Request>::into_make_service(service))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(error = &error as &dyn std::error::Error, "the org's server ended");
    }
}

fn router(state: OrgState) -> Router {
    Router::new()
        .route("/services/data/{version}/externalServices/callbacks/{handle}", post(callbacks::receive))
        .merge(pages::routes())
        .merge(oauth::routes())
        .merge(metadata::routes())
        .merge(rest::routes())
        .merge(data_cloud::routes())
        .nest("/_sim", control::routes(&state))
        .fallback(not_found)
        .layer(from_fn(log))
        .layer(from_fn_with_state(state.clone(), guard::check_host))
        .with_state(state)
}

/// Clients write doubled and trailing slashes; an org takes both.
fn with_plain_path(mut request: Request) -> Request {
    if let Some(uri) = plain_path(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn plain_path(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path == "/" || !(path.contains("//") || path.ends_with('/')) {
        return None;
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("/{}{query}", segments.join("/")).parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// One line per request: the route, never the path or query, which carry codes and handles.
async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, route, status = response.status().as_u16(), "answered");
    response
}

async fn not_found(State(state): State<OrgState>, uri: Uri) -> Result<Response, Failure> {
    if uri.path().starts_with("/services/") || uri.path().starts_with("/api/") {
        let body = json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]);
        return Ok((StatusCode::NOT_FOUND, Json(body)).into_response());
    }
    pages::error(&state, StatusCode::NOT_FOUND, "not_found", "There is no such page in this org.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_and_trailing_slashes_go() {
        let plain = |uri: &str| plain_path(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(plain("/services/data"), None);
        assert_eq!(plain("/"), None);
        assert_eq!(plain("//services//data/?q=a//b/"), Some("/services/data?q=a//b/".to_owned()));
        assert_eq!(plain("//"), Some("/".to_owned()));
    }
}
