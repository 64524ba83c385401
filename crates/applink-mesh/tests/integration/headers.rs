//! Which headers reach the app, on open routes and behind authentication.

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::{ForwardedRule, HostRule, MeshConfig};

use crate::integration::app::{App, full, text};
use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/open/*").unwrap()];
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[tokio::test]
async fn strangers_can_set_no_trusted_header() {
    let stack = Stack::with(open).await;
    let sent = lines(&[
        "x-client-context: forged",
        "X_Client_Context: forged",
        "x-request-context: forged",
        "x-signature: forged",
        "x-applink-mesh-secret: guess",
        "x-request-id: mine",
        "x_request_id: forged",
    ]);
    assert_eq!(stack.send("GET /open/x", &sent, b"").await.status, 200);
    let seen = stack.app.only();
    for name in ["x-client-context", "x_client_context", "x-request-context", "x-signature", "x_request_id"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.all("x-applink-mesh-secret"), ["mesh-secret"]);
    assert_eq!(seen.all("x-request-id"), ["mine"]);
    assert!(stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn trusted_headers_can_not_be_nominated_away() {
    let stack = Stack::start().await;
    let mut sent = Call::new("r-1").lines();
    sent.push("Connection: x-client-context, x-applink-mesh-secret, x-request-id".to_owned());
    assert_eq!(stack.send("POST /api/act", &sent, b"{}").await.status, 200);
    let seen = stack.app.only();
    for name in ["x-client-context", "x-applink-mesh-secret", "x-request-id"] {
        assert!(seen.header(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_signature_beside_a_verified_call_is_stripped() {
    let stack = Stack::start().await;
    let mut sent = Call::new("r-1").lines();
    sent.push("x-signature: unverified".to_owned());
    assert_eq!(stack.send("POST /api/act", &sent, b"{}").await.status, 200);
    assert_eq!(stack.app.only().header("x-signature"), None);
}

#[tokio::test]
async fn repeated_trusted_headers_are_refused_everywhere() {
    let stack = Stack::with(open).await;
    for name in
        ["x-request-id", "x-request-context", "x-client-context", "x-signature", "x-applink-mesh-secret"]
    {
        for target in ["GET /open/x", "POST /api/act"] {
            let sent = vec![format!("{name}: same"), format!("{name}: same")];
            let raw = stack.send(target, &sent, b"").await;
            assert_eq!((raw.status, raw.header("x-applink-mesh")), (400, Some("duplicate-header")), "{name}");
        }
    }
    assert!(stack.app.seen().is_empty());
}

#[tokio::test]
async fn a_request_id_is_made_forwarded_and_returned() {
    let stack = Stack::with(open).await;
    let raw = stack.send("GET /open/x", &[], b"").await;
    let made = stack.app.only().header("x-request-id").unwrap().to_owned();
    assert_eq!(raw.header("x-request-id"), Some(made.as_str()));
    assert_eq!(made.len(), 36);
    let sent = stack.send("GET /open/x", &lines(&["x-request-id: mine"]), b"").await;
    assert_eq!(sent.header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn values_of_other_headers_are_all_kept_in_order() {
    let stack = Stack::with(open).await;
    let sent =
        lines(&["Cookie: a=1", "X-Many: 1", "Cookie: b=2", "X-Many: 2", "X-Many: 1", "Accept-Encoding: br"]);
    stack.send("GET /open/x", &sent, b"").await;
    let seen = stack.app.only();
    assert_eq!(seen.all("x-many"), ["1", "2", "1"]);
    assert_eq!(seen.all("cookie"), ["a=1", "b=2"]);
    assert_eq!(seen.all("accept-encoding"), ["br"]);
    assert_eq!(seen.header("user-agent"), None, "nothing is added that the caller did not say");
}

#[tokio::test]
async fn hop_by_hop_headers_stay_on_their_hop() {
    let app = App::answering(|request| async move {
        let names: Vec<&str> = request.headers().keys().map(http::HeaderName::as_str).collect();
        let mut response = text(&names.join(","));
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=9"),
            ("proxy-authenticate", "x"),
        ] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    })
    .await;
    let stack = Stack::before(app, open).await;
    let sent = lines(&[
        "Connection: X-Mine",
        "X-Mine: 1",
        "Keep-Alive: 1",
        "TE: trailers",
        "Proxy-Authorization: x",
    ]);
    let raw = stack.send("GET /open/x", &sent, b"").await;
    let text = raw.text();
    let mut names: Vec<&str> = text.split(',').collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "host",
            "te",
            "x-applink-mesh-secret",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id"
        ]
    );
    for name in ["x-hop", "keep-alive", "proxy-authenticate"] {
        assert_eq!(raw.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn the_host_is_the_apps_or_the_callers() {
    let stack = Stack::with(open).await;
    stack.send("GET /open/x", &[], b"").await;
    let seen = stack.app.only();
    assert_eq!(seen.header("host"), Some(stack.app.address.to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("app.example"));
    let stack = Stack::with(|config| {
        open(config);
        config.host = HostRule::Preserve;
    })
    .await;
    stack.send("GET /open/x", &[], b"").await;
    assert_eq!(stack.app.only().header("host"), Some("app.example"));
}

#[tokio::test]
async fn forwarded_headers_are_the_meshs_or_the_routers() {
    let sent =
        lines(&["x-forwarded-for: 1.1.1.1", "x-forwarded-proto: https", "x-forwarded-host: evil.example"]);
    for (rule, address, proto) in
        [(ForwardedRule::Overwrite, "127.0.0.1", "http"), (ForwardedRule::Trust, "1.1.1.1", "https")]
    {
        let stack = Stack::with(|config| {
            open(config);
            config.forwarded = rule;
        })
        .await;
        stack.send("GET /open/x", &sent, b"").await;
        let seen = stack.app.only();
        assert_eq!(seen.all("x-forwarded-for"), [address]);
        assert_eq!(seen.all("x-forwarded-proto"), [proto]);
        assert_eq!(seen.all("x-forwarded-host"), ["app.example"]);
    }
}

#[tokio::test]
async fn an_app_can_not_pass_for_the_mesh() {
    let app = App::answering(|_| async {
        let mut response = http::Response::new(full("mine"));
        response.headers_mut().insert("x-applink-mesh", "refused".parse().unwrap());
        response.headers_mut().insert("x-request-id", "of-the-app".parse().unwrap());
        response
    })
    .await;
    let stack = Stack::before(app, open).await;
    let raw = stack.send("GET /open/x", &[], b"").await;
    assert_eq!(raw.header("x-applink-mesh"), None);
    assert_eq!(raw.all("x-request-id"), ["of-the-app"]);
}

#[tokio::test]
async fn connections_to_the_app_are_reused() {
    let stack = Stack::with(open).await;
    for _ in 0..20 {
        assert_eq!(stack.send("GET /open/x", &[], b"").await.status, 200);
    }
    assert!(stack.app.connections() <= 2, "{} connections", stack.app.connections());
}
