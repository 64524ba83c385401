//! Open routes, the health and info routes, and the ways around them that must not work.

use applink_mesh::bypass::{BypassRoute, HealthAnswer, HealthRoute};
use applink_mesh::config::MeshConfig;
use applink_mesh::path::PathRule;

use crate::integration::raw::{find, parse, send_bytes};
use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = ["/pub/*", "/open"].map(|route| BypassRoute::parse(route).unwrap()).to_vec();
}

#[tokio::test]
async fn open_routes_need_nothing_and_keep_their_bytes() {
    let stack = Stack::with(open).await;
    let targets = ["/pub/", "/pub/a%20b;v=1?x=%zz&y=/../&z=a%2Fb", "/open?x=1", "/pub/caf%C3%A9"];
    for target in targets {
        assert_eq!(stack.send(&format!("GET {target}"), &[], b"").await.status, 200, "{target}");
    }
    let seen: Vec<String> = stack.app.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, targets);
}

#[tokio::test]
async fn no_trick_reaches_a_guarded_path() {
    let stack = Stack::with(open).await;
    for target in [
        "/pub/../secret",
        "/pub/%2e%2e/secret",
        "/pub/%2E%2e/secret",
        "/pub/.%2e/secret",
        "/pub%2f..%2fsecret",
        "/pub/..%2fsecret",
        "/pub/%2e%2e%2fsecret",
        "/pub/%252e%252e/secret",
        "/pub/..%252fsecret",
        "/pub/..;/secret",
        "/pub/..;x=y/secret",
        "/pub/..\\secret",
        "/pub/..%5csecret",
        "/pub/%c0%ae%c0%ae/secret",
        "/pub/x%00/../secret",
        "/pub/x%00",
        "/pub//../secret",
        "/pub//x",
        "//pub/x",
        "/./pub/../secret",
        "/open%3F/../secret",
        "/open%23/../secret",
        "/pub/%23",
        "/pub/%3f",
        "/open/",
        "/open/secret",
        "/openly",
        "/PUB/x",
        "/pub",
        "/pubs",
        "/secret#/pub/x",
        "/secret?/pub/x",
        "/secret/%70ub/",
        "/%2fpub/x",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
        let raw = parse(&send_bytes(stack.address(), request.as_bytes()).await);
        assert!(matches!(raw.status, 400 | 401), "{target} got {}", raw.status);
    }
    assert!(stack.app.seen().is_empty(), "{:?}", stack.app.seen());
    assert!(stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn a_fragment_is_neither_judged_nor_forwarded() {
    let stack = Stack::with(open).await;
    let request = b"GET /pub/x#/../../secret HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n";
    assert_eq!(parse(&send_bytes(stack.address(), request).await).status, 200);
    assert_eq!(stack.app.only().target, "/pub/x");
}

#[tokio::test]
async fn an_absolute_target_changes_neither_app_nor_decision() {
    let stack = Stack::with(open).await;
    let same = b"GET http://app.example/pub/x HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n";
    assert_eq!(parse(&send_bytes(stack.address(), same).await).status, 200);
    let seen = stack.app.only();
    assert_eq!((seen.target.as_str(), seen.header("x-forwarded-host")), ("/pub/x", Some("app.example")));
    for target in ["http://other.example/pub/x", "http://app.example@other.example/pub/x"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
        let raw = parse(&send_bytes(stack.address(), request.as_bytes()).await);
        assert_eq!(raw.status, 400, "{target}");
    }
}

#[tokio::test]
async fn odd_paths_of_verified_calls_are_refused_unless_wanted() {
    for (rule, status) in [(PathRule::Strict, 400), (PathRule::Verbatim, 200)] {
        let stack = Stack::with(|config| config.paths = rule).await;
        for (number, target) in ["/items/a%2Fb", "//api/act", "/api//act"].into_iter().enumerate() {
            let call = Call::new(&format!("r-{number}"));
            let raw = stack.send(&format!("POST {target}"), &call.lines(), b"{}").await;
            assert_eq!(raw.status, status, "{target}");
        }
        let dots = stack.send("POST /api/../act", &Call::new("r-9").lines(), b"{}").await;
        assert_eq!((dots.status, dots.text().as_str()), (400, "400 Invalid request path\n"));
    }
}

#[tokio::test]
async fn the_info_route_tells_the_version_in_both_spellings() {
    let stack = Stack::start().await;
    for path in ["/__herokuAppLinkServiceMeshInfo", "/__herokuIntegrationServiceMeshInfo"] {
        let raw = stack.send(&format!("GET {path}"), &[], b"").await;
        assert_eq!((raw.status, raw.text()), (200, format!("v{}\n", env!("CARGO_PKG_VERSION"))));
        assert_eq!(raw.header("x-applink-mesh"), Some("info"));
    }
    assert!(stack.app.seen().is_empty());
}

#[tokio::test]
async fn the_mesh_answers_on_the_health_route_itself() {
    let stack = Stack::start().await;
    let raw = stack.send("GET /healthcheck", &[], b"").await;
    assert_eq!(
        (raw.status, raw.text().as_str(), raw.header("x-applink-mesh")),
        (200, "OK\n", Some("health"))
    );
    assert!(find(&raw.body, b"OK").is_some() && stack.app.seen().is_empty());
    assert_eq!(stack.send("POST /healthcheck", &[], b"").await.status, 401);
}

#[tokio::test]
async fn the_app_answers_on_the_health_route_when_told_to() {
    let stack = Stack::with(|config| {
        config.bypass.health = Some(HealthRoute { path: "/up".into(), answer: HealthAnswer::App });
    })
    .await;
    assert_eq!(stack.send("GET /up", &[], b"").await.text(), "ok");
    assert_eq!(stack.app.only().target, "/up");
    assert_eq!(stack.send("GET /healthcheck", &[], b"").await.status, 401);
}

#[tokio::test]
async fn with_every_route_open_strangers_still_set_no_trusted_header() {
    let stack = Stack::with(|config| config.bypass.all = true).await;
    let forged = vec!["x-client-context: forged".to_owned()];
    assert_eq!(stack.send("GET /any//path", &forged, b"").await.status, 200);
    assert_eq!(stack.app.only().header("x-client-context"), None);
    assert!(stack.mesh.counters().bypass_all);
}

#[tokio::test]
async fn the_callers_context_is_kept_only_when_told_to() {
    let stack = Stack::with(|config| {
        config.bypass.all = true;
        config.bypass.keep_client_context = true;
    })
    .await;
    let sent = vec!["x-client-context: mine".to_owned(), "x_client_context: forged".to_owned()];
    assert_eq!(stack.send("GET /x", &sent, b"").await.status, 200);
    let seen = stack.app.only();
    assert_eq!((seen.header("x-client-context"), seen.header("x_client_context")), (Some("mine"), None));
}
