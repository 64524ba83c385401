//! Signed webhooks of Data Cloud.

use std::sync::Arc;

use applink_api::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::integration::app::{App, text};
use crate::integration::control_plane::Says;
use crate::integration::raw::Wire;
use crate::integration::stack::{NOW, Stack, TOKEN};

fn signed() -> Vec<String> {
    vec!["x-signature: c2ln".to_owned(), "x-request-id: d-1".to_owned()]
}

async fn yes() -> Stack {
    let stack = Stack::start().await;
    stack.control_plane.say(Says::Status(200, "anything"));
    stack
}

#[tokio::test]
async fn the_control_plane_judges_the_body_and_the_app_gets_it() {
    let stack = yes().await;
    let body = br#"{"events":["<&>"]}"#;
    let raw = stack.send("POST /hooks?orgId=00D%20x&apiName=My+Target", &signed(), body).await;
    assert_eq!(raw.status, 200);
    let asked = stack.only_question();
    assert_eq!(asked.path, "/addons/a1/data_action_targets/authenticate");
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(
        asked.body,
        json!({"api_name": "My Target", "org_id": "00D x", "signature": "c2ln", "payload": r#"{"events":["<&>"]}"#})
    );
    let seen = stack.app.only();
    assert_eq!((seen.body.as_ref(), seen.header("x-signature")), (body.as_slice(), Some("c2ln")));
    assert_eq!(seen.target, "/hooks?orgId=00D%20x&apiName=My+Target");
    assert_eq!(seen.header("x-client-context"), None);
}

#[tokio::test]
async fn promise_28_the_control_plane_learns_what_the_app_took_and_nothing_else() {
    for (status, told) in [(200, true), (204, true), (302, false), (404, false), (503, false)] {
        let app = App::answering(move |_| async move {
            let mut response = text("");
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        });
        let stack = Stack::before(app.await, |_| {}).await;
        stack.control_plane.say(Says::Yes(json!({"event_id": "data-action:1"})));
        assert_eq!(stack.send("POST /hooks?orgId=00D1&apiName=T", &signed(), b"{}").await.status, status);
        let asked = stack.control_plane.asked();
        assert_eq!(asked.len(), 1 + usize::from(told), "{status}: {asked:?}");
        if told {
            let expires_at = Timestamp::from_seconds(NOW + 240);
            assert_eq!(asked[1].path, "/addons/a1/invocations/tokens");
            let used = json!({"org_id": "00D1", "token_id": "data-action:1", "expires_at": expires_at});
            assert_eq!(asked[1].body, used);
        }
    }
}

#[tokio::test]
async fn promise_28_a_second_delivery_of_what_the_app_took_is_a_conflict() {
    let stack = yes().await;
    stack.control_plane.say(Says::Status(409, r#"{"id":"conflict"}"#));
    let raw = stack.send("POST /hooks", &signed(), b"{}").await;
    assert_eq!((raw.status, raw.text().as_str()), (409, "409 Already delivered\n"));
    assert_eq!(raw.header("x-applink-mesh"), Some("already-delivered"));
    assert!(stack.app.seen().is_empty());
}

/// An app that answers when it is told to, with this status.
async fn slow_app(status: u16) -> (Stack, Arc<Notify>, Arc<Semaphore>) {
    let (arrived, may_answer) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (came, turn) = (Arc::clone(&arrived), Arc::clone(&may_answer));
    let app = App::answering(move |_| {
        let (came, turn) = (Arc::clone(&came), Arc::clone(&turn));
        async move {
            came.notify_one();
            turn.acquire().await.unwrap().forget();
            let mut response = text("");
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        }
    });
    let stack = Stack::before(app.await, |_| {}).await;
    stack.control_plane.say(Says::Yes(json!({"event_id": "data-action:1"})));
    (stack, arrived, may_answer)
}

#[tokio::test]
async fn promise_28_of_two_deliveries_at_once_the_second_comes_again() {
    for (status, then) in [(200, (409, "already-delivered")), (503, (503, ""))] {
        let (stack, arrived, may_answer) = slow_app(status).await;
        let deliver = async || stack.send("POST /hooks?orgId=00D1&apiName=T", &signed(), b"{}").await;
        let second = async {
            arrived.notified().await;
            let second = deliver().await;
            may_answer.add_permits(2);
            second
        };
        let (first, second) = tokio::join!(deliver(), second);
        assert_eq!((second.status, second.header("x-applink-mesh")), (503, Some("being-delivered")));
        assert_eq!(second.header("retry-after"), Some("1"));
        assert_eq!(first.status, status);
        let third = deliver().await;
        assert_eq!(
            (third.status, third.header("x-applink-mesh").unwrap_or_default()),
            then,
            "after {status}"
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_judged_as_they_are() {
    let stack = yes().await;
    let body = [0xff, 0x00, 0xfe];
    assert_eq!(stack.send("POST /hooks", &signed(), &body).await.status, 200);
    let asked = stack.only_question().body;
    assert_eq!((&asked["org_id"], &asked["api_name"]), (&json!(""), &json!("")));
    assert_eq!(asked["payload_base64"], json!(STANDARD.encode(body)));
    assert_eq!(stack.app.only().body.as_ref(), body);
}

#[tokio::test]
async fn refused_unclear_and_absent_answers() {
    let no_key = r#"{"id":"signing_key_not_found","message":"Signing Key Not Found: wait."}"#;
    for (says, status, text) in [
        (Says::Status(403, no_key), 403, "403 Signing Key Not Found\n"),
        (Says::Status(403, r#"{"id":"forbidden","message":"no"}"#), 403, "Forbidden\n"),
        (Says::Status(401, ""), 403, "Forbidden\n"),
        (Says::Status(403, ""), 403, "Forbidden\n"),
        (Says::Status(404, ""), 502, "Unable to authenticate request d-1\n"),
        (Says::Redirect(302, "http://127.0.0.1:9/".into()), 502, "Unable to authenticate request d-1\n"),
        (Says::Status(500, ""), 503, "Unable to authenticate request d-1\n"),
        (Says::Nothing, 503, "Unable to authenticate request d-1\n"),
    ] {
        let stack = Stack::start().await;
        stack.control_plane.say(says);
        let raw = stack.send("POST /hooks", &signed(), b"{}").await;
        assert_eq!((raw.status, raw.text().as_str()), (status, text));
        assert!(stack.app.seen().is_empty());
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_early() {
    let stack = Stack::with(|config| config.limits.data_action_body = 1_000).await;
    stack.control_plane.say(Says::Status(200, ""));
    let mut declared = Wire::open(stack.address()).await;
    declared.write("POST /h HTTP/1.1\r\nHost: a\r\nx-signature: s\r\nContent-Length: 1001\r\n\r\n").await;
    let answer = declared.read_until("413 Body larger than 1000 bytes\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "));
    let mut chunked = Wire::open(stack.address()).await;
    chunked
        .write("POST /h HTTP/1.1\r\nHost: a\r\nx-signature: s\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    chunked.write(format!("3e9\r\n{}\r\n", "x".repeat(1_001))).await;
    chunked.read_until("413 Body larger than 1000 bytes\n").await;
    assert!(stack.control_plane.asked().is_empty());
    let fits = stack.send("POST /h", &signed(), &[b'x'; 1_000]).await;
    assert_eq!(fits.status, 200);
    assert_eq!(stack.only_question().body["payload"], Value::from("x".repeat(1_000)));
}

#[tokio::test]
async fn a_body_that_dribbles_in_is_given_up() {
    let stack = Stack::with(|config| config.limits.body = std::time::Duration::from_millis(100)).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("POST /h HTTP/1.1\r\nHost: a\r\nx-signature: s\r\nContent-Length: 10\r\n\r\nabc").await;
    wire.read_until("400 Invalid request\n").await;
    assert!(stack.control_plane.asked().is_empty());
}
