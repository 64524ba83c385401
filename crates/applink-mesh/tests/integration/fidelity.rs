//! What passes through is what was sent: the same request to the app directly and through the mesh.

use std::net::SocketAddr;

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::{HostRule, MeshConfig};
use http::Response;
use http_body_util::BodyExt as _;

use crate::integration::app::{App, full};
use crate::integration::raw::{Raw, send};
use crate::integration::stack::Stack;

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
    config.host = HostRule::Preserve;
}

/// Answers with what is asked for in the path: `/status/304`, `/redirect`, and else an account of the request.
async fn mirror() -> App {
    App::answering(|request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let path = parts.uri.path();
        if let Some(status) = path.strip_prefix("/status/") {
            let mut response =
                Response::builder().status(status.parse::<u16>().unwrap()).header("etag", "\"e\"");
            if path == "/status/302" {
                response = response.header("location", "http://169.254.169.254/latest/meta-data");
            }
            return response.body(full("")).unwrap();
        }
        let mut account = format!("{} {}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            account.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        account.push_str(&String::from_utf8_lossy(&body));
        Response::builder()
            .header("set-cookie", "a=1; Path=/")
            .header("set-cookie", "b=2")
            .header("content-encoding", "identity")
            .body(full(account))
            .unwrap()
    })
    .await
}

/// Headers of the answer that may differ: dates, and the id the mesh adds.
fn comparable(raw: &Raw) -> Vec<(String, String)> {
    let own = ["date", "x-request-id", "connection"];
    raw.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect()
}

/// The account without what the mesh is documented to set or remove.
fn comparable_account(raw: &Raw) -> Vec<String> {
    let own = ["x-request-id", "x-forwarded-", "x-applink-mesh-secret", "connection"];
    let mut lines: Vec<String> = raw
        .text()
        .lines()
        .filter(|line| !own.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect();
    if let Some(headers) = lines.get_mut(1..) {
        headers.sort();
    }
    lines
}

async fn compare(app: SocketAddr, mesh: SocketAddr, start: &str, lines: &[String], body: &[u8]) {
    let direct = send(app, start, lines, body).await;
    let through = send(mesh, start, lines, body).await;
    assert_eq!(through.status, direct.status, "{start}");
    let (mut expected, mut got) = (comparable(&direct), comparable(&through));
    let length = |headers: &mut Vec<(String, String)>| {
        headers.retain(|(name, _)| name != "content-length");
        headers.sort();
    };
    if start.starts_with("HEAD") || direct.body.is_empty() {
        expected.sort();
        got.sort();
    } else {
        // The account itself has other headers in it, so its length differs.
        length(&mut expected);
        length(&mut got);
    }
    assert_eq!(got, expected, "{start}");
    assert_eq!(comparable_account(&through), comparable_account(&direct), "{start}");
}

#[tokio::test]
async fn statuses_without_a_body_and_redirects_are_passed_on() {
    let stack = Stack::before(mirror().await, open).await;
    for status in [204, 205, 301, 302, 304, 404, 500, 503, 299, 599] {
        for method in ["GET", "HEAD", "POST"] {
            compare(stack.app.address, stack.address(), &format!("{method} /status/{status}"), &[], b"")
                .await;
        }
    }
    let redirect = stack.send("GET /status/302", &[], b"").await;
    assert_eq!(redirect.header("location"), Some("http://169.254.169.254/latest/meta-data"));
}

#[tokio::test]
async fn head_keeps_its_length() {
    let stack = Stack::before(mirror().await, open).await;
    let raw = stack.send("HEAD /account", &[], b"").await;
    assert!(raw.body.is_empty());
    assert!(raw.header("content-length").unwrap().parse::<usize>().unwrap() > 0);
    assert_eq!(raw.all("set-cookie"), ["a=1; Path=/", "b=2"]);
}

#[test]
fn any_request_arrives_as_it_was_sent() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stack = runtime.block_on(async { Stack::before(mirror().await, open).await });
    let header = (
        "x-[a-z]{1,6}|accept|cookie|user-agent|content-type|accept-encoding|authorization|referer|range",
        "[!-~]([ !-~]{0,20}[!-~])?",
    );
    let request = (
        proptest::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        "/[a-zA-Z0-9._~!$&'()*+,;=:@-]{1,12}(/[a-z0-9]{1,5}){0,3}",
        proptest::option::of("[a-zA-Z0-9%&=+/?._~-]{0,20}"),
        proptest::collection::vec(header, 0..8),
        proptest::collection::vec(any::<u8>(), 0..2_000),
    );
    let plain = request.prop_filter("dot segments are refused", |(_, path, ..)| {
        !path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
            && !path.starts_with("/status")
    });
    let config = Config { failure_persistence: None, ..Config::with_cases(200) };
    TestRunner::new(config)
        .run(&plain, |(method, path, query, headers, body)| {
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let start = format!("{method} {path}{query}");
            runtime.block_on(compare(stack.app.address, stack.address(), &start, &lines, &body));
            Ok(())
        })
        .unwrap();
}
