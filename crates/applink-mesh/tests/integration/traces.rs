//! Feature `otel`: spans reach a collector, and nothing that must not leave does.

use std::time::Duration;

use applink_mesh::traces::TraceSettings;
use serde_json::{Value, json};

use crate::integration::control_plane::{ControlPlane, Says};
use crate::integration::stack::{Call, ORG, ORG_JWT, SESSION, Stack, TOKEN, encode};
use crate::integration::trust::eventually;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn attribute<'s>(span: &'s Value, name: &str) -> &'s Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    found.unwrap()["value"].as_object().unwrap().values().next().unwrap()
}

async fn tracing(collector: &ControlPlane) -> Stack {
    let endpoint = format!("http://{}/v1/traces", collector.address);
    Stack::with(|config| {
        let mut settings = TraceSettings::new(&endpoint).unwrap();
        settings.every = Duration::from_millis(20);
        config.traces = Some(settings);
    })
    .await
}

#[tokio::test]
async fn a_span_without_token_or_body_reaches_the_collector() {
    let collector = ControlPlane::start(Says::Status(200, "{}")).await;
    let stack = tracing(&collector).await;
    let call = Call::new("r-1");
    let mut lines = call.lines();
    lines.push(format!("traceparent: 00-{TRACE}-{PARENT}-01"));
    let raw = stack.send("POST /api/act?key=query-canary", &lines, b"body-canary").await;
    assert_eq!(raw.status, 200);
    eventually(|| !collector.asked().is_empty()).await;
    let asked = collector.asked().remove(0);
    assert_eq!(
        (asked.path.as_str(), &asked.headers["content-type"]),
        ("/v1/traces", &"application/json".parse().unwrap())
    );
    assert!(asked.headers.get("authorization").is_none());
    let span = &asked.body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"], &span["kind"]),
        (&json!(TRACE), &json!(PARENT), &json!(2))
    );
    assert_eq!(attribute(span, "url.path"), "/api/act");
    assert_eq!(attribute(span, "http.response.status_code"), "200");
    assert_eq!(attribute(span, "applink.verdict"), "verified");
    assert_eq!(attribute(span, "applink.org_id"), ORG);
    let seen = stack.app.only();
    let below = format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap());
    assert_eq!(seen.header("traceparent"), Some(below.as_str()));
    let sent = asked.body.to_string();
    let contexts = [encode(&call.request_context), encode(&call.client_context)];
    for secret in [SESSION, ORG_JWT, TOKEN, "mesh-secret", "query-canary", "body-canary"]
        .into_iter()
        .chain(contexts.iter().map(String::as_str))
    {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_span_too_and_what_is_not_sampled_is_none() {
    let collector = ControlPlane::start(Says::Status(200, "{}")).await;
    let stack = tracing(&collector).await;
    let unsampled = [format!("traceparent: 00-{TRACE}-{PARENT}-00")];
    assert_eq!(stack.send("GET /unsampled", &unsampled, b"").await.status, 401);
    assert_eq!(stack.send("GET /refused", &[], b"").await.status, 401);
    eventually(|| !collector.asked().is_empty()).await;
    let spans = collector.asked().remove(0).body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    assert_eq!(spans.as_array().unwrap().len(), 1, "{spans}");
    assert_eq!(attribute(&spans[0], "url.path"), "/refused");
    assert_eq!(attribute(&spans[0], "applink.verdict"), "no-credentials");
    assert_eq!(spans[0]["parentSpanId"], "");
}

/// Collectors make series of names: a caller must not be able to make up as many as it likes.
#[tokio::test]
async fn a_method_that_is_none_is_no_name() {
    let collector = ControlPlane::start(Says::Status(200, "{}")).await;
    let stack = tracing(&collector).await;
    assert_eq!(stack.send("MADE-UP-BY-A-CALLER /x", &[], b"").await.status, 405);
    eventually(|| !collector.asked().is_empty()).await;
    let spans = collector.asked().remove(0).body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    assert_eq!(
        (&spans[0]["name"], attribute(&spans[0], "http.request.method")),
        (&json!("HTTP"), &json!("_OTHER"))
    );
    assert!(!spans.to_string().contains("MADE-UP"), "{spans}");
}

#[tokio::test]
async fn a_collector_that_fails_holds_nothing_up() {
    let collector = ControlPlane::start(Says::Status(503, "{}")).await;
    let stack = tracing(&collector).await;
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    eventually(|| !collector.asked().is_empty()).await;
    assert_eq!(stack.call(&Call::new("r-2")).await.status, 200);
    eventually(|| collector.asked().len() > 1).await;
}

#[tokio::test]
async fn the_last_spans_are_sent_when_the_mesh_stops() {
    let collector = ControlPlane::start(Says::Status(200, "{}")).await;
    let endpoint = format!("http://{}/v1/traces", collector.address);
    let stack = Stack::with(|config| {
        let mut settings = TraceSettings::new(&endpoint).unwrap();
        settings.every = Duration::from_secs(3_600);
        config.traces = Some(settings);
    })
    .await;
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    assert!(collector.asked().is_empty());
    stack.mesh.stop().await;
    let spans = collector.asked().remove(0).body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    assert_eq!(attribute(&spans[0], "applink.request_id"), "r-1");
}
