//! WebSocket and other upgrades, interim responses, `Expect: 100-continue`.

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::MeshConfig;
use http::Response;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::integration::app::{App, full, text};
use crate::integration::raw::{Raw, Wire, parse};
use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/open/*").unwrap()];
}

/// Accepts every upgrade and echoes in capitals.
pub(crate) async fn upgrading_app() -> App {
    App::answering(|mut request| async move {
        let Some(protocol) = request.headers().get("upgrade").cloned() else { return text("no upgrade") };
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 64];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
            }
        });
        Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", protocol)
            .header("sec-websocket-accept", "yes")
            .body(full(""))
            .unwrap()
    })
    .await
}

pub(crate) const UPGRADE: &str =
    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n";

async fn echo(mut wire: Wire) {
    let head = parse(wire.read_until("\r\n\r\n").await.as_bytes());
    assert_eq!((head.status, head.header("upgrade")), (101, Some("websocket")));
    assert_eq!(head.header("connection"), Some("upgrade"));
    assert_eq!(head.header("sec-websocket-accept"), Some("yes"));
    for word in ["ping", "pong"] {
        wire.write(word).await;
        wire.read_until(&word.to_ascii_uppercase()).await;
    }
}

#[tokio::test]
async fn a_websocket_is_tunnelled_on_open_routes() {
    let stack = Stack::before(upgrading_app().await, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write(format!("GET /open/ws HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")).await;
    echo(wire).await;
}

#[tokio::test]
async fn a_websocket_is_tunnelled_for_verified_calls_only() {
    let stack = Stack::before(upgrading_app().await, open).await;
    let mut stranger = Wire::open(stack.address()).await;
    stranger.write(format!("GET /ws HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")).await;
    assert!(stranger.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 401 "));
    let mut wire = Wire::open(stack.address()).await;
    let lines = Call::new("r-1").lines().join("\r\n");
    wire.write(format!("GET /ws HTTP/1.1\r\nHost: a\r\n{lines}\r\n{UPGRADE}\r\n")).await;
    echo(wire).await;
}

#[tokio::test]
async fn h2c_upgrades_are_not_passed_on() {
    let stack = Stack::before(upgrading_app().await, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write(
        "GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    )
    .await;
    let answer = parse(&wire.read_rest().await);
    assert_eq!((answer.status, answer.text().as_str()), (200, "no upgrade"));
}

/// Runs `script` as the app's side of one connection.
async fn scripted(request: &str, response: &'static str) -> (Vec<u8>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stack = Stack::with(|config| {
        open(config);
        config.app = applink_mesh::config::AppAddress::loopback(port);
    })
    .await;
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 8192];
        let read = stream.read(&mut head).await.unwrap();
        stream.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let mut wire = Wire::open(stack.address()).await;
    wire.write(request).await;
    (wire.read_rest().await, app.await.unwrap())
}

#[tokio::test]
async fn early_hints_arrive_before_the_response() {
    let response = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let request = "GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (all, _) = scripted(request, response).await;
    let text = String::from_utf8_lossy(&all).into_owned();
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n";
    assert!(text.starts_with(hints), "{text}");
    assert!(text.ends_with("ok"));
}

#[tokio::test]
async fn old_clients_get_no_interim_responses() {
    let response =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (all, _) = scripted("GET /open/x HTTP/1.0\r\n\r\n", response).await;
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(text.starts_with("HTTP/1.0 200 OK"), "{text}");
}

#[tokio::test]
async fn an_uncalled_for_change_of_protocol_is_a_bad_gateway() {
    let response = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let (all, _) = scripted("GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", response).await;
    assert_eq!(parse(&all).status, 502);
}

#[tokio::test]
async fn expect_continue_is_answered_by_the_mesh_once_the_app_wants_the_body() {
    let app = App::answering(|request| async move {
        let expected = request.headers().contains_key("expect");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        text(&format!("{} {expected}", body.len()))
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("POST /open/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(wire.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.write("body").await;
    wire.read_until("4 false").await;
}

#[tokio::test]
async fn expect_continue_without_credentials_is_refused_unread() {
    let stack = Stack::start().await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    let answer: Raw = parse(&wire.read_rest().await);
    assert_eq!((answer.status, answer.text().as_str()), (401, "401 Invalid request\n"));
}
