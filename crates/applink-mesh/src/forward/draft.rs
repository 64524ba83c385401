//! A request that may be sent a second time, written down: hyper lets go of it while it writes it.
//!
//! It is bytes in a buffer that stays with the connection, because nearly every request is written down and hardly any is
//! sent twice. A copy of the headers would be allocated for each.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper::body::Body as _;

use crate::forward::body::AppBody;

/// A larger buffer is not kept.
const KEPT: usize = 8 * 1024;

/// What a request says, apart from its method a line each: its target, then its headers.
#[derive(Default)]
pub(crate) struct Draft {
    method: Option<Method>,
    lines: Vec<u8>,
}

impl Draft {
    /// Writes down a request that changes no more when it arrives twice (RFC 9110 §9.2.2), and that is nothing but its head.
    pub(crate) fn write(&mut self, request: &Request<AppBody>) {
        self.forget();
        if !request.method().is_idempotent() || !request.body().is_end_stream() {
            return;
        }
        let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        self.lines.extend_from_slice(target.as_bytes());
        for (name, value) in request.headers() {
            // Neither can hold what stands around it here.
            self.lines.push(b'\n');
            self.lines.extend_from_slice(name.as_str().as_bytes());
            self.lines.push(b':');
            self.lines.extend_from_slice(value.as_bytes());
        }
        self.method = Some(request.method().clone());
    }

    pub(crate) fn forget(&mut self) {
        self.method = None;
        self.lines.clear();
        self.lines.shrink_to(KEPT);
    }

    /// The request that was written down, if there is one.
    pub(crate) fn read(&self) -> Option<Request<AppBody>> {
        let mut lines = self.lines.split(|byte| *byte == b'\n');
        let mut request = Request::new(AppBody::Held(Full::new(Bytes::new())));
        *request.method_mut() = self.method.clone()?;
        *request.uri_mut() = Uri::from(PathAndQuery::try_from(lines.next()?).ok()?);
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let value = HeaderValue::from_bytes(value.get(1..)?).ok()?;
            request.headers_mut().append(HeaderName::from_bytes(name).ok()?, value);
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, body: &'static str) -> Request<AppBody> {
        Request::builder()
            .method(method)
            .uri("/a?b=%0A:c")
            .header("x-one", "1: a, b")
            .header("x-two", HeaderValue::from_bytes(b"\xe9\t").unwrap())
            .header("x-one", "")
            .body(AppBody::Held(Full::from(body)))
            .unwrap()
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let mut draft = Draft::default();
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let written = request(method, "");
            draft.write(&written);
            let read = draft.read().unwrap();
            assert_eq!((read.method(), read.uri()), (written.method(), written.uri()));
            assert_eq!(read.headers(), written.headers());
            assert!(read.body().is_end_stream());
        }
    }

    #[test]
    fn what_could_do_harm_twice_or_has_a_body_is_not_written_down() {
        let mut draft = Draft::default();
        draft.write(&request(Method::GET, ""));
        for (method, body) in
            [(Method::POST, ""), (Method::PATCH, ""), (Method::PUT, "x"), (Method::GET, "x")]
        {
            draft.write(&request(method, body));
            assert!(draft.read().is_none() && draft.lines.is_empty());
        }
    }

    #[test]
    fn a_large_one_is_forgotten_with_its_buffer() {
        let mut draft = Draft::default();
        let mut large = request(Method::GET, "");
        large.headers_mut().insert("cookie", HeaderValue::try_from("x".repeat(4 * KEPT)).unwrap());
        draft.write(&large);
        assert_eq!(draft.read().unwrap().headers(), large.headers());
        draft.forget();
        assert!(draft.read().is_none() && draft.lines.capacity() < 2 * KEPT);
    }
}
