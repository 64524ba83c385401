//! What can be seen from outside: metrics on an address of their own, reports to the control plane, `check`.

use std::net::SocketAddr;
use std::time::Duration;

use applink_mesh::config::VerifyRule;
use serde_json::json;

use crate::integration::app::App;
use crate::integration::control_plane::{Bundle, ControlPlane, Says};
use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::send;
use crate::integration::signer::{ORG_KEY, bundle, claims, header};
use crate::integration::stack::{Call, ORG, ORG_JWT, SESSION, Stack, TOKEN, USER};
use crate::integration::trust::{eventually, verifying};

fn with_metrics(config: &mut applink_mesh::config::MeshConfig) {
    config.metrics = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
}

async fn scrape(stack: &Stack) -> String {
    let raw = send(stack.mesh.metrics_addr().unwrap(), "GET /metrics", &[], b"").await;
    assert_eq!(raw.status, 200);
    raw.text()
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("applink_mesh_{series} ")))?;
    line.parse().ok()
}

#[tokio::test]
async fn metrics_tell_verdicts_durations_and_the_age_of_the_bundle() {
    let stack = verifying(with_metrics).await;
    let mut call = Call::new("r-1");
    call.request_context["auth"] = json!(ORG_KEY.sign(&header(), &claims("t-1")));
    assert_eq!(stack.call(&call).await.status, 200);
    assert_eq!(stack.call(&call).await.status, 403, "used before");
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 401);
    let text = scrape(&stack).await;
    for (series, expected) in [
        ("requests_total{verdict=\"verified\",status=\"200\"}", 1.0),
        ("requests_total{verdict=\"refused\",status=\"403\"}", 1.0),
        ("requests_total{verdict=\"no-credentials\",status=\"401\"}", 1.0),
        ("request_duration_seconds_count", 3.0),
        ("request_duration_seconds_bucket{le=\"+Inf\"}", 3.0),
        ("upstream_duration_seconds_count", 1.0),
        ("connections_total", 3.0),
        ("bypass_all", 0.0),
        ("app_ready", 1.0),
        ("control_plane_reachable", 1.0),
        ("replay_evictions_total", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    assert!(value(&text, "trust_bundle_age_seconds").is_some_and(|age| age < 10.0));
    for secret in [ORG, USER, SESSION, TOKEN, "mesh-secret", "r-1"] {
        assert!(!text.contains(secret), "{secret} in the metrics");
    }
}

#[tokio::test]
async fn promise_25_bypass_all_shows_in_the_metrics() {
    let stack = Stack::with(|config| {
        with_metrics(config);
        config.bypass.all = true;
    })
    .await;
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    let text = scrape(&stack).await;
    assert_eq!(value(&text, "bypass_all"), Some(1.0));
    assert_eq!(value(&text, "requests_total{verdict=\"open\",status=\"200\"}"), Some(1.0));
    assert_eq!(value(&text, "trust_bundle_age_seconds"), None);
    let elsewhere = send(stack.mesh.metrics_addr().unwrap(), "GET /", &[], b"").await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn reports_count_all_show_some_and_never_hold_up_a_call() {
    let stack = Stack::beside(App::start().await, Bundle::Is(bundle("v1")), |config| {
        config.trust.verify = VerifyRule::Local;
        config.trust.poll_every = Duration::from_millis(10);
        config.report_every = Some(Duration::from_millis(20));
    })
    .await;
    eventually(|| stack.control_plane.polls().1 > 0).await;
    stack.control_plane.say(Says::Status(204, ""));
    // The control plane takes its time; calls don't wait for it.
    stack.control_plane.hold_answers();
    for number in 0..3 {
        let mut call = Call::new(&format!("r-{number}"));
        call.request_context["auth"] = json!(ORG_KEY.sign(&header(), &claims(&format!("t-{number}"))));
        let raw = stack.send("POST /api/act?key=query-canary", &call.lines(), b"body-canary").await;
        assert_eq!(raw.status, 200);
    }
    eventually(|| !stack.control_plane.asked().is_empty()).await;
    stack.control_plane.release_answers();
    eventually(|| counted(&stack) == 3).await;
    let asked = stack.control_plane.asked();
    assert!(asked.iter().all(|asked| asked.path == "/addons/a1/invocations/report"));
    let record = asked.iter().flat_map(|asked| asked.body["sample"].as_array().unwrap()).next().unwrap();
    assert_eq!(record["operation"], json!("POST /api/act"));
    assert_eq!((&record["org_id"], &record["user_id"]), (&json!(ORG), &json!(USER)));
    let all = format!("{asked:?}");
    for secret in ["canary\"", ORG_JWT, SESSION, "query-canary", "body-canary", "mesh-secret"] {
        assert!(!all.replace(TOKEN, "").contains(secret), "{secret} in {all}");
    }
}

/// Requests in reports, each sequence counted once, as the control plane does.
fn counted(stack: &Stack) -> u64 {
    let mut latest = std::collections::BTreeMap::new();
    for asked in stack.control_plane.asked() {
        let counts = asked.body["counts"].as_array().unwrap().clone();
        let total: u64 = counts.iter().map(|count| count["count"].as_u64().unwrap()).sum();
        latest.insert(asked.body["sequence"].as_u64().unwrap(), total);
    }
    latest.values().sum()
}

#[tokio::test]
async fn a_report_that_could_not_be_sent_is_sent_again_as_it_was() {
    let stack = Stack::with(|config| {
        config.bypass.all = true;
        config.report_every = Some(Duration::from_millis(20));
    })
    .await;
    stack.control_plane.say(Says::Status(503, ""));
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    eventually(|| stack.control_plane.asked().len() >= 2).await;
    stack.control_plane.say(Says::Status(204, ""));
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    eventually(|| counted(&stack) == 2).await;
    let asked = stack.control_plane.asked();
    let (first, again) = (&asked[0].body, &asked[1].body);
    assert_eq!(first, again, "so that the control plane can tell");
}

#[tokio::test]
async fn the_last_report_is_sent_when_the_mesh_stops() {
    let stack = Stack::with(|config| {
        config.bypass.all = true;
        config.report_every = Some(Duration::from_secs(3_600));
    })
    .await;
    stack.control_plane.say(Says::Status(204, ""));
    for _ in 0..3 {
        assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    }
    assert!(stack.control_plane.asked().is_empty(), "the hour is not over");
    stack.mesh.stop().await;
    let asked = stack.control_plane.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].body["counts"][0]["count"], json!(3));
}

