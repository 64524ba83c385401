//! Interim (1xx) responses of the app, passed to an HTTP/1.1 client ahead of the final one.
//!
//! 100 belongs to the connection between mesh and app and 101 is no interim response; both stay here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};

use crate::forward::hop_by_hop::strip_response;
use crate::respond::MARKER;

/// More than an app sends; what is over is dropped.
const QUEUED: usize = 8;

/// The interim responses to one request, encoded for the wire. Most requests have none, so it costs next to nothing
/// until there is one.
#[derive(Clone, Default)]
pub(crate) struct Interims(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    encoded: Vec<Bytes>,
    waiting: Option<Waker>,
}

impl Interims {
    /// Collects the interim responses to `request`.
    pub(crate) fn collect<B>(request: &mut Request<B>) -> Self {
        let interims = Self::default();
        let collected = interims.clone();
        hyper::ext::on_informational(request, move |interim| {
            if !matches!(interim.status(), StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
                collected.add(encode(interim.status(), interim.headers()));
            }
        });
        interims
    }

    /// Those that came since, or a wake-up when the next comes.
    pub(crate) fn poll_some(&self, cx: &Context<'_>) -> Poll<Vec<Bytes>> {
        let mut queue = self.lock();
        if queue.encoded.is_empty() {
            if !queue.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
                queue.waiting = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut queue.encoded))
    }

    fn add(&self, encoded: Bytes) {
        let mut queue = self.lock();
        if queue.encoded.len() < QUEUED {
            queue.encoded.push(encoded);
        }
        if let Some(waiting) = queue.waiting.take() {
            waiting.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
