//! Nobody can make the mesh wait for ever or hold much.

use std::time::Duration;

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::MeshConfig;

use crate::integration::app::App;
use crate::integration::raw::{Wire, parse};
use crate::integration::stack::Stack;

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/open/*").unwrap()];
}

fn short(config: &mut MeshConfig) {
    open(config);
    let short = Duration::from_millis(50);
    config.limits.header = short;
    config.limits.idle = short;
    config.limits.body = short;
    config.limits.response = short;
}

#[tokio::test]
async fn two_hundred_megabytes_of_a_stranger_are_refused_before_they_are_read() {
    let stack = Stack::start().await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 200 * 1024 * 1024))
        .await;
    wire.write(vec![0; 100_000]).await;
    // Answered while almost the whole body is still to come.
    assert!(wire.read_until("401 Invalid request\n").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn a_refused_sender_that_goes_on_sending_still_reads_its_answer() {
    let stack = Stack::start().await;
    let mut wire = Wire::open(stack.address()).await;
    let body = vec![0; 4 * 1024 * 1024];
    wire.write(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    wire.write(body).await;
    assert!(wire.read_until("401 Invalid request\n").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn slow_heads_idle_connections_and_silence_end() {
    let stack = Stack::with(short).await;
    for begin in ["", "GET /open/x HTTP/1.1\r\nHost: a\r\n", "PRI"] {
        let mut wire = Wire::open(stack.address()).await;
        wire.write(begin).await;
        assert!(wire.read_rest().await.is_empty(), "{begin:?}");
    }
    let mut wire = Wire::open(stack.address()).await;
    wire.write("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    wire.read_until("ok").await;
    assert!(wire.read_rest().await.is_empty());
}

#[tokio::test]
async fn a_kept_alive_connection_outlives_the_header_limit() {
    let stack = Stack::with(|config| {
        open(config);
        config.limits.header = Duration::from_millis(50);
    })
    .await;
    let mut wire = Wire::open(stack.address()).await;
    for _ in 0..2 {
        wire.write("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        wire.read_until("ok").await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let stack = Stack::with(|config| {
        open(config);
        config.limits.body = Duration::from_millis(50);
    })
    .await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("POST /open/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    let answer = parse(&wire.read_rest().await);
    assert_eq!((answer.status, answer.header("x-applink-mesh")), (400, Some("body-unreadable")));
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_given_up() {
    let stack = Stack::before(App::answering(|_| std::future::pending()).await, short).await;
    let raw = stack.send("GET /open/x", &["x-request-id: r-1".to_owned()], b"").await;
    assert_eq!((raw.status, raw.text().as_str()), (504, "App did not answer request r-1 in time\n"));
    assert_eq!(raw.header("x-applink-mesh"), Some("app-timeout"));
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let stack = Stack::with(open).await;
    let large = vec![format!("x-large: {}", "x".repeat(80 * 1024))];
    assert_eq!(stack.send("GET /open/x", &large, b"").await.status, 431);
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}: 1")).collect();
    assert_eq!(stack.send("GET /open/x", &many, b"").await.status, 431);
    let fits = vec![format!("x-large: {}", "x".repeat(30 * 1024))];
    assert_eq!(stack.send("GET /open/x", &fits, b"").await.status, 200);
    assert_eq!(stack.app.seen().len(), 1);
}

/// Longer than a connection keeps its buffers between two requests.
const REST: Duration = Duration::from_millis(250);

#[tokio::test]
async fn a_connection_that_rests_goes_on_where_it_was() {
    let stack = Stack::with(open).await;
    let mut wire = Wire::open(stack.address()).await;
    tokio::time::sleep(REST).await;
    let whole = "POST /open/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    // Before the first byte, between two requests, and in the middle of a head that began with the last request.
    for (now, later) in [(whole, ""), ("P", &whole[1..]), ("PRI", ""), (whole, "")] {
        if now == "PRI" {
            let (head, rest) = whole.split_at(20);
            wire.write(format!("{whole}{head}")).await;
            wire.read_until("ok").await;
            tokio::time::sleep(REST).await;
            wire.write(rest).await;
        } else {
            wire.write(now).await;
            tokio::time::sleep(REST).await;
            wire.write(later).await;
        }
        assert!(wire.read_until("ok").await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(REST).await;
    }
    let bodies: Vec<_> = stack.app.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, vec![bytes::Bytes::from_static(b"body"); 5]);
}

#[tokio::test]
async fn what_is_left_of_a_refused_body_is_never_taken_for_a_request() {
    let stack = Stack::with(open).await;
    let smuggled = "GET /open/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut wire = Wire::open(stack.address()).await;
    wire.write(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", smuggled.len())).await;
    wire.read_until("401 Invalid request\n").await;
    tokio::time::sleep(REST).await;
    wire.write(smuggled).await;
    wire.write("GET /open/own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    // Whether the connection is closed or goes on, what was announced as a body stays one.
    let _ = wire.read_rest().await;
    assert!(stack.app.seen().iter().all(|seen| seen.target == "/open/own"), "{:?}", stack.app.seen());
}

#[tokio::test]
async fn a_resting_connection_is_closed_when_the_mesh_stops_and_after_the_idle_limit() {
    let stack = Stack::with(|config| {
        open(config);
        config.limits.idle = Duration::from_millis(400);
    })
    .await;
    let mut idle = Wire::open(stack.address()).await;
    idle.write("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.read_until("ok").await;
    assert!(idle.read_rest().await.is_empty());
    let mut stopped = Wire::open(stack.address()).await;
    stopped.write("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stopped.read_until("ok").await;
    tokio::time::sleep(REST).await;
    stack.mesh.stop().await;
    assert!(stopped.read_rest().await.is_empty());
}
