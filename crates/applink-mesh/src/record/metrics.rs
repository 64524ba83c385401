//! The metrics in Prometheus' text format, and the small server for them on an address of their own.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::pipeline::Pipeline;
use crate::record::tally::{BUCKETS, Histogram};
use crate::trust::Trust;

/// A scraper is near and quick.
const HEADERS: Duration = Duration::from_secs(5);

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>, trust: Trust) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (pipeline, trust) = (Arc::clone(&pipeline), trust.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answered = answer(&request, &pipeline, &trust);
                async move { Ok::<_, Infallible>(answered) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(request: &Request<Incoming>, pipeline: &Pipeline, trust: &Trust) -> Response<Full<Bytes>> {
    if *request.method() != Method::GET || request.uri().path() != "/metrics" {
        let mut response = Response::new(Full::from("GET /metrics\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(Full::from(render(pipeline, trust)));
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

/// Everything, as one text.
pub(crate) fn render(pipeline: &Pipeline, trust: &Trust) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    pipeline.recorder.look(|tally| {
        let mut totals: Vec<_> = tally.totals.iter().collect();
        totals.sort_unstable();
        text.head("requests_total", "counter", "Requests by verdict and status of the answer.");
        for ((verdict, status), count) in totals {
            text.line(&format!("requests_total{{verdict=\"{verdict}\",status=\"{status}\"}}"), count);
        }
        text.histogram(
            "request_duration_seconds",
            "From a request's head to the head of its answer.",
            &tally.whole,
        );
        text.histogram(
            "decision_duration_seconds",
            "Until the app is called or the call refused.",
            &tally.mesh,
        );
        text.histogram(
            "upstream_duration_seconds",
            "From there to the head of the app's answer.",
            &tally.app,
        );
    });
    let counters = pipeline.counters();
    let connections = pipeline.connections.numbers();
    text.one("connections", "gauge", "Open client connections.", connections.0);
    text.one("connections_total", "counter", "Client connections so far.", connections.1);
    text.one("replay_evictions_total", "counter", "Token ids forgotten early.", counters.replay_evictions);
    text.one("bypass_all", "gauge", "1 when nothing is authenticated.", u64::from(counters.bypass_all));
    text.one(
        "app_ready",
        "gauge",
        "1 while requests reach the app.",
        u64::from(pipeline.readiness.is_open()),
    );
    text.one(
        "control_plane_reachable",
        "gauge",
        "1 when the last poll was answered.",
        u64::from(trust.is_reachable()),
    );
    if let Some(age) = trust.age() {
        text.head(
            "trust_bundle_age_seconds",
            "gauge",
            "Since the last poll of the trust bundle that went well.",
        );
        text.line("trust_bundle_age_seconds", &age.as_secs_f64());
    }
    text.head("build_info", "gauge", "The version that runs.");
    text.line(concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), &1);
    text.0
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP applink_mesh_{name} {help}\n# TYPE applink_mesh_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, value: &dyn std::fmt::Display) {
        let _ = writeln!(self.0, "applink_mesh_{name} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, &value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let mut total = 0;
        for (bound, count) in BUCKETS.iter().zip(histogram.counts) {
            total += count;
            self.line(
                &format!("{name}_bucket{{le=\"{}\"}}", Duration::from_micros(*bound).as_secs_f64()),
                &total,
            );
        }
        total += histogram.counts.last().copied().unwrap_or_default();
        self.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), &total);
        self.line(&format!("{name}_sum"), &Duration::from_micros(histogram.sum_micros).as_secs_f64());
        self.line(&format!("{name}_count"), &total);
    }
}
