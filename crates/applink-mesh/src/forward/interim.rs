//! Interim (1xx) responses of the app, passed to an HTTP/1.1 client ahead of the final one.
//!
//! 100 belongs to the connection between mesh and app and 101 is no interim response; both stay here.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};

use crate::connection::ConnectionState;
use crate::forward::hop_by_hop::strip_response;
use crate::respond::MARKER;

/// Passes the interim responses to `request` on to the client of `connection`. The connection to the app is polled by the
/// request's own future, and so this is called where [`ConnectionState::send_interim`] may be.
pub(crate) fn pass_on<B>(request: &mut Request<B>, connection: &Arc<ConnectionState>) {
    let connection = Arc::clone(connection);
    hyper::ext::on_informational(request, move |interim| {
        if !matches!(interim.status(), StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
            connection.send_interim(&encode(interim.status(), interim.headers()));
        }
    });
}

fn encode(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let mut headers = headers.clone();
    strip_response(&mut headers);
    headers.remove(MARKER);
    let mut encoded = BytesMut::with_capacity(256);
    encoded.put_slice(b"HTTP/1.1 ");
    encoded.put_slice(status.as_str().as_bytes());
    encoded.put_slice(b" ");
    encoded.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    encoded.put_slice(b"\r\n");
    for (name, value) in &headers {
        encoded.put_slice(name.as_str().as_bytes());
        encoded.put_slice(b": ");
        encoded.put_slice(value.as_bytes());
        encoded.put_slice(b"\r\n");
    }
    encoded.put_slice(b"\r\n");
    encoded.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn early_hints_are_encoded_without_connection_headers() {
        let mut headers = HeaderMap::new();
        headers.append("link", HeaderValue::from_static("</a.css>"));
        headers.append("link", HeaderValue::from_static("</b.css>"));
        headers.append("keep-alive", HeaderValue::from_static("x"));
        let encoded = encode(StatusCode::EARLY_HINTS, &headers);
        assert_eq!(encoded, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nlink: </b.css>\r\n\r\n");
    }
}
