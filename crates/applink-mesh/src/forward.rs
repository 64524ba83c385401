//! Phase *forward*: to the app and back, streaming both ways.
//!
//! * Path and query go as they came; `Host` by [`HostRule`]; everything about the client's connection stays here.
//! * Redirects, errors and whatever else the app answers are passed on as they are.
//! * An app that breaks off in the middle of a response breaks the client's connection off too.
//! * A client that goes away takes its request to the app with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, COOKIE, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version, request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::config::{HostRule, MeshConfig};
use crate::connection::{ConnectionState, InFlight};
use crate::forward::body::{Activity, AppBody, BodyStalled, ResponseBody};
use crate::forward::upstream::{NoAnswer, Pool, Upstream};
use crate::readiness::{AtApp, Readiness};
use crate::respond::{Body, BoxError, MARKER, MeshError};

pub(crate) mod body;
mod draft;
mod heard;
pub(crate) mod hop_by_hop;
mod interim;
mod tunnel;
pub(crate) mod upstream;

/// Forwards requests to the app. One per thread; it keeps the connections.
pub(crate) struct Forwarder {
    pool: Arc<Pool>,
    /// What the app is told as `Host`, unless it is the caller's.
    app: HeaderValue,
    host: HostRule,
    response_limit: Duration,
    reload_limit: Duration,
    readiness: Readiness,
}

/// What of a request's connection is needed besides the request.
pub(crate) struct Line<'c> {
    pub(crate) connection: &'c Arc<ConnectionState>,
    pub(crate) upgrade: Option<OnUpgrade>,
    pub(crate) activity: Option<Activity>,
    pub(crate) in_flight: InFlight,
}

impl Forwarder {
    pub(crate) fn new(config: &MeshConfig, readiness: Readiness) -> Self {
        let app = config.app.authority();
        Self {
            pool: Pool::new(app.clone()),
            app: host(app),
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
        body: AppBody,
        path: &PathAndQuery,
        mut line: Line<'_>,
    ) -> Result<Response<Body>, MeshError> {
        let at_app = self.readiness.enter(self.reload_limit).await.ok_or(MeshError::AppStarting)?;
        let hears_interim = (parts.version == Version::HTTP_11).then_some(line.connection);
        let upgrade = line.upgrade.take().filter(|_| parts.headers.contains_key(UPGRADE));
        let request = self.request(parts, body, path);
        let (answer, upstream) = self.exchange(request, line.activity.as_ref(), hears_interim).await?;
        self.pass_back(answer, upstream, upgrade, line, at_app)
    }

    fn request(&self, parts: request::Parts, body: AppBody, path: &PathAndQuery) -> Request<AppBody> {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method;
        *request.uri_mut() = Uri::from(path.clone());
        *request.headers_mut() = parts.headers;
        self.set_host(request.headers_mut(), parts.uri.authority());
        if parts.version == Version::HTTP_2 {
            join_cookies(request.headers_mut());
        }
        request
    }

    /// The caller's own only when that is wanted and there is one.
    fn set_host(&self, headers: &mut HeaderMap, target: Option<&Authority>) {
        if self.host == HostRule::App {
            headers.insert(HOST, self.app.clone());
        } else if let Some(Ok(host)) = target.map(|target| HeaderValue::from_str(target.as_str())) {
            headers.insert(HOST, host);
        } else {
            headers.entry(HOST).or_insert_with(|| self.app.clone());
        }
    }

    /// A connection that the app closed while nobody used it is no answer: the request goes out on another one. When it was
    /// written before that was noticed, only if it may arrive twice, and once: on a connection of its own.
    async fn exchange(
        &self,
        mut request: Request<AppBody>,
        activity: Option<&Activity>,
        hears_interim: Option<&Arc<ConnectionState>>,
    ) -> Result<(Response<Incoming>, Box<Upstream>), MeshError> {
        let begin = Instant::now();
        // The limit counts from the last piece of the request's body, so an upload may take as long as it moves.
        let due = || activity.map_or(begin, Activity::last).max(begin) + self.response_limit;
        let mut fresh = false;
        loop {
            if let Some(connection) = hears_interim {
                interim::pass_on(&mut request, connection);
            }
            // In a box: what is seldom needed must not make every request larger.
            let upstream =
                if fresh { Box::pin(self.pool.fresh()).await } else { self.pool.connection().await };
            let mut upstream = upstream.map_err(MeshError::AppUnreachable)?;
            match upstream.send(request, due).await {
                Ok(answer) => return Ok((answer, upstream)),
                Err(NoAnswer::Unsent(again)) => request = *again,
                Err(NoAnswer::Unanswered(again)) => (request, fresh) = (*again, true),
                Err(NoAnswer::TimedOut) => return Err(MeshError::AppTimeout),
                Err(NoAnswer::Broken(error)) => return Err(failure(error)),
            }
        }
    }

    fn pass_back(
        &self,
        mut answer: Response<Incoming>,
        upstream: Box<Upstream>,
        upgrade: Option<OnUpgrade>,
        line: Line<'_>,
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
        let in_flight = line.in_flight;
        let Some(app_side) = app_side else {
            let source = if line.activity.is_none_or(|activity| activity.is_over()) {
                Some((upstream, Arc::clone(&self.pool)))
            } else {
                upstream.detach(Arc::clone(&self.pool), Some(at_app.clone()));
                None
            };
            let body = ResponseBody::new(incoming, source, in_flight, at_app);
            return Ok(passed.map(|()| Body::App(body)));
        };
        let Some(client_side) = upgrade else {
            return Err(MeshError::AppUnreachable("the app changed protocol without being asked".into()));
        };
        upstream.detach(Arc::clone(&self.pool), Some(at_app.clone()));
        keep_upgrade(passed.headers_mut(), protocol);
        tunnel::spawn(client_side, app_side, self.readiness.clone(), (in_flight, at_app));
        Ok(passed.map(|()| crate::respond::full(Bytes::new())))
    }
}

/// The app's address as `Host` has it: without a port that goes without saying (RFC 9110 §7.2).
fn host(app: &Authority) -> HeaderValue {
    let text = if app.port_u16() == Some(80) { app.host() } else { app.as_str() };
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
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
