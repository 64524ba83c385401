//! Phase *forward*: to the app and back, streaming both ways.
//!
//! * Path and query go as they came; `Host` by [`HostRule`]; everything about the client's connection stays here.
//! * Redirects, errors and whatever else the app answers are passed on as they are.
//! * An app that breaks off in the middle of a response breaks the client's connection off too.
//! * A client that goes away takes its request to the app with it.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, COOKIE, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::uri::{Authority, Parts as UriParts, PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode, Version, request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::{HostRule, MeshConfig};
use crate::connection::{ConnectionState, InFlight};
use crate::forward::body::{Activity, BodyStalled};
use crate::forward::interim::Interims;
use crate::readiness::{AtApp, Readiness};
use crate::respond::{Body, BoxError, MARKER, MeshError};

pub(crate) mod body;
pub(crate) mod hop_by_hop;
mod interim;
mod tunnel;

/// The app is on this machine, or next to it.
const CONNECT: Duration = Duration::from_secs(5);
/// Less than the keep-alive of the common servers (Node 5 s, uvicorn 5 s, gunicorn 2 s), so that a request is not
/// sent on a connection that the app is just closing.
const IDLE: Duration = Duration::from_millis(1_500);

/// Forwards requests to the app. One per mesh; it keeps the connections.
pub(crate) struct Forwarder {
    client: Client<HttpConnector, Body>,
    app: Authority,
    host: HostRule,
    response_limit: Duration,
    reload_limit: Duration,
    readiness: Readiness,
}

/// What of a request's connection is needed besides the request.
pub(crate) struct Line<'c> {
    pub(crate) connection: &'c ConnectionState,
    pub(crate) upgrade: Option<OnUpgrade>,
    pub(crate) activity: Option<Activity>,
    pub(crate) in_flight: InFlight,
}

impl Forwarder {
    pub(crate) fn new(config: &MeshConfig, readiness: Readiness) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(tcp);
        Self {
            client,
            app: config.app.authority().clone(),
            host: config.host,
            response_limit: config.limits.response,
            reload_limit: config.limits.reload,
            readiness,
        }
    }

    /// Sends a sanitized request to the app. What comes back is the app's own answer.
    pub(crate) async fn forward(
        &self,
        parts: request::Parts,
        body: Body,
        path: &PathAndQuery,
        mut line: Line<'_>,
    ) -> Result<Response<Body>, MeshError> {
        let at_app = self.readiness.enter(self.reload_limit).await.ok_or(MeshError::AppStarting)?;
        let interim_wanted = parts.version == Version::HTTP_11;
        let upgrade = line.upgrade.take().filter(|_| parts.headers.contains_key(UPGRADE));
        let mut request = self.request(parts, body, path)?;
        let interim = interim_wanted.then(|| Interims::collect(&mut request));
        let answer = self.exchange(request, interim, &line).await?;
        self.pass_back(answer, upgrade, line.in_flight, at_app)
    }

    fn request(
        &self,
        parts: request::Parts,
        body: Body,
        path: &PathAndQuery,
    ) -> Result<Request<Body>, MeshError> {
        let mut target = UriParts::default();
        target.scheme = Some(Scheme::HTTP);
        target.authority = Some(self.app.clone());
        target.path_and_query = Some(path.clone());
        let target = Uri::from_parts(target).map_err(|error| MeshError::AppUnreachable(error.into()))?;
        let mut request = Request::new(body);
        *request.method_mut() = parts.method;
        *request.uri_mut() = target;
        *request.headers_mut() = parts.headers;
        self.set_host(request.headers_mut(), parts.uri.authority());
        if parts.version == Version::HTTP_2 {
            join_cookies(request.headers_mut());
        }
        Ok(request)
    }

    /// Without a `Host` the client writes the app's own address.
    fn set_host(&self, headers: &mut HeaderMap, target: Option<&Authority>) {
        if self.host == HostRule::App {
            headers.remove(HOST);
        } else if let Some(Ok(host)) = target.map(|target| HeaderValue::from_str(target.as_str())) {
            headers.insert(HOST, host);
        }
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        interim: Option<Interims>,
        line: &Line<'_>,
    ) -> Result<Response<Incoming>, MeshError> {
        let mut answer = self.client.request(request);
        let mut head = std::pin::pin!(self.await_head(&mut answer, line.activity.as_ref()));
        std::future::poll_fn(|cx| {
            while let Some(Poll::Ready(some)) = interim.as_ref().map(|interim| interim.poll_some(cx)) {
                some.iter().for_each(|encoded| line.connection.send_interim(encoded));
            }
            head.as_mut().poll(cx)
        })
        .await
    }

    /// The limit counts from the last piece of the request's body, so an upload may take as long as it moves.
    async fn await_head(
        &self,
        answer: &mut ResponseFuture,
        activity: Option<&Activity>,
    ) -> Result<Response<Incoming>, MeshError> {
        let begin = tokio::time::Instant::now();
        loop {
            let deadline = activity.map_or(begin, Activity::last).max(begin) + self.response_limit;
            match tokio::time::timeout_at(deadline, &mut *answer).await {
                Ok(head) => return head.map_err(|error| failure(error.into())),
                Err(_)
                    if activity.is_some_and(|activity| activity.last() + self.response_limit > deadline) => {}
                Err(_) => return Err(MeshError::AppTimeout),
            }
        }
    }

    fn pass_back(
        &self,
        mut answer: Response<Incoming>,
        upgrade: Option<OnUpgrade>,
        in_flight: InFlight,
        at_app: AtApp,
    ) -> Result<Response<Body>, MeshError> {
        let app_side =
            (answer.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut answer));
        let (mut parts, incoming) = answer.into_parts();
        let protocol = parts.headers.get(UPGRADE).cloned();
        hop_by_hop::strip_response(&mut parts.headers);
        parts.headers.remove(MARKER);
        let mut passed = Response::new(());
        *passed.status_mut() = parts.status;
        *passed.headers_mut() = parts.headers;
        let Some(app_side) = app_side else {
            let body = body::ResponseBody::new(incoming, in_flight, at_app);
            return Ok(passed.map(|()| body.map_err(BoxError::from).boxed_unsync()));
        };
        let Some(client_side) = upgrade else {
            return Err(MeshError::AppUnreachable("the app changed protocol without being asked".into()));
        };
        keep_upgrade(passed.headers_mut(), protocol);
        tunnel::spawn(client_side, app_side, self.readiness.clone(), (in_flight, at_app));
        Ok(passed.map(|()| crate::respond::full(Bytes::new())))
    }
}

/// Puts the one hop-by-hop header back that has to cross: both hops change protocol together.
pub(crate) fn keep_upgrade(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// HTTP/2 clients may split `Cookie` for compression; HTTP/1.1 knows one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice()))
    {
        headers.insert(COOKIE, joined);
    }
}

/// A failure that the caller's own body caused is the caller's.
fn failure(error: BoxError) -> MeshError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(inner) = cause {
        if let Some(stalled) = inner.downcast_ref::<BodyStalled>() {
            return MeshError::BodyUnreadable((*stalled).into());
        }
        cause = inner.source();
    }
    MeshError::AppUnreachable(error)
}
