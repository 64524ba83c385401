//! One id per request: taken from the caller when it is a reasonable one, else made, and always returned.

use std::fmt;

use applink_api::entropy::Entropy;
use applink_api::headers::{MESH_REQUEST_ID, REQUEST_ID};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use http::header::HeaderValue;

/// Longest id that is taken from a caller.
const LONGEST: usize = 128;

/// The id of this request, for handlers and the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(String);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RequestId {
    /// The caller's or a new one; handlers find it in the request.
    pub(super) fn of(request: &mut Request, entropy: &Entropy) -> Self {
        let id = Self(accepted(request.headers()).unwrap_or_else(|| entropy.uuid().to_string()));
        request.extensions_mut().insert(id.clone());
        id
    }

    /// Puts it into the answer.
    pub(super) fn tell(self, response: &mut Response) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.extensions_mut().insert(self);
    }
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
