//! What the mesh answers when it does not pass a request on: one error type, one place that turns it into a
//! response.
//!
//! Statuses and texts are those of the public mesh (text/plain, a closing newline, `nosniff`), except that no
//! answer ever names an internal address. Every answer carries the marker header
//! [`headers::MESH_MARKER`], so that an operator can tell "the mesh refused" from "the app refused".

use std::pin::Pin;
use std::task::{Context, Poll};

use applink_api::context::ContextError;
use applink_api::headers;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::authenticate::token::TokenProblem;
use crate::forward::body::ResponseBody;
use crate::path::PathError;

/// Any error of a body on its way through.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the caller gets.
#[derive(Debug)]
pub(crate) enum Body {
    /// Of the mesh itself.
    Own(Full<Bytes>),
    /// Of the app, on its way through.
    App(ResponseBody),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::App(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::App(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::App(body) => body.size_hint(),
        }
    }
}

pub(crate) const MARKER: HeaderName = HeaderName::from_static(headers::MESH_MARKER);
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);

/// Why a request was answered by the mesh and not by the app.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Not one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT.
    #[error("this method is not passed on")]
    Method,
    /// No `Host`, several, or a target that contradicts it (RFC 9112 §3.2, RFC 9113 §8.3.1).
    #[error("the request does not name one host")]
    Authority,
    /// For none of [`allowed_hosts`](crate::config::MeshConfig::allowed_hosts).
    #[error("the request is for a host that is not served here")]
    ForeignHost,
    /// From a web page of a site that is none of [`allowed_hosts`](crate::config::MeshConfig::allowed_hosts).
    #[error("the request comes from a web page of another site")]
    ForeignOrigin,
    /// A transfer coding other than one `chunked`.
    #[error("the body has a transfer coding that is not undone here")]
    Framing,
    /// The path can be read in more than one way.
    #[error("the path is ambiguous")]
    Path(#[source] PathError),
    /// A header only the org or the mesh may set came more than once.
    #[error("the header {0} came more than once")]
    Duplicate(&'static str),
    /// Nothing that could be verified.
    #[error("neither the org's headers nor a signature came with the request")]
    NoCredentials,
    /// One of the org's two headers without the other.
    #[error("only one of x-request-context and x-client-context came with the request")]
    HalfCredentials,
    /// `x-request-context` can't be read.
    #[error("x-request-context can't be read")]
    RequestContext(#[source] ContextError),
    /// `x-request-context` belongs to another request id.
    #[error("x-request-context belongs to another request")]
    RequestContextId,
    /// `x-client-context` can't be read.
    #[error("x-client-context can't be read")]
    ClientContext(#[source] ContextError),
    /// The control plane, or the binding to what it verified, says no.
    #[error("the call was refused: {0}")]
    Refused(Refusal),
    /// The control plane can't be reached or is overloaded.
    #[error("the control plane can't answer now")]
    ControlPlaneAway(#[source] BoxError),
    /// The control plane answered something that is neither yes nor no.
    #[error("the control plane answered {0}, which is neither yes nor no")]
    ControlPlaneAnswer(StatusCode),
    /// A data action's body is over the limit.
    #[error("the body is larger than the {0} bytes a signed data action may have")]
    BodyTooLarge(usize),
    /// Too many bodies of data actions are held already.
    #[error("no memory is left for bodies whose signature must be checked")]
    Crowded,
    /// The caller's body broke off or stalled.
    #[error("the body could not be read")]
    BodyUnreadable(#[source] BoxError),
    /// The app took a delivery of this data action before.
    #[error("the app took a delivery of this data action before")]
    AlreadyDelivered,
    /// The app has another delivery of this data action right now.
    #[error("the app has another delivery of this data action right now")]
    BeingDelivered,
    /// The app does not listen yet.
    #[error("the app does not accept connections yet")]
    AppStarting,
    /// The app refused the connection or broke it.
    #[error("the app could not be reached")]
    AppUnreachable(#[source] BoxError),
    /// The app did not begin to answer in time.
    #[error("the app did not begin to answer in time")]
    AppTimeout,
}

/// What made a readable call unacceptable. Only the log says which; the caller sees `Forbidden`, but for a key that is
/// not there yet, which the sender can't know otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The control plane does not vouch for the token or signature.
    #[error("not vouched for")]
    NotVouchedFor,
    /// The org has not made the signing key of the data action target yet.
    #[error("the data action target has no signing key yet")]
    NoSigningKey,
    /// The org's token does not count.
    #[error("the org's token does not count: {0}")]
    Token(TokenProblem),
    /// `x-client-context` belongs to another request.
    #[error("x-client-context of another request")]
    RequestId,
    /// `x-client-context` or `x-request-context` names another org than the token.
    #[error("another org than the token's")]
    Org,
    /// `x-client-context` names another user than the token.
    #[error("another user than the token's")]
    User,
    /// The call is meant for another app.
    #[error("meant for another app")]
    App,
    /// The token was used before.
    #[error("token used before")]
    Replayed,
}

/// Status, body and marker of an answer.
struct Answer {
    status: StatusCode,
    text: String,
    marker: &'static str,
}

impl MeshError {
    /// The value of the marker header, and the verdict in the access log.
    pub fn marker(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Authority => "authority",
            Self::ForeignHost => "foreign-host",
            Self::ForeignOrigin => "foreign-origin",
            Self::Framing => "framing",
            Self::Path(_) => "path",
            Self::Duplicate(_) => "duplicate-header",
            Self::NoCredentials => "no-credentials",
            Self::HalfCredentials => "half-credentials",
            Self::RequestContext(_) | Self::RequestContextId => "request-context",
            Self::ClientContext(_) => "client-context",
            Self::Refused(Refusal::NoSigningKey) => "signing-key-not-found",
            Self::Refused(_) => "refused",
            Self::ControlPlaneAway(_) => "control-plane-away",
            Self::ControlPlaneAnswer(_) => "control-plane-answer",
            Self::BodyTooLarge(_) => "body-too-large",
            Self::Crowded => "crowded",
            Self::BodyUnreadable(_) => "body-unreadable",
            Self::AlreadyDelivered => "already-delivered",
            Self::BeingDelivered => "being-delivered",
            Self::AppStarting => "app-starting",
            Self::AppUnreachable(_) => "app-unreachable",
            Self::AppTimeout => "app-timeout",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoCredentials => StatusCode::UNAUTHORIZED,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused(_) | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::ControlPlaneAway(_) | Self::AppStarting | Self::Crowded | Self::BeingDelivered => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::ControlPlaneAnswer(_) | Self::AppUnreachable(_) => StatusCode::BAD_GATEWAY,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AlreadyDelivered => StatusCode::CONFLICT,
            Self::AppTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Authority
            | Self::Framing
            | Self::Path(_)
            | Self::Duplicate(_)
            | Self::HalfCredentials
            | Self::RequestContext(_)
            | Self::RequestContextId
            | Self::ClientContext(_)
            | Self::BodyUnreadable(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn text(&self, request_id: &str) -> String {
        match self {
            Self::Method => String::new(),
            Self::Path(_) => "400 Invalid request path".to_owned(),
            Self::NoCredentials => "401 Invalid request".to_owned(),
            Self::ForeignHost => "421 This host is not served here".to_owned(),
            Self::ForeignOrigin => "403 Requests of other sites are refused".to_owned(),
            Self::Authority
            | Self::Framing
            | Self::Duplicate(_)
            | Self::HalfCredentials
            | Self::BodyUnreadable(_) => "400 Invalid request".to_owned(),
            Self::RequestContext(ContextError::Field(field)) => {
                format!("400 Missing or invalid value in x-request-context header: {field}")
            }
            Self::RequestContext(_) | Self::RequestContextId => {
                "400 Invalid x-request-context header".to_owned()
            }
            Self::ClientContext(_) => "400 Invalid x-client-context header".to_owned(),
            Self::Refused(Refusal::NoSigningKey) => "403 Signing Key Not Found".to_owned(),
            Self::Refused(_) => "Forbidden".to_owned(),
            Self::ControlPlaneAway(_) | Self::ControlPlaneAnswer(_) | Self::Crowded => {
                format!("Unable to authenticate request {request_id}")
            }
            Self::BodyTooLarge(limit) => format!("413 Body larger than {limit} bytes"),
            Self::AlreadyDelivered => "409 Already delivered".to_owned(),
            Self::BeingDelivered => "503 Being delivered".to_owned(),
            Self::AppStarting => format!("App is starting, unable to forward request {request_id}"),
            Self::AppUnreachable(_) => format!("Failed to forward request {request_id}"),
            Self::AppTimeout => format!("App did not answer request {request_id} in time"),
        }
    }

    /// The response of this error.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let answer = Answer { status: self.status(), text: self.text(request_id), marker: self.marker() };
        let mut response = text_response(answer, request_id);
        match self {
            // The public mesh names no methods; RFC 9110 §15.5.6 demands it.
            Self::Method => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(crate::receive::ALLOWED));
            }
            Self::ControlPlaneAway(_) | Self::AppStarting | Self::Crowded | Self::BeingDelivered => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// An answer of the mesh that is no refusal: its version, its health.
pub(crate) fn own_answer(
    status: StatusCode,
    text: &str,
    marker: &'static str,
    request_id: &str,
) -> Response<Body> {
    let mut response = text_response(Answer { status, text: text.to_owned(), marker }, request_id);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn text_response(answer: Answer, request_id: &str) -> Response<Body> {
    let text = if answer.text.is_empty() { String::new() } else { answer.text + "\n" };
    let mut response = Response::new(full(text.into()));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(MARKER, HeaderValue::from_static(answer.marker));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// A body that is all there.
pub(crate) fn full(bytes: Bytes) -> Body {
    Body::Own(Full::new(bytes))
}
