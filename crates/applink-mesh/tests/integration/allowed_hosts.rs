//! On a developer's machine: what web pages of other sites can make a browser send stays outside.

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::{AllowedHosts, MeshConfig};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::integration::raw::{Raw, parse, send_bytes};
use crate::integration::stack::{Call, Stack};

/// Every route is open, so that nothing but the host can be the reason.
fn local(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
    config.allowed_hosts = Some(AllowedHosts::loopback(7702));
}

async fn ask(stack: &Stack, start: &str, lines: &[&str]) -> Raw {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{start}\r\nConnection: close\r\n{lines}\r\n");
    parse(&send_bytes(stack.address(), request.as_bytes()).await)
}

fn status_and_reason(raw: &Raw) -> (u16, Option<&str>) {
    (raw.status, raw.header("x-applink-mesh"))
}

#[tokio::test]
async fn only_the_listed_hosts_are_answered() {
    let stack = Stack::with(local).await;
    for host in ["127.0.0.1:7702", "LOCALHOST:7702"] {
        let raw = ask(&stack, "GET /x HTTP/1.1", &[&format!("Host: {host}")]).await;
        assert_eq!(status_and_reason(&raw), (200, None), "{host}");
    }
    assert_eq!(stack.app.seen().len(), 2);
    for host in [
        "evil.example:7702",
        "localhost:7703",
        "localhost",
        "localhost.evil.example:7702",
        "u@localhost:7702",
    ] {
        for path in ["/x", "/healthcheck"] {
            let raw = ask(&stack, &format!("GET {path} HTTP/1.1"), &[&format!("Host: {host}")]).await;
            assert_eq!(status_and_reason(&raw), (421, Some("foreign-host")), "{host}{path}");
        }
    }
    let nameless = ask(&stack, "GET /x HTTP/1.0", &[]).await;
    assert_eq!(status_and_reason(&nameless), (421, Some("foreign-host")));
    assert_eq!(stack.app.seen().len(), 2);
}

#[tokio::test]
async fn pages_of_other_sites_can_change_nothing() {
    let stack = Stack::with(local).await;
    let host = "Host: localhost:7702";
    for (line, passes) in [
        ("Origin: http://localhost:7702", true),
        ("Origin: http://127.0.0.1:7702", true),
        ("Origin: https://evil.example", false),
        ("Origin: http://localhost:3000", false),
        ("Origin: null", false),
    ] {
        let expected = if passes { (200, None) } else { (403, Some("foreign-origin")) };
        let raw = ask(&stack, "POST /x HTTP/1.1", &[host, line]).await;
        assert_eq!(status_and_reason(&raw), expected, "{line}");
        assert_eq!(ask(&stack, "GET /x HTTP/1.1", &[host, line]).await.status, 200, "{line}");
    }
    let socket = ["Connection: upgrade", "Upgrade: websocket", "Origin: https://evil.example", host];
    let raw = ask(&stack, "GET /socket HTTP/1.1", &socket).await;
    assert_eq!(status_and_reason(&raw), (403, Some("foreign-origin")));
    assert!(stack.app.seen().iter().all(|seen| seen.target == "/x"));
}

#[tokio::test]
async fn the_authority_of_http2_counts_too() {
    let stack = Stack::with(local).await;
    let stream = TcpStream::connect(stack.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (host, status) in [("localhost:7702", 200), ("evil.example:7702", 421)] {
        let request = Request::get(format!("http://{host}/x")).body(Full::<Bytes>::default()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_verified_call_needs_an_allowed_host_too() {
    let stack = Stack::with(|config| config.allowed_hosts = Some(AllowedHosts::loopback(7702))).await;
    // The helper calls `app.example`.
    assert_eq!(status_and_reason(&stack.call(&Call::new("r-1")).await), (421, Some("foreign-host")));
    assert!(stack.control_plane.asked().is_empty() && stack.app.seen().is_empty());
}

#[tokio::test]
async fn without_a_list_any_host_and_origin_will_do() {
    let stack = Stack::with(|config| {
        local(config);
        config.allowed_hosts = None;
    })
    .await;
    let lines = ["Host: any.example", "Origin: https://other.example"];
    assert_eq!(ask(&stack, "POST /x HTTP/1.1", &lines).await.status, 200);
}
