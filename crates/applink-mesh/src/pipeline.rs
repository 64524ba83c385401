//! The life of a request, phase by phase.

use std::sync::Arc;
use std::time::Duration;

use applink_api::entropy::Entropy;
use bytes::Bytes;
use http::header::{EXPECT, HeaderValue};
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use secrecy::ExposeSecret as _;

use crate::authenticate::Authenticator;
use crate::authenticate::data_action::DataActionVerifier;
use crate::authenticate::deliveries::Delivery;
use crate::classify::{Call, DataActionCall, SalesforceCall};
use crate::connection::{ConnectionState, Connections, InFlight};
use crate::decide::{Decision, DecisionRules, decide};
use crate::forward::body::{AppBody, RequestBody};
use crate::forward::{Forwarder, Line, hop_by_hop, keep_upgrade};
use crate::readiness::{Readiness, Stage};
use crate::receive::{Received, request_id};
use crate::record::{Caller, Counters, Record, Recorder};
use crate::respond::{Body, MeshError, REQUEST_ID, own_answer};
use crate::sanitize::{Sanitizer, TrustedFacts};

/// What the info route answers.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// How long what a refused caller still sends is thrown away, so that it gets to read the refusal: closing at once
/// would make its system discard it.
const LINGER: Duration = Duration::from_secs(2);

/// All phases with what they need. One per mesh.
pub(crate) struct Pipeline {
    pub(crate) rules: DecisionRules,
    pub(crate) authenticator: Authenticator,
    pub(crate) data_actions: DataActionVerifier,
    pub(crate) sanitizer: Sanitizer,
    pub(crate) connections: Connections,
    pub(crate) readiness: Readiness,
    pub(crate) recorder: Recorder,
    pub(crate) entropy: Entropy,
    pub(crate) body_limit: Duration,
}

/// One request on its way, apart from its head.
struct Exchange {
    request_id: String,
    connection: Arc<ConnectionState>,
    in_flight: Option<InFlight>,
    upgrade: Option<OnUpgrade>,
    body: Option<RequestBody>,
    delivery: Option<Delivery>,
    expects_continue: bool,
}

impl Pipeline {
    /// Answers one request, whatever happens.
    pub(crate) async fn handle(
        &self,
        forwarder: &Forwarder,
        request: Request<Incoming>,
        connection: Arc<ConnectionState>,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let mut exchange = Exchange {
            request_id: request_id(&parts.headers, &self.entropy),
            in_flight: Some(connection.begin()),
            body: Some(RequestBody::new(body, self.body_limit, &connection)),
            connection,
            upgrade: parts.extensions.remove(),
            delivery: None,
            expects_continue: parts.headers.contains_key(EXPECT),
        };
        let mut record = self.recorder.begin(&parts);
        let mut response = match self.run(forwarder, parts, &mut exchange, &mut record).await {
            Ok(response) => response,
            Err(error) => self.refuse(error, &mut exchange, &mut record),
        };
        return_request_id(&mut response, &exchange.request_id);
        // Record: last, because only now is it known how it ended.
        self.recorder.end(record, &exchange.request_id, response.status());
        response
    }

    /// The phases in their order. An error in one of them is the answer.
    async fn run(
        &self,
        forwarder: &Forwarder,
        parts: request::Parts,
        exchange: &mut Exchange,
        record: &mut Record,
    ) -> Result<Response<Body>, MeshError> {
        // Receive, bypass, classify: pure and first, so that no stranger costs a call, a body or memory.
        let (received, call) = match decide(&parts, &exchange.request_id, &self.rules)? {
            Decision::Info => return Ok(own_answer(StatusCode::OK, VERSION, "info", &exchange.request_id)),
            Decision::Health => return Ok(self.health(&exchange.request_id)),
            Decision::Open(received) => (received, None),
            Decision::Verify(received, call) => (received, Some(call)),
        };
        // Authenticate: before any header is touched, because it judges what was sent.
        let (facts, held) = self.authenticate(call, &parts, exchange, record).await?;
        // Sanitize: right before forwarding, so that nothing can be added after it.
        let parts = self.sanitize(parts, facts, &received, exchange);
        #[cfg(feature = "otel")]
        let parts = crate::traces::inject(record.span.as_ref(), parts);
        // Forward: the app's own answer, whatever it is.
        let response = Self::forward(forwarder, parts, held, &received, exchange).await?;
        if let Some(delivery) = exchange.delivery.take().filter(|_| response.status().is_success()) {
            Box::pin(self.data_actions.delivered(delivery, &exchange.request_id)).await;
        }
        Ok(response)
    }

