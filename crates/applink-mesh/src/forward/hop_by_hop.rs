//! Headers that concern one connection only (RFC 9110 §7.6.1) and so are never passed on.

use http::header::{
    CONNECTION, EXPECT, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Removes them from a request. `Expect: 100-continue` goes too: the mesh itself answers it, as soon as the app
/// wants the body. What remains of `TE` is whether trailers are welcome.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    let trailers = lists(headers, &TE, "trailers");
    strip(headers);
    headers.remove(HTTP2_SETTINGS);
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes them from a response.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip(headers);
}

fn strip(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        PROXY_CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// The protocol the client wants to change to, if it does and it may. `h2c` would smuggle requests past the mesh.
pub(crate) fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let single = headers.get_all(UPGRADE).iter().nth(1).is_none();
    let h2c = lists(headers, &UPGRADE, "h2c");
    (single && !h2c && lists(headers, &CONNECTION, "upgrade")).then(|| wanted.clone())
}

/// Is `token` one of the comma-separated values of `name`?
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name)
        .any(|listed| listed.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(token))
}

fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION).filter_map(|token| HeaderName::try_from(token).ok()).collect()
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn connection_headers_and_nominated_ones_go() {
        let mut headers = headers(&[
            ("connection", "close, X-Hop"),
            ("connection", "x-other-hop"),
            ("x-hop", "1"),
            ("x-other-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("expect", "100-continue"),
            ("te", "gzip, trailers;q=0.5"),
            ("trailer", "x-sum"),
            ("authorization", "Bearer kept"),
        ]);
        strip_request(&mut headers);
        assert_eq!(names(&headers), ["authorization", "te", "trailer"]);
        assert_eq!(headers["te"], "trailers");
    }

    #[test]
    fn only_real_upgrades_other_than_h2c_are_wanted() {
        for (lines, wanted) in [
            (vec![("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], true),
            (vec![("upgrade", "websocket")], false),
            (vec![("connection", "upgrade"), ("upgrade", "h2c")], false),
            (vec![("connection", "upgrade"), ("upgrade", "websocket, H2C")], false),
            (vec![("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")], false),
            (vec![("connection", "upgrade")], false),
        ] {
            let lines: Vec<(&str, &str)> = lines;
            let headers: HeaderMap = lines
                .iter()
                .map(|(name, value)| {
                    (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
                })
                .collect();
            assert_eq!(wanted_upgrade(&headers).is_some(), wanted, "{lines:?}");
        }
    }
}
