//! One request to an org, and its answer.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::egress::RawAnswer;
use crate::error::{OrgError, read_json};
use crate::hosts::OrgOrigin;
use crate::rest::version::ApiVersion;

/// A request to an org: plain data, without the token.
#[derive(Clone, Debug)]
pub struct OrgCall {
    method: Method,
    target: Target,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<(HeaderValue, Bytes)>,
}

#[derive(Clone, Debug)]
enum Target {
    /// Below `/services/data/v{version}/`, without a leading slash.
    Data(String),
    /// A path of the org, or an absolute URL that must be of its origin.
    Anywhere(String),
}

impl OrgCall {
    /// A call to `path_or_url`: a path of the org (a leading slash may be missing), or an absolute URL, which
    /// is refused on sending when its origin isn't the org's.
    pub fn new(method: Method, path_or_url: impl Into<String>) -> Self {
        let target = Target::Anywhere(path_or_url.into());
        Self { method, target, query: Vec::new(), headers: HeaderMap::new(), body: None }
    }

    /// A GET of a path of the org.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call below `/services/data/v{version}/`; `path` has no leading slash.
    pub fn data(method: Method, path: impl Into<String>) -> Self {
        Self { target: Target::Data(path.into()), ..Self::new(method, "") }
    }

    /// Adds a query parameter, encoded as needed.
    #[must_use]
    pub fn query_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets a header, `Sforce-Query-Options` for example.
    ///
    /// # Errors
    /// [`OrgError::BadName`] for `authorization`, `cookie` and `host`, which are not the caller's to set.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Result<Self, OrgError> {
        if [AUTHORIZATION, COOKIE, HOST].contains(&name) {
            return Err(OrgError::BadName { role: "a header of a call", text: name.to_string() });
        }
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends this as JSON.
    ///
    /// # Errors
    /// [`OrgError::Encode`] when it can't be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Result<Self, OrgError> {
        let json = serde_json::to_vec(body).map_err(OrgError::Encode)?;
        Ok(self.bytes(HeaderValue::from_static("application/json"), json))
    }

    /// Sends these bytes.
    #[must_use]
    pub fn bytes(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.headers.remove(CONTENT_TYPE);
        self.body = Some((content_type, body.into()));
        self
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn body(&self) -> Option<&(HeaderValue, Bytes)> {
        self.body.as_ref()
    }

    /// Where the call goes, which is the org or nowhere.
    pub(super) fn url(&self, org: &OrgOrigin, version: &ApiVersion) -> Result<Url, OrgError> {
        let mut url = match &self.target {
            Target::Data(path) => org.at(&format!("/services/data/v{version}/{path}")),
            Target::Anywhere(target) => own_url(org, target)?,
        };
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url.set_fragment(None);
        Ok(url)
    }
}

/// A path of the org, or an absolute URL of its origin.
pub(super) fn own_url(org: &OrgOrigin, target: &str) -> Result<Url, OrgError> {
    if !is_absolute(target) {
        return Ok(org.at(&format!("/{}", target.trim_start_matches('/'))));
    }
    let bad =
        || OrgError::BadName { role: "a URL", text: target.chars().take_while(|c| *c != '?').collect() };
    let url = Url::parse(target).map_err(|_| bad())?;
    let user_info = !url.username().is_empty() || url.password().is_some();
    if !org.covers(&url) || user_info {
        let origin = url.origin().ascii_serialization();
        return Err(OrgError::ForeignOrigin { origin, org: org.to_string() });
    }
    Ok(url)
}

/// Whether a scheme and `://` come first; later on they may be part of a query.
fn is_absolute(target: &str) -> bool {
    let scheme = target.trim_start().split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// A successful answer.
#[derive(Debug)]
pub struct OrgAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl From<RawAnswer> for OrgAnswer {
    fn from(raw: RawAnswer) -> Self {
        Self { status: raw.status, headers: raw.headers, body: raw.body }
    }
}

impl OrgAnswer {
    /// The status, a 2xx.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it came; empty after a 204.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`OrgError::Shape`] with the place, or [`OrgError::Unexpected`] when it isn't JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OrgError> {
        read_json(self.status, &self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(call: &OrgCall) -> Result<Url, OrgError> {
        let org = OrgOrigin::vouched_for("https://acme.my.salesforce.com").unwrap();
        call.url(&org, &ApiVersion::new(66))
    }

    #[test]
    fn paths_and_own_urls_go_to_the_org() {
        for (target, expected) in [
            ("services/data", "https://acme.my.salesforce.com/services/data"),
            ("//services/data?x=1", "https://acme.my.salesforce.com/services/data?x=1"),
            ("//evil.example/x", "https://acme.my.salesforce.com/evil.example/x"),
            ("https://acme.my.salesforce.com:443/a", "https://acme.my.salesforce.com/a"),
            (
                "services/a?next=https://x.example/",
                "https://acme.my.salesforce.com/services/a?next=https://x.example/",
            ),
            ("https://ACME.my.salesforce.com/a#b", "https://acme.my.salesforce.com/a"),
        ] {
            assert_eq!(url(&OrgCall::get(target)).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn any_other_origin_is_refused() {
        for target in [
            "https://evil.example/a",
            "http://acme.my.salesforce.com/a",
            "https://acme.my.salesforce.com:8443/a",
            "https://acme.my.salesforce.com@evil.example/a",
            "https://user@acme.my.salesforce.com/a",
            "https://acme.my.salesforce.com.evil.example/a",
            " https://evil.example/a",
            "file:///etc/passwd",
        ] {
            assert!(matches!(url(&OrgCall::get(target)), Err(OrgError::ForeignOrigin { .. })), "{target}");
        }
    }

    #[test]
    fn parameters_are_added_to_those_of_the_path() {
        let call = OrgCall::get("/a?b=1").query_param("q", "SELECT Id FROM A WHERE N = 'x&y'");
        let url = url(&call).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(
            pairs,
            [("b".into(), "1".into()), ("q".into(), "SELECT Id FROM A WHERE N = 'x&y'".into())]
        );
    }

    #[test]
    fn the_token_header_is_not_the_callers() {
        let call = OrgCall::get("/a").header(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert!(matches!(call, Err(OrgError::BadName { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_target_leaves_the_org(target in ".{0,60}") {
            if let Ok(url) = url(&OrgCall::get(target)) {
                proptest::prop_assert_eq!(url.host_str(), Some("acme.my.salesforce.com"));
                proptest::prop_assert_eq!(url.scheme(), "https");
            }
        }
    }
}
