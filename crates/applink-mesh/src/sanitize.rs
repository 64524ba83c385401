//! Phase *sanitize*: every header that the app trusts is removed as it came, then set from what was verified.
//!
//! Frameworks of the CGI family (WSGI, Rack, PHP) read `x_client_context` and `x-client-context` as one header, so
//! look-alikes are removed too.
//!
//! Trailers are fields as well, and a server may merge them into the headers (RFC 9110 §6.5.1). So the same names are
//! removed from them, and nothing is set there.

use applink_api::headers;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::ForwardedRule;
use crate::connection::Peer;
use crate::respond::REQUEST_ID;

const CLIENT_CONTEXT: HeaderName = HeaderName::from_static(headers::CLIENT_CONTEXT);
const SIGNATURE: HeaderName = HeaderName::from_static(headers::SIGNATURE);
const MESH_SECRET: HeaderName = HeaderName::from_static(headers::MESH_SECRET);
/// What the mesh or a router in front says of the connection begins like this.
const FORWARDED_PREFIX: &str = "x-forwarded-";
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the app is told on the mesh's authority. Nothing is set that is not here. Both are as good as secrets, so
/// this can't be printed.
#[derive(Default)]
pub(crate) struct TrustedFacts {
    /// `x-client-context`, bound to the verified token.
    pub(crate) client_context: Option<String>,
    /// `x-signature`, verified over the body.
    pub(crate) signature: Option<String>,
}

/// What is the same for every request.
#[derive(Debug)]
pub(crate) struct Sanitizer {
    mesh_secret: Option<HeaderValue>,
    forwarded: ForwardedRule,
    keep_client_context: bool,
}

impl Sanitizer {
    pub(crate) fn new(
        mesh_secret: Option<&SecretString>,
        forwarded: ForwardedRule,
        keep_client_context: bool,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        let mesh_secret = mesh_secret.map(|secret| secret_value(secret.expose_secret())).transpose()?;
        Ok(Self { mesh_secret, forwarded, keep_client_context })
    }

    /// Strips, then sets.
    pub(crate) fn sanitize(
        &self,
        headers: &mut HeaderMap,
        facts: TrustedFacts,
        request_id: &str,
        authority: Option<&str>,
        peer: Peer,
    ) {
        let kept = if self.keep_client_context { self.kept(headers) } else { TrustedFacts::default() };
        strip_trusted(headers);
        set(headers, CLIENT_CONTEXT, facts.client_context.or(kept.client_context), true);
        set(headers, SIGNATURE, facts.signature.or(kept.signature), true);
        set(headers, REQUEST_ID, Some(request_id.to_owned()), false);
        if let Some(secret) = &self.mesh_secret {
            headers.insert(MESH_SECRET, secret.clone());
        }
        self.set_forwarded(headers, authority, peer);
    }

    fn kept(&self, headers: &HeaderMap) -> TrustedFacts {
        let text =
            |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        TrustedFacts { client_context: text(&CLIENT_CONTEXT), signature: text(&SIGNATURE) }
    }

