//! Who may control the org: whoever holds the key, and no web page.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::guard::origin_is_ours;
use crate::state::OrgState;

const KEY_HEADER: &str = "x-sim-key";

pub(super) async fn check(State(state): State<OrgState>, request: Request, next: Next) -> Response {
    match refusal(&state, request.method(), request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(state: &OrgState, method: &Method, headers: &HeaderMap) -> Option<Problem> {
    if !origin_is_ours(headers, state.base_url()) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "Web pages of other sites can't control this org",
            "Call it from a program",
        ));
    }
    if !has_key(state, headers) {
        let detail =
            "Send the key that was printed or written down when the org started, as header X-Sim-Key";
        return Some(Problem::new(
            StatusCode::UNAUTHORIZED,
            "wrong_key",
            "The X-Sim-Key header is missing or wrong",
            detail,
        ));
    }
    let sends = *method != Method::GET && *method != Method::HEAD;
    let json = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(is_json);
    (sends && !json).then(|| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "The body must be application/json",
            "Send the header Content-Type: application/json",
        )
    })
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Compared in constant time.
fn has_key(state: &OrgState, headers: &HeaderMap) -> bool {
    let given = headers.get(KEY_HEADER).map(http::HeaderValue::as_bytes).unwrap_or_default();
    given.ct_eq(state.sim_key().expose_secret().as_bytes()).into()
}
