//! How a call is sent, repeated and read.
//!
//! 1. build the URL under the base, each name percent-encoded as one segment;
//! 2. choose the credential: API key for changes, add-on token for reads, whichever there is;
//! 3. send with a deadline, repeating where that is safe;
//! 4. read the answer up to a limit, and turn it into a value or a [`ClientError`].

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{ClientError, Package};
use crate::entropy::Entropy;
use crate::error::ErrorBody;
use crate::headers;

/// No answer of this API comes near this.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;
/// The first wait before a repeat; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// What stays as it is in a path segment (RFC 3986 §2.3 "unreserved").
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) type WarningSink = Arc<dyn Fn(&str) + Send + Sync>;

/// The HTTP side of a client.
pub(super) struct Transport {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) host: String,
    pub(super) credentials: Credentials,
    pub(super) fixed_headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) entropy: Entropy,
    pub(super) on_warning: Option<WarningSink>,
}

/// `Authorization` header values, marked sensitive.
pub(super) struct Credentials {
    pub(super) token: Option<HeaderValue>,
    pub(super) api_key: Option<HeaderValue>,
}

/// What a call does, which decides the credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Change,
}

/// What may happen when nobody knows whether the call arrived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is the same as doing it once.
    Always,
    /// Only when it certainly was not sent.
    IfNotSent,
}

/// One call.
pub(super) struct Call<'a> {
    method: Method,
    url: Url,
    access: Access,
    repeat: Repeat,
    body: Body<'a>,
    timeout: Option<Duration>,
}

enum Body<'a> {
    None,
    Json(Vec<u8>),
    Package(&'a Package),
}

/// A success.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(super) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            access: Access::Read,
            repeat: Repeat::Always,
            body: Body::None,
            timeout: None,
        }
    }

    pub(super) fn delete(url: Url) -> Self {
        Self { method: Method::DELETE, access: Access::Change, ..Self::get(url) }
    }

    pub(super) fn post(url: Url, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = Body::Json(serde_json::to_vec(body).map_err(ClientError::Encode)?);
        Ok(Self {
            method: Method::POST,
            access: Access::Change,
            repeat: Repeat::IfNotSent,
            body,
            ..Self::get(url)
        })
    }

    /// Setting something to the same value twice is setting it once.
    pub(super) fn put(url: Url, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(Self { method: Method::PUT, repeat: Repeat::Always, ..Self::post(url, body)? })
    }

    /// A change may take the name away under which it was asked for, so it is not repeated blindly.
    pub(super) fn patch(url: Url, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(Self { method: Method::PATCH, ..Self::post(url, body)? })
    }

    pub(super) fn post_package(url: Url, package: &'a Package) -> Self {
        let body = Body::Package(package);
        Self {
            method: Method::POST,
            access: Access::Change,
            repeat: Repeat::IfNotSent,
            body,
            ..Self::get(url)
        }
    }

    /// The service treats a second such call as the first one again.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Always;
        self
    }

    /// A POST that changes nothing: the add-on token is enough.
    pub(super) fn reading(mut self) -> Self {
        self.access = Access::Read;
        self.repeatable()
    }

    /// A read that only who may change things may do.
    pub(super) fn managing(mut self) -> Self {
        self.access = Access::Change;
        self
    }

    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

// === impl Transport ===

