//! Every answer of the mesh that is not the app's: status, text, marker, and nobody asked in vain.

use serde_json::{Value, json};

use crate::integration::control_plane::Says;
use crate::integration::raw::Raw;
use crate::integration::stack::{Call, ORG_JWT, SESSION, Stack, TOKEN, verdict_with};

fn assert_refused(raw: &Raw, status: u16, text: &str, marker: &str) {
    assert_eq!((raw.status, raw.text().as_str()), (status, format!("{text}\n").as_str()));
    assert_eq!(raw.header("x-applink-mesh"), Some(marker));
    assert_eq!(raw.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(raw.header("x-content-type-options"), Some("nosniff"));
    assert!(raw.header("x-request-id").is_some());
}

/// Refused from the headers alone: neither the control plane nor the app hears of it.
async fn refused_unasked(lines: &[String], status: u16, text: &str, marker: &str) {
    let stack = Stack::start().await;
    let raw = stack.send("POST /api/act", lines, b"{}").await;
    assert_refused(&raw, status, text, marker);
    assert!(stack.control_plane.asked().is_empty() && stack.app.seen().is_empty());
}

#[tokio::test]
async fn without_any_credentials() {
    refused_unasked(&[], 401, "401 Invalid request", "no-credentials").await;
    let empty = ["x-request-context:", "x-client-context:", "x-signature:"].map(str::to_owned);
    refused_unasked(&empty, 401, "401 Invalid request", "no-credentials").await;
}

#[tokio::test]
async fn with_half_of_the_credentials() {
    let call = Call::new("r-1").lines();
    for lines in [
        vec![call[0].clone()],
        vec![call[1].clone()],
        vec![call[1].clone(), "x-request-context:".to_owned()],
        vec![call[0].clone(), "x-signature: abc".to_owned()],
    ] {
        refused_unasked(&lines, 400, "400 Invalid request", "half-credentials").await;
    }
}

#[tokio::test]
async fn with_an_unreadable_request_context() {
    let client = Call::new("r-1").lines()[1].clone();
    for context in ["!", "e30", "e30-", "bm8=", "W10=", "eyJpZCI6N30="] {
        let lines = [format!("x-request-context: {context}"), client.clone(), "x-request-id: r-1".to_owned()];
        refused_unasked(&lines, 400, "400 Invalid x-request-context header", "request-context").await;
    }
}

#[tokio::test]
async fn with_a_field_missing_empty_or_null() {
    for (key, name) in [
        ("id", "ID"),
        ("auth", "Auth"),
        ("loginUrl", "LoginUrl"),
        ("orgDomainUrl", "OrgDomainUrl"),
        ("orgId", "OrgID"),
        ("resource", "Resource"),
        ("type", "Type"),
        ("appUuid", "AppUUID"),
    ] {
        for bad in [json!(""), Value::Null] {
            let mut call = Call::new("r-1");
            call.request_context[key] = bad;
            let text = format!("400 Missing or invalid value in x-request-context header: {name}");
            refused_unasked(&call.lines(), 400, &text, "request-context").await;
        }
    }
}

#[tokio::test]
async fn with_another_or_no_request_id() {
    for request_id in [Some("other"), Some("r-1-and-more"), None] {
        let mut call = Call::new("r-1");
        call.request_id = request_id.map(str::to_owned);
        refused_unasked(&call.lines(), 400, "400 Invalid x-request-context header", "request-context").await;
    }
}

#[tokio::test]
async fn with_an_unreadable_client_context() {
    let context = Call::new("r-1").lines()[0].clone();
    for client in ["anything", "e30="] {
        let lines = [context.clone(), format!("x-client-context: {client}"), "x-request-id: r-1".to_owned()];
        refused_unasked(&lines, 400, "400 Invalid x-client-context header", "client-context").await;
    }
}

#[tokio::test]
async fn the_control_plane_says_no() {
    for status in [401, 403] {
        let stack = Stack::start().await;
        stack.control_plane.say(Says::Status(status, "why, with secrets"));
        assert_refused(&stack.call(&Call::new("r-1")).await, 403, "Forbidden", "refused");
        assert!(stack.app.seen().is_empty());
    }
}

#[tokio::test]
async fn the_control_plane_says_neither_yes_nor_no() {
    for status in [201, 204, 400, 404, 422] {
        let stack = Stack::start().await;
        stack.control_plane.say(Says::Status(status, ""));
        let raw = stack.call(&Call::new("r-1")).await;
        assert_refused(&raw, 502, "Unable to authenticate request r-1", "control-plane-answer");
        assert!(stack.app.seen().is_empty());
    }
    for garbage in ["", "<html>maintenance</html>", "{}", "[]"] {
        let stack = Stack::start().await;
        stack.control_plane.say(Says::Status(200, garbage));
        let raw = stack.call(&Call::new("r-1")).await;
        assert_refused(&raw, 502, "Unable to authenticate request r-1", "control-plane-answer");
        assert!(stack.app.seen().is_empty());
    }
}

#[tokio::test]
async fn the_control_plane_is_away_or_overloaded() {
    for says in [Says::Nothing, Says::Status(500, ""), Says::Status(503, ""), Says::Status(429, "")] {
        let stack = Stack::start().await;
        stack.control_plane.say(says);
        let raw = stack.call(&Call::new("r-1")).await;
        assert_refused(&raw, 503, "Unable to authenticate request r-1", "control-plane-away");
        assert_eq!(raw.header("retry-after"), Some("1"));
        assert!(stack.app.seen().is_empty());
    }
    // Nobody listens there: no address of it in the answer.
    let stack = Stack::with(|config| config.api_url = "http://127.0.0.1:9/addons/a1".to_owned()).await;
    let raw = stack.call(&Call::new("r-1")).await;
    assert_refused(&raw, 503, "Unable to authenticate request r-1", "control-plane-away");
}

#[tokio::test]
async fn redirects_of_the_control_plane_are_not_followed() {
    let elsewhere =
        crate::integration::control_plane::ControlPlane::start(Says::Status(200, "welcome")).await;
    for status in [301, 302, 303, 307, 308] {
        let stack = Stack::start().await;
        stack.control_plane.say(Says::Redirect(status, elsewhere.url()));
        let raw = stack.call(&Call::new("r-1")).await;
        assert_refused(&raw, 502, "Unable to authenticate request r-1", "control-plane-answer");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_bare_yes_counts_only_when_configured() {
    let stack = Stack::with(|config| config.verdicts = applink_mesh::config::VerdictRule::AcceptBare).await;
    stack.control_plane.say(Says::Status(200, "fine"));
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    stack.clock.advance(std::time::Duration::from_secs(5));
    stack.control_plane.say(Says::Status(201, "fine"));
    assert_eq!(stack.call(&Call::new("r-2")).await.status, 502);
}

#[tokio::test]
async fn the_app_is_away() {
    let stack = Stack::with(|config| config.app = applink_mesh::config::AppAddress::loopback(9)).await;
    let raw = stack.call(&Call::new("r-1")).await;
    assert_refused(&raw, 502, "Failed to forward request r-1", "app-unreachable");
}

#[tokio::test]
async fn methods_that_are_not_passed_on() {
    let stack = Stack::start().await;
    for method in ["PROPFIND", "QUERY", "TRACE"] {
        let raw = stack.send(&format!("{method} /api/act"), &Call::new("r-1").lines(), b"").await;
        assert_eq!((raw.status, raw.text().as_str()), (405, ""));
        assert_eq!(raw.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
        assert_eq!(raw.header("x-applink-mesh"), Some("method"));
    }
    let connect = stack.send("CONNECT app.example:443", &Call::new("r-1").lines(), b"").await;
    assert_eq!(connect.status, 405);
    assert!(stack.app.seen().is_empty() && stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn a_token_is_used_once() {
    let stack = Stack::start().await;
    stack.control_plane.say(verdict_with("token_id", json!("jti-1")));
    assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    assert_refused(&stack.call(&Call::new("r-1")).await, 403, "Forbidden", "refused");
    assert_eq!(stack.app.seen().len(), 1);
    assert_eq!(stack.control_plane.asked().len(), 2, "a verdict on a single-use token is never remembered");
}

#[tokio::test]
async fn replay_protection_can_be_switched_off() {
    let stack = Stack::with(|config| config.replay = applink_mesh::config::ReplayRule::Off).await;
    stack.control_plane.say(verdict_with("token_id", json!("jti-1")));
    for _ in 0..2 {
        assert_eq!(stack.call(&Call::new("r-1")).await.status, 200);
    }
}

#[tokio::test]
async fn no_answer_repeats_a_secret() {
    let stack = Stack::start().await;
    for says in [Says::Status(403, "no"), Says::Status(500, "x"), Says::Nothing, Says::Status(200, "{}")] {
        stack.control_plane.say(says);
        let text = format!("{:?}", stack.call(&Call::new("r-1")).await);
        for secret in [TOKEN, ORG_JWT, SESSION, &stack.control_plane.address.to_string()] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
