//! HTTP/2 by prior knowledge, in front of an HTTP/1.1 app.

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::MeshConfig;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/open/*").unwrap()];
}

async fn connect(stack: &Stack) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(stack.address()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn requests_are_multiplexed_and_forwarded() {
    let stack = Stack::with(open).await;
    let mut sender = connect(&stack).await;
    let mut answers = Vec::new();
    for number in 0..5 {
        let request = Request::post(format!("http://app.example/open/{number}?q=1"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Full::from("body"))
            .unwrap();
        answers.push(sender.send_request(request));
    }
    for answer in answers {
        let response = answer.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(text(response).await, "ok");
    }
    let seen = stack.app.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0].all("cookie"), ["a=1; b=2"]);
    assert_eq!(seen[0].header("x-forwarded-host"), Some("app.example"));
    assert_eq!(seen[0].header("host"), Some(stack.app.address.to_string().as_str()));
    assert!(seen[0].target.starts_with("/open/") && seen[0].body == "body");
}

#[tokio::test]
async fn calls_are_verified_and_strangers_refused() {
    let stack = Stack::start().await;
    let mut sender = connect(&stack).await;
    let mut request = Request::post("http://app.example/api").body(Full::from("{}")).unwrap();
    let response = sender.send_request(request.clone()).await.unwrap();
    assert_eq!(
        (response.status(), text(response).await.as_str()),
        (StatusCode::UNAUTHORIZED, "401 Invalid request\n")
    );
    for line in Call::new("r-1").lines() {
        let (name, value) = line.split_once(": ").unwrap();
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn authority_and_host_must_agree() {
    let stack = Stack::with(open).await;
    let mut sender = connect(&stack).await;
    for (host, status) in [("app.example", 200), ("other.example", 400)] {
        let request =
            Request::get("http://app.example/open/x").header("host", host).body(Full::default()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), status, "{host}");
    }
}
