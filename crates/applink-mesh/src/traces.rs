//! OpenTelemetry traces (feature `otel`): one span a request, sent as OTLP over HTTP in JSON.
//!
//! 1. A caller's `traceparent` (W3C Trace Context) is gone on with, or a trace begins here.
//! 2. The app gets a `traceparent` that names the mesh's span, so that its own spans hang below it.
//! 3. Every five seconds the spans that have ended go to the collector, beside the traffic. What it can't be told is
//!    dropped: traces are a help and never hold anything up.
//!
//! A span holds what a line of the access log holds: never a token, a query, a body or any other header. The client is
//! the one the control plane is asked with, so the feature needs no further crate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::entropy::Entropy;
use applink_api::time::Timestamp;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};
use http::{Request, request};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::closing::Over;
use crate::control_plane::{ControlPlaneConfigError, connector};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Names of variables that every OpenTelemetry exporter knows.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// Methods that may stand in a span's name: those of HTTP (RFC 9110 §9.1, RFC 5789).
const KNOWN: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Spans that wait, at most: five seconds of 800 requests each.
const WAITING: usize = 4_096;
/// How long the collector may take.
const SENDING: Duration = Duration::from_secs(5);

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// The collector's URL, path included (`…/v1/traces`).
    pub endpoint: Uri,
    /// `service.name` of the spans.
    pub service: String,
    /// How often spans are sent.
    pub every: Duration,
}

/// The collector's URL is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ENDPOINT} is not the URL of a collector: it must look like http://127.0.0.1:4318")]
pub struct EndpointError;

impl TraceSettings {
    /// Traces to the collector at `endpoint`, under the mesh's own name.
    ///
    /// # Errors
    /// [`EndpointError`] when it is no http(s) URL.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        let endpoint: Uri = endpoint.trim().parse().map_err(|_| EndpointError)?;
        let known = endpoint.scheme() == Some(&Scheme::HTTP) || endpoint.scheme() == Some(&Scheme::HTTPS);
        if !known || endpoint.authority().is_none() {
            return Err(EndpointError);
        }
        Ok(Self { endpoint, service: "applink-mesh".to_owned(), every: Duration::from_secs(5) })
    }

    /// From the environment, when it names a collector.
    pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, EndpointError> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
        let Some(endpoint) = set(TRACES_ENDPOINT).or_else(|| set(ENDPOINT).map(below)) else {
            return Ok(None);
        };
        let mut settings = Self::new(&endpoint)?;
        settings.service = set(SERVICE).unwrap_or(settings.service);
        Ok(Some(settings))
    }
}

/// A request's place in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    trace: String,
    id: String,
    parent: Option<String>,
    sampled: bool,
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) span: Span,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) verdict: &'static str,
    pub(crate) org_id: String,
    pub(crate) request_id: String,
}

/// Begins spans and keeps those that have ended until they are sent.
#[derive(Debug)]
pub(crate) struct Traces {
    entropy: Entropy,
    ended: Mutex<Vec<Ended>>,
}

impl Traces {
    pub(crate) fn new(entropy: Entropy) -> Arc<Self> {
        Arc::new(Self { entropy, ended: Mutex::default() })
    }

    pub(crate) fn begin(&self, headers: &HeaderMap) -> Span {
        let id = self.entropy.hex::<8>();
        let sent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse);
        match sent {
            Some((trace, parent, sampled)) => Span { trace, id, parent: Some(parent), sampled },
            None => Span { trace: self.entropy.hex::<16>(), id, parent: None, sampled: true },
        }
    }

    pub(crate) fn end(&self, ended: Ended) {
        let mut waiting = self.lock();
        if ended.span.sampled && waiting.len() < WAITING {
            waiting.push(ended);
        }
    }

    fn take(&self) -> Vec<Ended> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Trace, parent and whether it is sampled (W3C Trace Context §3.2).
