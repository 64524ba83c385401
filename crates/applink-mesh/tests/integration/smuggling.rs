//! Requests whose length can be read in two ways: either refused, or forwarded with one length. And trusted names
//! behind the body, where no header is expected.

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::MeshConfig;

use crate::integration::raw::{parse, send_bytes};
use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/open/*").unwrap()];
}

/// What the app saw of `lines` and a body: `None` when nothing, else its body. The smuggled request inside the body
/// must never be seen.
async fn seen(lines: &str, body: &str) -> (u16, Option<String>) {
    let stack = Stack::with(open).await;
    let request = format!("POST /open/x HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
    let mut request = request.into_bytes();
    request.extend_from_slice(b"GET /open/end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = send_bytes(stack.address(), &request).await;
    let all = stack.app.seen();
    assert!(all.iter().all(|seen| !seen.target.contains("smuggled")), "{all:?}");
    let first = all.first().filter(|seen| seen.target == "/open/x");
    for seen in &all {
        assert!(seen.all("content-length").len() + seen.all("transfer-encoding").len() <= 1, "{seen:?}");
    }
    (parse(&answer).status, first.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()))
}

const INNER: &str = "GET /open/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn with_both_lengths_the_chunks_count() {
    let body = format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len());
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        assert_eq!(seen(lines, &body).await, (200, Some(INNER.to_owned())), "{lines}");
    }
}

#[tokio::test]
async fn contradicting_lengths_are_refused() {
    for lines in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
    ] {
        let (status, body) = seen(lines, "abcd").await;
        assert_eq!((status, body), (400, None), "{lines}");
    }
}

#[tokio::test]
async fn codings_that_only_some_understand_are_refused() {
    for lines in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        " Transfer-Encoding: chunked\r\n",
    ] {
        let (status, body) = seen(lines, &format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len())).await;
        assert_eq!((status, body), (400, None), "{lines:?}");
    }
}

#[tokio::test]
async fn line_breaks_inside_headers_are_refused() {
    for lines in
        ["X-A: 1\rX-Request-Context: 2\r\n", "X-A: 1\n Transfer-Encoding: chunked\r\n", "X-A\0: 1\r\n"]
    {
        let (status, body) = seen(lines, "").await;
        assert_eq!((status, body), (400, None), "{lines:?}");
    }
}

#[tokio::test]
async fn a_body_on_get_is_forwarded_whole() {
    let stack = Stack::with(open).await;
    let raw = stack.send("GET /open/x", &[], b"GET /open/smuggled HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.status, 200);
    assert_eq!(stack.app.only().body, "GET /open/smuggled HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn old_clients_may_not_chunk() {
    let stack = Stack::with(open).await;
    let request = b"POST /open/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(parse(&send_bytes(stack.address(), request).await).status, 400);
    assert!(stack.app.seen().is_empty());
}

#[tokio::test]
async fn hosts_that_contradict_are_refused() {
    let stack = Stack::with(open).await;
    for head in [
        "GET /open/x HTTP/1.1\r\n",
        "GET /open/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET http://b/open/x HTTP/1.1\r\nHost: a\r\n",
    ] {
        let request = format!("{head}Connection: close\r\n\r\n");
        assert_eq!(parse(&send_bytes(stack.address(), request.as_bytes()).await).status, 400, "{head}");
    }
    assert!(stack.app.seen().is_empty());
}

/// What an app that merges trailers into its headers would believe.
const FORGED: [&str; 10] = [
    "x-client-context",
    "X_Client_Context",
    "x.client.context",
    "x-request-context",
    "x-request-id",
    "x-signature",
    "x-applink-mesh-secret",
    "x-forwarded-for",
    "x_forwarded_host",
    "forwarded",
];

/// `POST path` with `lines`, and a chunked body with all of [`FORGED`] and one honest name as declared trailers.
fn with_forged_trailers(path: &str, lines: &[String]) -> String {
    let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let trailers: String = FORGED.iter().map(|name| format!("{name}: forged\r\n")).collect();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\n{head}Trailer: x-sum, {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n{trailers}x-sum: 42\r\n\r\n",
        FORGED.join(", ")
    )
}

#[tokio::test]
async fn trusted_names_do_not_pass_as_trailers() {
    let stack = Stack::with(open).await;
    for (path, lines) in [("/open/x", Vec::new()), ("/api/act", Call::new("r-1").lines())] {
        let request = with_forged_trailers(path, &lines);
        assert_eq!(parse(&send_bytes(stack.address(), request.as_bytes()).await).status, 200, "{path}");
    }
    let seen = stack.app.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        let trailers: Vec<&str> = seen.trailers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!((trailers, &*seen.body), (vec!["x-sum"], b"body".as_slice()), "{}", seen.target);
        assert_eq!(seen.trailers["x-sum"], "42");
        assert_eq!(seen.header("x-client-context").is_some(), seen.target == "/api/act", "only as verified");
    }
}
