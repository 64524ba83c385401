//! One id per request: taken from the caller when it is a reasonable one, else made, and always returned.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::HeaderValue;
use tracing::Instrument as _;

use applink_api::headers::{MESH_REQUEST_ID, REQUEST_ID};

use crate::app::App;

/// Longest id that is taken from a caller.
const LONGEST: usize = 128;

/// The id of this request, for handlers and the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Sets it, and a span with it around everything the request does, so that every line says which request it is of.
pub async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = accepted(request.headers()).unwrap_or_else(|| app.entropy.uuid().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.extensions_mut().insert(RequestId(id));
    response
}

/// `x-request-id`, or the mesh's `request_id`.
fn accepted(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(REQUEST_ID).or_else(|| headers.get(MESH_REQUEST_ID))?.to_str().ok()?;
    let plain = given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    ((1..=LONGEST).contains(&given.len()) && plain).then(|| given.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &'static str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        accepted(&headers)
    }

    #[test]
    fn reasonable_ids_are_kept_and_others_replaced() {
        assert_eq!(given(REQUEST_ID, "00DSB-4x:1").as_deref(), Some("00DSB-4x:1"));
        assert_eq!(given(MESH_REQUEST_ID, "r1").as_deref(), Some("r1"));
        for bad in ["", "a b", "é", &"x".repeat(129)] {
            assert_eq!(given(REQUEST_ID, bad), None, "{bad}");
        }
    }
}
