//! Phase *receive*: what must hold of every request before anything is decided about it.

use applink_api::entropy::Entropy;
use applink_api::headers;
use http::header::{HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Version, request};

use crate::config::AllowedHosts;
use crate::path::RequestPath;
use crate::respond::MeshError;

/// The methods that are passed on. TRACE would show the app's secret header to its caller, CONNECT would open a
/// tunnel; anything else the public mesh does not know either.
pub(crate) const ALLOWED: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// A longer request id is replaced by a made one.
const MAX_REQUEST_ID: usize = 200;

/// Headers that decide who is calling: a second copy could be read by the app where the first was checked.
const SINGLE: [&str; 5] = [
    headers::REQUEST_ID,
    headers::REQUEST_CONTEXT,
    headers::CLIENT_CONTEXT,
    headers::SIGNATURE,
    headers::MESH_SECRET,
];

/// A request that is unambiguous.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where it leads.
    pub path: RequestPath,
    /// The one host it names; none only in HTTP/1.0.
    pub authority: Option<String>,
}

/// Checks method, host, repeated headers and path, and that the host is one of `allowed_hosts` when there are any.
///
/// # Errors
/// [`MeshError`] with what is ambiguous, or foreign to the allowed hosts.
pub fn receive(parts: &request::Parts, allowed_hosts: Option<&AllowedHosts>) -> Result<Received, MeshError> {
    ensure_method(&parts.method)?;
    let authority = one_authority(parts)?;
    if let Some(allowed) = allowed_hosts {
        ensure_allowed_host(authority.as_deref(), allowed)?;
        ensure_own_origin(parts, allowed)?;
    }
    ensure_single(&parts.headers)?;
    ensure_plain_chunks(&parts.headers)?;
    let path = RequestPath::parse(&parts.uri).map_err(MeshError::Path)?;
    Ok(Received { path, authority })
}

fn ensure_method(method: &Method) -> Result<(), MeshError> {
    let known = ALLOWED.split(", ").any(|allowed| allowed == method.as_str());
    if known { Ok(()) } else { Err(MeshError::Method) }
}

/// RFC 9112 §3.2: exactly one `Host` in HTTP/1.1, and an absolute target must agree with it; the same for
/// `:authority` in HTTP/2.
fn one_authority(parts: &request::Parts) -> Result<Option<String>, MeshError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| MeshError::Authority)?),
        (None, _) => None,
        _ => return Err(MeshError::Authority),
    };
    match (host, parts.uri.authority().map(http::uri::Authority::as_str)) {
        (Some(host), Some(target)) if !host.eq_ignore_ascii_case(target) => Err(MeshError::Authority),
        (None, None) if parts.version == Version::HTTP_11 => Err(MeshError::Authority),
        (host, target) => Ok(host.or(target).map(str::to_owned)),
    }
}

fn ensure_allowed_host(authority: Option<&str>, allowed: &AllowedHosts) -> Result<(), MeshError> {
    let known = authority.is_some_and(|host| allowed.include_host(host));
    if known { Ok(()) } else { Err(MeshError::ForeignHost) }
}

/// Pages of other sites may link here, no more. Browsers send `Origin` with everything else, and with a WebSocket's
/// handshake, which is a GET (RFC 6455 §10.2).
fn ensure_own_origin(parts: &request::Parts, allowed: &AllowedHosts) -> Result<(), MeshError> {
    let looks = matches!(parts.method, Method::GET | Method::HEAD) && !parts.headers.contains_key(UPGRADE);
    let mut origins = parts.headers.get_all(ORIGIN).iter();
    let own = origins.all(|origin| origin.to_str().is_ok_and(|origin| allowed.include_origin(origin)));
    if looks || own { Ok(()) } else { Err(MeshError::ForeignOrigin) }
}

fn ensure_single(headers: &HeaderMap) -> Result<(), MeshError> {
    match SINGLE.into_iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(MeshError::Duplicate(name)),
        None => Ok(()),
    }
}

/// Only the chunks are undone here, so any other coding would reach the app undeclared (RFC 9112 §6.1).
fn ensure_plain_chunks(headers: &HeaderMap) -> Result<(), MeshError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(MeshError::Framing),
    }
}

/// The request id that came, when it is one short word, else a new one: one id for everything that follows.
pub(crate) fn request_id(headers: &HeaderMap, entropy: &Entropy) -> String {
    sent_request_id(headers).map_or_else(|| entropy.uuid().to_string(), str::to_owned)
}

fn sent_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(headers::REQUEST_ID)?.to_str().ok()?;
    let fits = !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(build: impl FnOnce(request::Builder) -> request::Builder) -> request::Parts {
        build(Request::builder().uri("/")).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let one = receive(&parts(|request| request.header("host", "app.example")), None).unwrap();
        assert_eq!(one.authority.as_deref(), Some("app.example"));
        let agreeing = parts(|request| request.uri("http://APP.example/x").header("host", "app.example"));
        assert!(receive(&agreeing, None).is_ok());
        for wrong in [
            parts(|request| request),
            parts(|request| request.header("host", "a").header("host", "a")),
            parts(|request| request.uri("http://other/x").header("host", "app.example")),
        ] {
            assert!(matches!(receive(&wrong, None), Err(MeshError::Authority)));
        }
        assert!(receive(&parts(|request| request.version(Version::HTTP_10)), None).is_ok());
    }

    #[test]
    fn only_known_methods_pass() {
        for (method, passes) in [
            ("GET", true),
            ("PATCH", true),
            ("TRACE", false),
            ("CONNECT", false),
            ("QUERY", false),
            ("get", false),
        ] {
            let parts = parts(|request| request.method(method).header("host", "a"));
            assert_eq!(receive(&parts, None).is_ok(), passes, "{method}");
        }
    }

    #[test]
    fn other_sites_may_only_look() {
        let allowed = AllowedHosts::loopback(7702);
        let answer = |method: &str, lines: &[(&str, &str)]| {
            let parts = parts(|mut request| {
                for (name, value) in lines {
                    request = request.header(*name, *value);
                }
                request.method(method).header("host", "localhost:7702")
            });
            receive(&parts, Some(&allowed)).map_or_else(|error| error.marker(), |_| "received")
        };
        let (own, other) = (("origin", "http://127.0.0.1:7702"), ("origin", "http://evil.example"));
        assert_eq!(answer("POST", &[]), "received", "no browser");
        assert_eq!(answer("POST", &[own]), "received");
        assert_eq!(answer("GET", &[other]), "received", "a link");
        assert_eq!(answer("HEAD", &[other]), "received");
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(answer(method, &[other]), "foreign-origin", "{method}");
        }
        assert_eq!(answer("POST", &[("origin", "null")]), "foreign-origin");
        assert_eq!(answer("POST", &[own, other]), "foreign-origin");
        assert_eq!(answer("GET", &[other, ("upgrade", "websocket")]), "foreign-origin");
        assert_eq!(answer("GET", &[own, ("upgrade", "websocket")]), "received");
    }

    #[test]
    fn request_ids_are_one_short_word() {
        let entropy = Entropy::from_fn(|bytes| bytes.fill(7));
        let made = entropy.uuid().to_string();
        let long = "x".repeat(MAX_REQUEST_ID + 1);
        for (sent, used) in [("r-1", "r-1"), ("", made.as_str()), ("a b", &made), (&long, &made)] {
            let headers = parts(|request| request.header("x-request-id", sent)).headers;
            assert_eq!(request_id(&headers, &entropy), used, "{sent}");
        }
    }
}