/// A report on its way when the stop comes, whose answer is lost, is sent again, and then what happened since.
#[tokio::test]
async fn a_stop_repeats_the_report_that_was_not_taken_and_sends_what_came_after_it() {
    let stack = Stack::with(|config| {
        config.bypass.all = true;
        config.report_every = Some(Duration::from_millis(20));
    })
    .await;
    stack.control_plane.say(Says::Status(503, ""));
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    eventually(|| !stack.control_plane.asked().is_empty()).await;
    assert_eq!(stack.send("GET /x", &[], b"").await.status, 200);
    stack.control_plane.say(Says::Status(204, ""));
    let control_plane = stack.control_plane;
    stack.mesh.stop().await;
    let mut latest = std::collections::BTreeMap::new();
    for asked in control_plane.asked() {
        latest.insert(asked.body["sequence"].as_u64().unwrap(), asked.body["counts"][0]["count"].as_u64());
    }
    assert_eq!(latest.into_iter().collect::<Vec<_>>(), [(1, Some(1)), (2, Some(1))]);
}

/// `applink-mesh check` beside this control plane and app.
async fn check(control_plane: &ControlPlane, app: u16) -> (Option<i32>, String) {
    let ports = Ports::reserve();
    let variables = [
        ("PORT", ports.public.to_string()),
        ("APP_PORT", app.to_string()),
        ("HEROKU_APPLINK_API_URL", control_plane.url()),
        ("HEROKU_APPLINK_TOKEN", TOKEN.to_owned()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let output = mesh(folder.path(), &borrowed(&variables), &["check"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    (output.status.code(), text)
}

#[tokio::test]
async fn check_reaches_the_control_plane_and_looks_at_the_app() {
    let app = App::start().await;
    let control_plane = ControlPlane::start(Says::Nothing).await;
    control_plane.serve(Bundle::Is(bundle("v1")));
    let (code, text) = check(&control_plane, app.address.port()).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 org(s) connected, 1 publication(s)"), "{text}");
    assert!(!text.contains("more than loopback"), "{text}");

    let open = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (code, text) = check(&control_plane, open.local_addr().unwrap().port()).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("warning  the app listens on more than loopback"), "{text}");

    for (served, says) in [
        (Bundle::Status(401), "problem  the control plane does not know this token"),
        (Bundle::Away, "problem  the control plane can't be reached"),
        (Bundle::Status(500), "problem  the control plane answers 500"),
    ] {
        control_plane.serve(served);
        let (code, text) = check(&control_plane, app.address.port()).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn check_names_what_is_wrong_with_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let output = mesh(folder.path(), &[("APPLINK_MESH_VERIFY", "maybe")], &["check"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("APPLINK_MESH_VERIFY is `maybe`"), "{text}");
}
