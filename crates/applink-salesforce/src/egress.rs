//! The HTTP client that talks to orgs, and to nothing else.
//!
//! Redirects are never followed (a token must not travel on), TLS is 1.2 or newer, every call has a deadline
//! and every answer a size limit. The proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) is used, except
//! towards an org on this machine: a proxy would look for it on its own. What went wrong is told apart by what it means for the caller:
//! [`SendFailure::NotSent`] can be tried again, after [`SendFailure::AnswerUnknown`] the org may have acted.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;

use crate::hosts::OrgOrigin;

/// Time for name look-up, connecting and the TLS handshake. Well under [`TOKEN_DEADLINE`], so that a call that
/// runs out of time before anything was sent is told apart from one that was sent.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Whole time of a call to the token endpoint.
pub const TOKEN_DEADLINE: Duration = Duration::from_secs(10);
/// Whole time of any other call: an org ends its own requests after 120 s.
pub const REST_DEADLINE: Duration = Duration::from_secs(130);
/// Largest answer of an OAuth endpoint, in bytes.
pub const TOKEN_BODY_LIMIT: usize = 64 * 1024;
/// Largest other answer, in bytes.
pub const REST_BODY_LIMIT: usize = 64 * 1024 * 1024;
/// What we call ourselves when the caller says nothing else.
pub const USER_AGENT: &str = concat!("applink-salesforce/", env!("CARGO_PKG_VERSION"));

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Deadlines and name of the client; the defaults are the constants of this module.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// See [`CONNECT_DEADLINE`].
    pub connect_deadline: Duration,
    /// See [`TOKEN_DEADLINE`].
    pub token_deadline: Duration,
    /// See [`REST_DEADLINE`].
    pub rest_deadline: Duration,
    /// The `User-Agent` of every request.
    pub user_agent: String,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            connect_deadline: CONNECT_DEADLINE,
            token_deadline: TOKEN_DEADLINE,
            rest_deadline: REST_DEADLINE,
            user_agent: USER_AGENT.to_owned(),
        }
    }
}

/// A client for orgs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OrgEgress {
    /// Towards other machines.
    outward: Clients,
    /// Towards orgs on this machine: past any proxy.
    loopback: Clients,
    settings: EgressSettings,
}

/// One client per [`Traffic`].
#[derive(Clone, Debug)]
struct Clients {
    /// For OAuth: a connection of its own per call. On a reused one a close by the other side can't be told
    /// from a request that was acted on.
    token: reqwest::Client,
    rest: reqwest::Client,
}

impl Clients {
    fn build(base: impl Fn() -> reqwest::ClientBuilder) -> reqwest::Result<Self> {
        let token = base().pool_max_idle_per_host(0).retry(reqwest::retry::never()).build()?;
        Ok(Self { token, rest: base().build()? })
    }
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't be set up: check the user agent and the machine's certificate store")]
pub struct EgressError(#[source] BoxError);

/// No answer came of a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendFailure {
    /// Nothing reached the org: trying again is safe.
    #[error("{host} could not be reached: {reason}")]
    NotSent {
        /// Host and port.
        host: String,
        /// At which step.
        reason: NotSentReason,
        /// What the network said.
        #[source]
        source: BoxError,
    },
    /// The request was, or may have been, sent; whether the org acted on it is unknown.
    #[error("{host} may have acted on the request, but {reason}")]
    AnswerUnknown {
        /// Host and port.
        host: String,
        /// What is known of the answer.
        reason: UnknownReason,
        /// What the network said.
        #[source]
        source: Option<BoxError>,
    },
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSentReason {
    /// The name has no address.
    #[error("the host name is unknown")]
    Dns,
    /// Nobody listens, or the network is away.
    #[error("the connection was refused or broke")]
    Connect,
    /// The certificate or the handshake failed.
    #[error("the TLS handshake failed")]
    Tls,
    /// Connecting took longer than the deadline.
    #[error("connecting took too long")]
    Timeout,
    /// The request could not even be put together.
    #[error("the request could not be built")]
    Request,
}

/// What is known of an answer that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The deadline passed while waiting for the answer.
    #[error("no answer came in time")]
    Timeout,
    /// The connection ended before the answer was complete.
    #[error("the connection ended before the answer")]
    Cut,
    /// The answer is larger than the limit.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A 5xx that doesn't say what happened.
    #[error("it answered {0} without saying what happened")]
    ServerError(StatusCode),
    /// A 2xx that is not the JSON it should be.
    #[error("its answer can't be read")]
    Unreadable,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Which limits apply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traffic {
    Token,
    Rest,
}

impl OrgEgress {
    /// A client with the given deadlines.
    ///
    /// # Errors
    /// [`EgressError`] when the user agent is not a header value or TLS can't be set up.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        let base = || {
            reqwest::Client::builder()
                .redirect(Policy::none())
                .referer(false)
                .tls_version_min(reqwest::tls::Version::TLS_1_2)
                .connect_timeout(settings.connect_deadline)
                .user_agent(settings.user_agent.clone())
        };
        let failed = |error: reqwest::Error| EgressError(error.into());
        let outward = Clients::build(base).map_err(failed)?;
        let loopback = Clients::build(|| base().no_proxy()).map_err(failed)?;
        Ok(Self { outward, loopback, settings: settings.clone() })
    }