impl Transport {
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A URL below the API URL.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        extended(&self.base, self.base.path(), segments)
    }

    /// A URL below the control plane's own address: the API URL without `/addons/<uuid>`.
    pub(super) fn root_url(&self, segments: &[&str]) -> Url {
        let path = self.base.path();
        let root = path.find("/addons/").and_then(|end| path.get(..end)).unwrap_or(path);
        extended(&self.base, root, segments)
    }

    /// Sends the call and reads a body that must be there.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ClientError> {
        let answer = self.send(call).await?;
        self.decode(&answer.body)
    }

    /// Sends the call and reads a body if there is one.
    pub(super) async fn fetch_if_any<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Option<T>, ClientError> {
        let answer = self.send(call).await?;
        self.decode_if_any(&answer.body)
    }

    /// The same, for work that the service may go on with by itself: 202 is [`ClientError::Pending`].
    pub(super) async fn fetch_when_done<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Option<T>, ClientError> {
        let answer = self.send(call).await?;
        if answer.status == StatusCode::ACCEPTED {
            return Err(ClientError::Pending { host: self.host.clone() });
        }
        self.decode_if_any(&answer.body)
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let request_id = self.entropy.uuid().to_string();
        let mut wait = FIRST_WAIT;
        for _ in 1..self.attempts {
            match self.attempt(&call, &request_id).await {
                Err(error) if may_repeat(&error, call.repeat) => tokio::time::sleep(wait).await,
                outcome => return outcome,
            }
            wait *= 2;
        }
        self.attempt(&call, &request_id).await
    }

    async fn attempt(&self, call: &Call<'_>, request_id: &str) -> Result<Answer, ClientError> {
        let deadline = call.timeout.unwrap_or(self.timeout);
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .timeout(deadline)
            .headers(self.fixed_headers.clone())
            .header(headers::REQUEST_ID, request_id);
        if let Some(credential) = self.credentials.for_access(call.access) {
            request = request.header(AUTHORIZATION, credential);
        }
        request = match &call.body {
            Body::None => request,
            Body::Json(bytes) => request.header(CONTENT_TYPE, "application/json").body(bytes.clone()),
            Body::Package(package) => request.multipart(package.form()?),
        };
        let failed = |error| self.failure(error, deadline);
        let response = request.send().await.map_err(failed)?;
        self.pass_warnings_on(&response);
        self.read(response, deadline).await
    }

    /// Reads the body and separates success from refusal.
    async fn read(&self, mut response: Response, deadline: Duration) -> Result<Answer, ClientError> {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(error, deadline))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(ClientError::TooLong { host: self.host.clone(), limit: ANSWER_LIMIT });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Answer { status, body });
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => Err(ClientError::Api { status: status.as_u16(), body: Box::new(body), retry_after }),
            Err(_not_ours) => {
                Err(ClientError::NotAppLink { host: self.host.clone(), status: status.as_u16() })
            }
        }
    }

    fn decode_if_any<T: DeserializeOwned>(&self, body: &[u8]) -> Result<Option<T>, ClientError> {
        let empty = matches!(body.trim_ascii(), b"" | b"{}" | b"[]" | b"null");
        if empty { Ok(None) } else { self.decode(body).map(Some) }
    }

    fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| ClientError::Decode {
            host: self.host.clone(),
            path: error.path().to_string(),
            source: error.into_inner(),
        })
    }

    fn failure(&self, error: reqwest::Error, deadline: Duration) -> ClientError {
        let host = self.host.clone();
        // The URL may name things the reader of a log must not see, and the host is in our own text.
        let source = error.without_url();
        if source.is_connect() {
            ClientError::Unreachable { host, source }
        } else if source.is_timeout() {
            ClientError::TimedOut { host, after: deadline }
        } else if source.is_builder() {
            ClientError::Setup(source)
        } else {
            ClientError::Interrupted { host, source }
        }
    }

    fn pass_warnings_on(&self, response: &Response) {
        let Some(sink) = &self.on_warning else { return };
        for name in ["x-heroku-warning", "warning-message"] {
            if let Some(text) = response.headers().get(name).and_then(|value| value.to_str().ok()) {
                sink(text);
            }
        }
    }
}

impl Credentials {
    fn for_access(&self, access: Access) -> Option<&HeaderValue> {
        let (first, second) = match access {
            Access::Read => (&self.token, &self.api_key),
            Access::Change => (&self.api_key, &self.token),
        };
        first.as_ref().or(second.as_ref())
    }
}

/// Refuses what would not stay one segment of a path: nothing, `.` and `..`.
pub(super) fn one_segment<'a>(kind: &'static str, name: &'a str) -> Result<&'a str, ClientError> {
    if matches!(name, "" | "." | "..") {
        return Err(ClientError::InvalidName { kind, name: name.to_owned() });
    }
    Ok(name)
}

fn extended(base: &Url, path: &str, segments: &[&str]) -> Url {
    let mut path = path.trim_end_matches('/').to_owned();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    let mut url = base.clone();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn may_repeat(error: &ClientError, repeat: Repeat) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Interrupted { .. } => repeat == Repeat::Always,
        _ => false,
    }
}

/// Seconds only (RFC 9110 §10.2.3 also allows a date, which no service of ours sends).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        let base = Url::parse("http://h:1/addons/x/").unwrap();
        let url = extended(&base, base.path(), &["authorizations", "applink:a/b?c#d ü"]);
        assert_eq!(url.as_str(), "http://h:1/addons/x/authorizations/applink%3Aa%2Fb%3Fc%23d%20%C3%BC");
        for name in ["", ".", ".."] {
            one_segment("connection", name).unwrap_err();
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_leaves_its_place(name in "\\PC{1,30}") {
            let base = Url::parse("https://h/addons/x").unwrap();
            if one_segment("connection", &name).is_ok() {
                let url = extended(&base, base.path(), &["connections", &name]);
                proptest::prop_assert_eq!(url.path_segments().unwrap().count(), 4);
                proptest::prop_assert!(url.path().starts_with("/addons/x/connections/"));
                proptest::prop_assert_eq!((url.query(), url.fragment()), (None, None));
            }
        }
    }
}