    /// What the app may believe, and the body it gets: the caller's own, or the bytes that were verified.
    async fn authenticate(
        &self,
        call: Option<Call>,
        parts: &request::Parts,
        exchange: &mut Exchange,
        record: &mut Record,
    ) -> Result<(TrustedFacts, Option<Bytes>), MeshError> {
        match call {
            None => {
                self.recorder.passed(record, Caller::Unknown);
                Ok((TrustedFacts::default(), None))
            }
            Some(Call::Salesforce(call)) => Ok((self.salesforce(*call, exchange, record).await?, None)),
            Some(Call::DataAction(call)) => {
                self.data_actions.ensure_declared_length(&parts.headers)?;
                // In a box: what is seldom needed must not make every request larger.
                Box::pin(self.data_action(call, exchange, record)).await
            }
        }
    }

    async fn salesforce(
        &self,
        call: SalesforceCall,
        exchange: &Exchange,
        record: &mut Record,
    ) -> Result<TrustedFacts, MeshError> {
        let (context, verified) = self.authenticator.authenticate(call, &exchange.request_id).await?;
        self.recorder.passed(record, Caller::User(verified));
        let client_context = context.encode().map_err(MeshError::ClientContext)?;
        Ok(TrustedFacts { client_context: Some(client_context), signature: None })
    }

    async fn data_action(
        &self,
        call: DataActionCall,
        exchange: &mut Exchange,
        record: &mut Record,
    ) -> Result<(TrustedFacts, Option<Bytes>), MeshError> {
        let body = exchange.body.take();
        let (payload, delivery) = self.data_actions.verify(&call, body, &exchange.request_id).await?;
        exchange.delivery = delivery;
        self.recorder.passed(record, Caller::Org(call.org_id));
        Ok((
            TrustedFacts { client_context: None, signature: Some(call.signature.expose_secret().to_owned()) },
            Some(payload),
        ))
    }

    /// First what belongs to the connection goes, then what the mesh vouches for is set: a client can't have a
    /// trusted header removed by nominating it in `Connection`.
    fn sanitize(
        &self,
        mut parts: request::Parts,
        facts: TrustedFacts,
        received: &Received,
        exchange: &Exchange,
    ) -> request::Parts {
        let protocol: Option<HeaderValue> = hop_by_hop::wanted_upgrade(&parts.headers);
        hop_by_hop::strip_request(&mut parts.headers);
        keep_upgrade(&mut parts.headers, protocol.filter(|_| exchange.upgrade.is_some()));
        let (id, authority) = (&exchange.request_id, received.authority.as_deref());
        self.sanitizer.sanitize(&mut parts.headers, facts, id, authority, exchange.connection.peer);
        parts
    }

    async fn forward(
        forwarder: &Forwarder,
        parts: request::Parts,
        held: Option<Bytes>,
        received: &Received,
        exchange: &mut Exchange,
    ) -> Result<Response<Body>, MeshError> {
        let activity = exchange.body.as_ref().and_then(RequestBody::activity);
        let body = match (held, exchange.body.take()) {
            (None, Some(streamed)) => AppBody::Streamed(streamed),
            (held, _) => AppBody::Held(Full::new(held.unwrap_or_default())),
        };
        let in_flight = exchange.in_flight.take().unwrap_or_else(|| exchange.connection.begin());
        let upgrade = exchange.upgrade.take();
        let line = Line { connection: &exchange.connection, upgrade, activity, in_flight };
        forwarder.forward(parts, body, received.path.as_sent(), line).await
    }

    fn health(&self, request_id: &str) -> Response<Body> {
        let (status, text) = match self.readiness.stage() {
            Stage::Ready if self.readiness.is_held() => {
                (StatusCode::SERVICE_UNAVAILABLE, "App is restarting")
            }
            Stage::Ready => (StatusCode::OK, "OK"),
            Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "App is starting"),
            Stage::Draining | Stage::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "Stopping"),
        };
        own_answer(status, text, "health", request_id)
    }

    fn refuse(&self, error: MeshError, exchange: &mut Exchange, record: &mut Record) -> Response<Body> {
        self.recorder.failed(record, &exchange.request_id, &error);
        // Reading on would ask a caller that waits for `100 Continue` to send its body after all.
        if let Some(body) =
            exchange.body.take().filter(|body| !body.is_end_stream() && !exchange.expects_continue)
        {
            tokio::spawn(linger(body));
        }
        error.into_response(&exchange.request_id)
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            replay_evictions: self.authenticator.replay.evictions(),
            bypass_all: self.rules.bypass.all,
            ..self.recorder.counters()
        }
    }
}

async fn linger(mut body: RequestBody) {
    let drained = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
}

/// An app that set one itself knows why.
fn return_request_id(response: &mut Response<Body>, request_id: &str) {
    if !response.headers().contains_key(REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(request_id)
    {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}