    /// The client for calls to this org.
    pub(crate) fn client(&self, org: &OrgOrigin, traffic: Traffic) -> &reqwest::Client {
        let clients = if org.is_loopback() { &self.loopback } else { &self.outward };
        match traffic {
            Traffic::Token => &clients.token,
            Traffic::Rest => &clients.rest,
        }
    }

    /// Sends one request and reads the whole answer within the limits of its traffic.
    pub(crate) async fn send(
        &self,
        host: &str,
        traffic: Traffic,
        request: reqwest::RequestBuilder,
    ) -> Result<RawAnswer, SendFailure> {
        let (deadline, limit) = match traffic {
            Traffic::Token => (self.settings.token_deadline, TOKEN_BODY_LIMIT),
            Traffic::Rest => (self.settings.rest_deadline, REST_BODY_LIMIT),
        };
        let response = request.timeout(deadline).send().await.map_err(|error| failed_send(host, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_capped(response, limit).await.map_err(|error| error.at(host))?;
        Ok(RawAnswer { status, headers, body })
    }
}

enum ReadError {
    TooLarge { limit: usize },
    Cut(reqwest::Error),
}

impl ReadError {
    fn at(self, host: &str) -> SendFailure {
        let host = host.to_owned();
        match self {
            Self::TooLarge { limit } => {
                SendFailure::AnswerUnknown { host, reason: UnknownReason::TooLarge { limit }, source: None }
            }
            Self::Cut(error) => answer_unknown(host, error),
        }
    }
}

async fn read_capped(mut response: reqwest::Response, limit: usize) -> Result<Bytes, ReadError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Cut)? {
        if body.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failed_send(host: &str, error: reqwest::Error) -> SendFailure {
    let host = host.to_owned();
    match not_sent_reason(&error) {
        Some(reason) => SendFailure::NotSent { host, reason, source: error.without_url().into() },
        None => answer_unknown(host, error),
    }
}

fn answer_unknown(host: String, error: reqwest::Error) -> SendFailure {
    let reason = if error.is_timeout() { UnknownReason::Timeout } else { UnknownReason::Cut };
    SendFailure::AnswerUnknown { host, reason, source: Some(error.without_url().into()) }
}

/// `None` when the request may have left this machine.
fn not_sent_reason(error: &reqwest::Error) -> Option<NotSentReason> {
    if error.is_builder() {
        return Some(NotSentReason::Request);
    }
    if error.is_dns() {
        return Some(NotSentReason::Dns);
    }
    if !error.is_connect() {
        return None;
    }
    if error.is_timeout() {
        return Some(NotSentReason::Timeout);
    }
    Some(if is_tls(error) { NotSentReason::Tls } else { NotSentReason::Connect })
}

/// rustls reports what the other side did wrong as `InvalidData` (or an end inside the handshake).
fn is_tls(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) if matches!(io.kind(), InvalidData | UnexpectedEof) => return true,
            // `source` of an io::Error skips the error it wraps.
            Some(io) => io.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    false
}
