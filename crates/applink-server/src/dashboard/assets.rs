//! What the pages load besides themselves: embedded, under a path that changes with the content, so that a browser
//! keeps it for a year.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use secrecy::SecretString;

use crate::error::ApiError;
use crate::web::ApiPath;
use crate::web::auth::hash_of;

const STYLE: &str = include_str!("../../assets/dashboard/dashboard.css");
const SCRIPT: &str = include_str!("../../assets/dashboard/dashboard.js");
/// 0BSD; see `htmx.LICENSE` beside it.
const HTMX: &str = include_str!("../../assets/dashboard/htmx.min.js");

/// Changes with any of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = hash_of(&SecretString::from([STYLE, SCRIPT, HTMX].concat()));
    hash.truncate(12);
    hash
});

/// The path of an asset.
pub(super) fn path_of(file: &str) -> String {
    format!("/dashboard/assets/{}/{file}", *VERSION)
}

/// One of them, whatever version is asked for: during an upgrade a page of the former process asks for its own.
pub async fn show(ApiPath((version, file)): ApiPath<(String, String)>) -> Response {
    let (kind, text) = match file.as_str() {
        "dashboard.css" => ("text/css; charset=utf-8", STYLE),
        "dashboard.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "htmx.min.js" => ("text/javascript; charset=utf-8", HTMX),
        _ => return ApiError::not_found().into_response(),
    };
    let cache = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, cache), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, text).into_response()
}
