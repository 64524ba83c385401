//! `/openapi.json`, and the same for people.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::web::page::HEADERS;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| super::document().to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| super::html(&super::document()));

/// This description, for programs.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "about",
    operation_id = "openapi_document",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
    security(())
)]
pub async fn document() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "max-age=300")];
    (StatusCode::OK, headers, DOCUMENT.as_str()).into_response()
}

/// This description, for people.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "about",
    operation_id = "openapi_page",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
    security(())
)]
pub async fn page() -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "text/html; charset=utf-8")], HEADERS, PAGE.as_str()).into_response()
}
