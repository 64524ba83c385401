//! A small HTTP client for what the mesh asks the control plane, and tells it.
//!
//! Bounded in every way: time to connect, time for the whole call, size of the answer. It follows no redirect and
//! uses no proxy, because the add-on token and the org's token travel in these calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// Time to connect, TLS not included.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for a whole call; the org that waits behind it gives up after 10 seconds at the earliest.
const WHOLE_CALL: Duration = Duration::from_secs(8);
/// Less than the idle time-out of the usual load balancers, so that a pooled connection is not dead on use.
const IDLE: Duration = Duration::from_secs(30);
/// A verdict has a few hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;

const AGENT: &str = concat!("applink-mesh/", env!("CARGO_PKG_VERSION"));

/// The control plane gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ControlPlaneError {
    /// No connection, or it broke.
    #[error("the control plane can't be reached")]
    Unreachable(#[source] Arc<hyper_util::client::legacy::Error>),
    /// The answer broke off or is too large.
    #[error("the answer of the control plane can't be read")]
    Unreadable,
    /// No answer in time.
    #[error("the control plane did not answer within {} s", WHOLE_CALL.as_secs())]
    TimedOut,
    /// It says that it can't answer now.
    #[error("the control plane answered {0}")]
    Overloaded(StatusCode),
    /// The question can't be written.
    #[error("the question to the control plane can't be written")]
    Unwritable,
}

/// The client can't be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneConfigError {
    /// No URL of a control plane. It is not repeated: people paste credentials into URLs.
    #[error(
        "the API URL is not one of a control plane: it must look like https://host/path, without credentials or query (http:// for a local one)"
    )]
    Url,
    /// The token can't be sent in a header.
    #[error("the add-on token has characters that no HTTP header can carry; copy it again")]
    Token,
    /// No certificate authorities to check the control plane's certificate against.
    #[error("no certificate authorities found on this machine; install ca-certificates or set SSL_CERT_FILE")]
    Roots(#[source] std::io::Error),
    /// TLS can't be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Cheap to clone; clones share their connections.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Uri,
    authorization: HeaderValue,
}

impl ControlPlane {
    pub(crate) fn new(api_url: &str, token: &SecretString) -> Result<Self, ControlPlaneConfigError> {
        let base = parse_base(api_url)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ControlPlaneConfigError::Token)?;
        authorization.set_sensitive(true);
        let connector = connector(base.scheme() == Some(&Scheme::HTTPS))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { client, base, authorization })
    }

    /// One question, one answer: its status and body.
    pub(crate) async fn post<Q: Serialize>(
        &self,
        path: &str,
        request_id: &str,
        question: &Q,
    ) -> Result<(StatusCode, Bytes), ControlPlaneError> {
        let request = self.request(path, request_id, question)?;
        let answer = self.exchange(request, MAX_ANSWER).await?;
        Ok((answer.status, answer.body))
    }

    /// Reads something, unless it is still what `etag` names.
    pub(crate) async fn get(
        &self,
        path: &str,
        etag: Option<&str>,
        max_answer: usize,
    ) -> Result<Answer, ControlPlaneError> {
        let mut request = Request::get(self.target(path).map_err(|_| ControlPlaneError::Unwritable)?)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Full::default()).map_err(|_| ControlPlaneError::Unwritable)?;
        self.exchange(request, max_answer).await
    }

    fn request<Q: Serialize>(
        &self,
        path: &str,
        request_id: &str,
        question: &Q,
    ) -> Result<Request<Full<Bytes>>, ControlPlaneError> {
        let body = serde_json::to_vec(question).map_err(|_| ControlPlaneError::Unwritable)?;
        Request::post(self.target(path).map_err(|_| ControlPlaneError::Unwritable)?)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header(applink_api::headers::MESH_REQUEST_ID, request_id)
            .body(Full::new(body.into()))
            .map_err(|_| ControlPlaneError::Unwritable)
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        max_answer: usize,
    ) -> Result<Answer, ControlPlaneError> {
        let whole = async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| ControlPlaneError::Unreachable(Arc::new(error)))?;
            read(answer, max_answer).await
        };
        tokio::time::timeout(WHOLE_CALL, whole).await.map_err(|_| ControlPlaneError::TimedOut)?
    }

    /// The base may have a path of its own (`/addons/<uuid>`).
    fn target(&self, path: &str) -> Result<Uri, http::Error> {
        let joined = format!("{}{path}", self.base.path().trim_end_matches('/'));
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(joined)?);
        Ok(Uri::from_parts(parts)?)
    }
}

async fn read(answer: Response<Incoming>, max_answer: usize) -> Result<Answer, ControlPlaneError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, max_answer).collect().await;
    let body = body.map_err(|_| ControlPlaneError::Unreadable)?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

fn parse_base(api_url: &str) -> Result<Uri, ControlPlaneConfigError> {
    let base: Uri = api_url.trim().parse().map_err(|_| ControlPlaneConfigError::Url)?;
    let known = base.scheme() == Some(&Scheme::HTTPS) || base.scheme() == Some(&Scheme::HTTP);
    let plain = base.query().is_none() && base.authority().is_some_and(|host| !host.as_str().contains('@'));
    if known && plain { Ok(base) } else { Err(ControlPlaneConfigError::Url) }
}

/// The machine's certificate authorities are read only when they are needed: it takes a few milliseconds.
pub(crate) fn connector(tls: bool) -> Result<HttpsConnector<HttpConnector>, ControlPlaneConfigError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let builder = HttpsConnectorBuilder::new();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if tls {
        let builder =
            builder.with_provider_and_native_roots(provider).map_err(ControlPlaneConfigError::Roots)?;
        return Ok(builder.https_only().enable_http1().wrap_connector(tcp));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(ControlPlaneConfigError::Tls)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(builder.with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(api_url: &str) -> String {
        let control_plane = ControlPlane::new(api_url, &SecretString::from("token")).ok().unwrap();
        control_plane.target("/invocations/authentication").unwrap().to_string()
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        for base in ["http://h:1/addons/a", "http://h:1/addons/a/"] {
            assert_eq!(target(base), "http://h:1/addons/a/invocations/authentication");
        }
        assert_eq!(target("http://h:1"), "http://h:1/invocations/authentication");
    }

    #[test]
    fn only_plain_http_urls_are_taken() {
        for wrong in ["", "h:1", "/addons", "ftp://h/", "http://u:p@h/", "http://h/?x=1"] {
            assert!(matches!(parse_base(wrong), Err(ControlPlaneConfigError::Url)), "{wrong}");
        }
        assert!(parse_base("https://h/addons/a").is_ok());
    }
}