fn parse(traceparent: &str) -> Option<(String, String, bool)> {
    let mut fields = traceparent.split('-');
    let (version, trace) = (fields.next()?, fields.next()?);
    let (parent, flags) = (fields.next()?, fields.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known = hex(version, 2) && version != "ff" && (version != "00" || fields.next().is_none());
    let named = |text: &str, length: usize| hex(text, length) && text.bytes().any(|byte| byte != b'0');
    if !known || !named(trace, 32) || !named(parent, 16) || !hex(flags, 2) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    Some((trace.to_owned(), parent.to_owned(), sampled))
}

/// Tells the app which span is above its own.
pub(crate) fn inject(span: Option<&Span>, mut parts: request::Parts) -> request::Parts {
    if let Some(Span { trace, id, sampled, .. }) = span
        && let Ok(value) = HeaderValue::try_from(format!("00-{trace}-{id}-0{}", u8::from(*sampled)))
    {
        parts.headers.insert(TRACEPARENT, value);
    }
    parts
}

/// Sends spans to the collector.
pub(crate) struct Exporter {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: TraceSettings,
}

impl Exporter {
    pub(crate) fn new(settings: TraceSettings) -> Result<Self, ControlPlaneConfigError> {
        let connector = connector(settings.endpoint.scheme() == Some(&Scheme::HTTPS))?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), settings })
    }

    /// Sends from time to time, and at the end what is left.
    pub(crate) async fn run(self, traces: Arc<Traces>, mut over: Over) {
        loop {
            let last = over.within(self.settings.every).await;
            let ended = traces.take();
            if !ended.is_empty() && !self.send(&ended).await {
                tracing::debug!(spans = ended.len(), "the collector did not take the spans");
            }
            if last {
                return;
            }
        }
    }

    async fn send(&self, ended: &[Ended]) -> bool {
        let request = Request::post(self.settings.endpoint.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body(&self.settings.service, ended).to_string()));
        let Ok(request) = request else { return false };
        let answer = tokio::time::timeout(SENDING, self.client.request(request)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
    }
}

fn body(service: &str, ended: &[Ended]) -> Value {
    let spans: Vec<Value> = ended.iter().map(encode).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", service)]},
        "scopeSpans": [{
            "scope": {"name": "applink-mesh", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]})
}

/// As OTLP's JSON has it: ids in hex, 64-bit numbers as text, kind 2 for a server, status 2 for an error. Collectors count
/// by name and method, so that there are only as many of these as methods that are known (semantic conventions for HTTP).
fn encode(ended: &Ended) -> Value {
    let nanos = |time: Timestamp| format!("{}000", time.as_micros());
    let known = KNOWN.contains(&ended.method.as_str());
    let (name, method) =
        if known { (ended.method.as_str(), ended.method.as_str()) } else { ("HTTP", "_OTHER") };
    json!({
        "traceId": ended.span.trace,
        "spanId": ended.span.id,
        "parentSpanId": ended.span.parent.as_deref().unwrap_or_default(),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": nanos(ended.begin),
        "endTimeUnixNano": nanos(ended.end),
        "attributes": [
            text("http.request.method", method),
            text("url.path", &ended.path),
            json!({"key": "http.response.status_code", "value": {"intValue": ended.status.to_string()}}),
            text("applink.verdict", ended.verdict),
            text("applink.org_id", &ended.org_id),
            text("applink.request_id", &ended.request_id),
        ],
        "status": {"code": if ended.status >= 500 { 2 } else { 0 }},
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn only_a_well_formed_traceparent_is_gone_on_with() {
        let good = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(parse(&good), Some((TRACE.to_owned(), PARENT.to_owned(), true)));
        assert_eq!(parse(&format!("00-{TRACE}-{PARENT}-00")).map(|sent| sent.2), Some(false));
        assert!(parse(&format!("cc-{TRACE}-{PARENT}-01-more")).is_some(), "a later version");
        for wrong in [
            String::new(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            good.to_ascii_uppercase(),
            format!("{good}-x"),
            good.replace("01", "0"),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_environment_names_the_collector() {
        let read = |set: &[(&str, &str)]| {
            TraceSettings::read(&|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[]), Ok(None));
        let settings = read(&[(ENDPOINT, "http://c:4318/"), (SERVICE, "shop")]).unwrap().unwrap();
        assert_eq!(
            (settings.endpoint.to_string().as_str(), settings.service.as_str()),
            ("http://c:4318/v1/traces", "shop")
        );
        let own = read(&[(ENDPOINT, "http://c"), (TRACES_ENDPOINT, "https://d/t")]).unwrap().unwrap();
        assert_eq!(own.endpoint, "https://d/t");
        assert_eq!(read(&[(ENDPOINT, "c:4318")]), Err(EndpointError));
    }
}