    /// The host is rewritten towards the app, so the app learns the original one here, from the request itself.
    fn set_forwarded(&self, headers: &mut HeaderMap, authority: Option<&str>, peer: Peer) {
        headers.remove(X_FORWARDED_HOST);
        set(headers, X_FORWARDED_HOST, authority.map(str::to_owned), false);
        if self.forwarded == ForwardedRule::Overwrite {
            headers.remove(FORWARDED);
            headers.remove(X_FORWARDED_PORT);
            set(headers, X_FORWARDED_FOR, Some(peer.address.ip().to_canonical().to_string()), false);
            set(headers, X_FORWARDED_PROTO, Some("http".to_owned()), false);
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<String>, sensitive: bool) {
    let Some(Ok(mut value)) = value.map(HeaderValue::try_from) else { return };
    value.set_sensitive(sensitive);
    headers.insert(name, value);
}

fn secret_value(secret: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(secret)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Removes from a request's trailers every name that is only believed in its head. No router overwrites trailers, so
/// [`ForwardedRule`] makes no difference.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers, |name| is_trusted(name) || is_forwarded(name));
}

fn strip_trusted(headers: &mut HeaderMap) {
    strip(headers, is_trusted);
}

fn strip(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let going: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in going {
        headers.remove(name);
    }
}

/// Is this a header only the mesh may set, or something an app may take for one?
fn is_trusted(name: &str) -> bool {
    headers::TRUSTED.into_iter().chain([headers::REQUEST_ID]).any(|trusted| reads_as(name, trusted))
}

/// Is this, or may an app take it for, what is said of the connection a request came on?
fn is_forwarded(name: &str) -> bool {
    let begin = name.get(..FORWARDED_PREFIX.len());
    name == FORWARDED.as_str() || begin.is_some_and(|begin| reads_as(begin, FORWARDED_PREFIX))
}

/// CGI turns every character that is no letter or digit into `_`.
fn reads_as(name: &str, trusted: &str) -> bool {
    name.len() == trusted.len()
        && name.bytes().zip(trusted.bytes()).all(|(sent, known)| {
            sent == known || (!sent.is_ascii_alphanumeric() && !known.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer { address: "[::ffff:192.0.2.7]:5".parse().unwrap() }
    }

    fn sanitized(
        sent: &[(&'static str, &'static str)],
        facts: TrustedFacts,
        forwarded: ForwardedRule,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let secret = SecretString::from("s3cret");
        let sanitizer = Sanitizer::new(Some(&secret), forwarded, false).unwrap();
        sanitizer.sanitize(&mut headers, facts, "r-1", Some("app.example"), peer());
        headers
    }

    #[test]
    fn everything_trusted_is_stripped_with_its_look_alikes() {
        let sent = [
            ("x-client-context", "forged"),
            ("x_client_context", "forged"),
            ("x.client_context", "forged"),
            ("x-request-context", "token"),
            ("x-signature", "forged"),
            ("x_request-id", "forged"),
            ("x-applink-mesh-secret", "guess"),
            ("x-other", "kept"),
        ];
        let headers = sanitized(&sent, TrustedFacts::default(), ForwardedRule::Trust);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["x-applink-mesh-secret", "x-forwarded-host", "x-other", "x-request-id"]);
        assert_eq!(headers["x-applink-mesh-secret"], "s3cret");
        assert_eq!(headers["x-request-id"], "r-1");
    }

    #[test]
    fn verified_facts_replace_what_was_sent() {
        let facts = TrustedFacts { client_context: Some("bound".into()), signature: None };
        let headers = sanitized(&[("x-client-context", "sent")], facts, ForwardedRule::Trust);
        assert_eq!(headers["x-client-context"], "bound");
        assert!(
            headers["x-client-context"].is_sensitive() && headers["x-applink-mesh-secret"].is_sensitive()
        );
    }

    #[test]
    fn forwarded_headers_are_overwritten_or_trusted() {
        let sent =
            [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=1.1.1.1")];
        let overwritten = sanitized(&sent, TrustedFacts::default(), ForwardedRule::Overwrite);
        assert_eq!(overwritten["x-forwarded-for"], "192.0.2.7");
        assert_eq!(overwritten["x-forwarded-proto"], "http");
        assert!(!overwritten.contains_key("forwarded"));
        let trusted = sanitized(&sent, TrustedFacts::default(), ForwardedRule::Trust);
        assert_eq!(trusted["x-forwarded-for"], "1.1.1.1");
        assert_eq!(trusted["x-forwarded-proto"], "https");
        assert_eq!(trusted["x-forwarded-host"], "app.example");
    }

    #[test]
    fn trailers_keep_only_what_nobody_trusts() {
        let mut trailers = HeaderMap::new();
        for name in [
            "x-client-context",
            "x.signature",
            "x_request_id",
            "forwarded",
            "x-forwarded-for",
            "x_forwarded.client-cert",
            "x-forward",
            "x-checksum",
        ] {
            trailers.append(name, HeaderValue::from_static("1"));
            trailers.append(name, HeaderValue::from_static("2"));
        }
        strip_trailers(&mut trailers);
        let mut names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["x-checksum", "x-forward"]);
        assert_eq!(trailers.get_all("x-checksum").iter().count(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_spelling_of_a_trusted_name_survives(separators in "[-_.!~]{2}") {
            let mut parts = separators.chars();
            let name = format!("x{}client{}context", parts.next().unwrap(), parts.next().unwrap());
            proptest::prop_assert!(is_trusted(&name));
        }
    }
}
