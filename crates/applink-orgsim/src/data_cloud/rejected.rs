//! What is refused before a handler runs (a method a path does not take, a body over the limit, a query that can't be
//! read), in the form of whoever was asked: the tenant's, the org's, `/_sim`'s.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

/// As much of a reason as is read.
const LONGEST_REASON: usize = 4 * 1024;

/// A refusal of this status and sentence.
type Form = fn(StatusCode, String) -> Response;

pub(super) async fn in_form(response: Response, form: Form) -> Response {
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !response.status().is_client_error() || response.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    let (head, body) = response.into_parts();
    let sentence = match head.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            "This path does not take this method; the header Allow names those it takes".to_owned()
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            "The body is too large; send fewer rows at once, or use a bulk job".to_owned()
        }
        _ => {
            let reason = axum::body::to_bytes(body, LONGEST_REASON).await.unwrap_or_default();
            String::from_utf8_lossy(&reason).into_owned()
        }
    };
    form(head.status, sentence)
}
