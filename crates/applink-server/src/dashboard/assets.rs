//! What the pages load besides themselves: embedded, under a path that changes with the content, so that a browser
//! keeps it for a year. They are sent compressed. Pages are not: they hold what was searched for beside the session's
//! token, and the size of the two, compressed together, would tell one from the other.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
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

static COMPRESSED: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| [STYLE, SCRIPT, HTMX].map(compressed));

/// Empty when it can't be compressed, which memory never refuses.
fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes());
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// `gzip` among what the browser takes, and not with weight 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=").parse().unwrap_or(1.0_f32);
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

/// The path of an asset.
pub(super) fn path_of(file: &str) -> String {
    format!("/dashboard/assets/{}/{file}", *VERSION)
}

/// One of them, whatever version is asked for: during an upgrade a page of the former process asks for its own.
pub async fn show(ApiPath((version, file)): ApiPath<(String, String)>, headers: HeaderMap) -> Response {
    let [style, script, htmx] = &*COMPRESSED;
    let (kind, text, compressed) = match file.as_str() {
        "dashboard.css" => ("text/css; charset=utf-8", STYLE, style),
        "dashboard.js" => ("text/javascript; charset=utf-8", SCRIPT, script),
        "htmx.min.js" => ("text/javascript; charset=utf-8", HTMX, htmx),
        _ => return ApiError::not_found().into_response(),
    };
    let cache = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    let kind = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static(cache)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if compressed.is_empty() || !takes_gzip(&headers) {
        return (kind, text).into_response();
    }
    (kind, [(CONTENT_ENCODING, "gzip")], compressed.as_slice()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_takes_it_gets_it_compressed() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, GZIP;q=0.5"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("") && !takes_gzip(&HeaderMap::new()));
        assert!(compressed(HTMX).len() * 2 < HTMX.len());
    }
}
