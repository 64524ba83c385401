//! Who may speak to the org over HTTP: requests that name this org as `Host`, and pages that come from it.
//!
//! The org answers on loopback, where every web page a person opens could send it requests. A page of
//! another site is told apart by its `Origin`, and one that rebinds its own name to 127.0.0.1 by its `Host`.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use url::{Host, Url};

use crate::state::OrgState;

/// Middleware: refuses requests whose `Host` is neither loopback nor the org's own.
pub(crate) async fn check_host(State(state): State<OrgState>, request: Request, next: Next) -> Response {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    // HTTP/2 and absolute-form requests carry the host in the target instead.
    let named = named.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    if host_is_ours(&named, state.base_url()) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "This org does not answer to that host name.\n").into_response()
}

/// Whether a `Host` value names loopback or the org's own host.
pub(crate) fn host_is_ours(host: &str, base: &Url) -> bool {
    let Ok(parsed) = Url::parse(&format!("http://{host}")) else { return false };
    let plain = parsed.path() == "/" && parsed.query().is_none() && parsed.username().is_empty();
    let loopback = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    plain && (loopback || parsed.host() == base.host())
}

/// Whether a request comes from no page at all or from a page of this org.
pub(crate) fn origin_is_ours(headers: &HeaderMap, base: &Url) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return false };
    let authority = match (origin.host_str(), origin.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return false,
    };
    // localhost and 127.0.0.1 are the same org, another port is not.
    host_is_ours(&authority, base) && origin.port_or_known_default() == base.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn base() -> Url {
        Url::parse("http://127.0.0.1:7701").unwrap()
    }

    #[test]
    fn hosts_are_loopback_or_our_own() {
        for host in ["127.0.0.1:7701", "localhost", "acme.localhost:1", "[::1]:7701"] {
            assert!(host_is_ours(host, &base()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1/x",
            "a@127.0.0.1",
        ] {
            assert!(!host_is_ours(host, &base()), "{host}");
        }
        let named = Url::parse("https://acme.my.example").unwrap();
        assert!(host_is_ours("acme.my.example", &named));
    }

    #[test]
    fn pages_come_from_our_own_port() {
        let with = |origin: &str| HeaderMap::from_iter([(ORIGIN, HeaderValue::from_str(origin).unwrap())]);
        assert!(origin_is_ours(&HeaderMap::new(), &base()));
        assert!(origin_is_ours(&with("http://localhost:7701"), &base()));
        for origin in ["http://127.0.0.1:3000", "http://evil.example:7701", "null", "http://127.0.0.1"] {
            assert!(!origin_is_ours(&with(origin), &base()), "{origin}");
        }
    }
}
