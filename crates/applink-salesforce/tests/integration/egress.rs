//! What is known after a call failed, and what never happens: redirects and endless answers.

use std::time::Duration;

use applink_salesforce::egress::{NotSentReason, TOKEN_BODY_LIMIT, UnknownReason};
use applink_salesforce::oauth::{OAuth, OAuthClient, Outcome, RefusalClass, TokenFailure};
use applink_salesforce::{OrgHosts, OrgOrigin};
use axum::response::IntoResponse;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stub::{Stub, egress, hasty, json};

fn client() -> OAuthClient {
    OAuthClient {
        consumer_key: "3MVG9".to_owned(),
        consumer_secret: Some(SecretString::from("canary-secret")),
    }
}

async fn refresh(oauth: &OAuth, at: &OrgOrigin) -> TokenFailure {
    let failure = oauth.refresh(at, &client(), &SecretString::from("5Aepcanary")).await.unwrap_err();
    let shown = format!("{failure} {failure:?} {:?}", failure.network_error().map(ToString::to_string));
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!failure.hint().is_empty());
    failure
}

/// A server that does `act` with each connection after it has read something.
async fn raw<F, Fut>(act: F) -> OrgOrigin
where
    F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = OrgOrigin::vouched_for(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            act(stream).await;
        }
    });
    origin
}

#[tokio::test]
async fn nobody_listening_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = OrgOrigin::vouched_for(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let failure = refresh(&OAuth::new(egress()), &origin).await;
    assert!(matches!(failure, TokenFailure::NotSent { reason: NotSentReason::Connect, .. }), "{failure:?}");
    assert!(failure.to_string().contains(origin.authority()));
}

#[tokio::test]
async fn an_unknown_name_is_not_sent() {
    let origin = OrgOrigin::vouched_for("http://nobody.invalid.localhost:1").unwrap();
    let failure = refresh(&OAuth::new(egress()), &origin).await;
    assert_eq!(failure.outcome(), Outcome::NotSent, "{failure:?}");
}

#[tokio::test]
async fn a_broken_handshake_is_not_sent() {
    let plain =
        raw(|mut stream| async move { _ = stream.write_all(b"HTTP/1.1 400 no tls here\r\n\r\n").await })
            .await;
    let origin = OrgOrigin::vouched_for(&plain.as_str().replace("http://", "https://")).unwrap();
    let failure = refresh(&OAuth::new(egress()), &origin).await;
    assert!(matches!(failure, TokenFailure::NotSent { reason: NotSentReason::Tls, .. }), "{failure:?}");
}

/// A server that speaks only this version of TLS (as in its ServerHello); the first record it gets in return.
async fn speaking(version: [u8; 2]) -> (OrgOrigin, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = OrgOrigin::vouched_for(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let hello = record(&mut stream).await;
        assert_eq!(hello[..2], [22, 3], "a handshake");
        // A random, no session, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression, an empty renegotiation_info.
        let mut body = [&version[..], &[7; 32], &[0, 0xc0, 0x2f, 0], &[0, 5, 0xff, 0x01, 0, 1, 0]].concat();
        let mut message = vec![2, 0, 0, u8::try_from(body.len()).unwrap()];
        message.append(&mut body);
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        let answer = [&[22], &version[..], &length[..], &message[..]].concat();
        stream.write_all(&answer).await.unwrap();
        stream.shutdown().await.unwrap();
        record(&mut stream).await
    });
    (origin, answer)
}

/// One TLS record: kind, version, length, content. What there is of it when the connection ends.
async fn record(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    if stream.read_exact(&mut record).await.is_err() {
        return Vec::new();
    }
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await.unwrap();
    record.append(&mut content);
    record
}

/// Promise 21: TLS 1.2 or newer.
#[tokio::test]
async fn a_server_of_an_older_tls_is_refused_before_anything_is_sent() {
    /// A fatal alert: `protocol_version`.
    const PROTOCOL_VERSION: [u8; 2] = [2, 70];
    for (version, is_refused) in [([3, 0], true), ([3, 1], true), ([3, 2], true), ([3, 3], false)] {
        let (origin, answer) = speaking(version).await;
        let failure = refresh(&OAuth::new(egress()), &origin).await;
        assert!(
            matches!(failure, TokenFailure::NotSent { reason: NotSentReason::Tls, .. }),
            "{version:?}: {failure:?}"
        );
        let answer = answer.await.unwrap();
        let alert = (answer.first() == Some(&21)).then(|| answer[5..].to_vec());
        // TLS 1.2 is spoken: what it misses then is the rest of the handshake.
        assert_eq!(alert.as_deref() == Some(&PROTOCOL_VERSION[..]), is_refused, "{version:?}: {alert:?}");
    }
}

/// Promise 21: ten seconds in all, however the answer trickles in.
#[tokio::test]
async fn the_token_endpoint_has_ten_seconds() {
    let origin = raw(|mut stream| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await;
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        while stream.write_all(b" ").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let started = tokio::time::Instant::now();
    let failure = refresh(&OAuth::new(egress()), &origin).await;
    let took = started.elapsed();
    assert!(matches!(failure, TokenFailure::Unknown { reason: UnknownReason::Timeout, .. }), "{failure:?}");
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn silence_after_sending_is_unknown() {
    let origin = raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let failure = refresh(&OAuth::new(hasty()), &origin).await;
    assert!(matches!(failure, TokenFailure::Unknown { reason: UnknownReason::Timeout, .. }), "{failure:?}");
}

#[tokio::test]
async fn a_close_after_sending_is_unknown() {
    let failure = refresh(&OAuth::new(egress()), &raw(|stream| async move { drop(stream) }).await).await;
    assert!(matches!(failure, TokenFailure::Unknown { reason: UnknownReason::Cut, .. }), "{failure:?}");
    let half = raw(|mut stream| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"access_token\":").await;
    });
    let failure = refresh(&OAuth::new(egress()), &half.await).await;
    assert!(matches!(failure, TokenFailure::Unknown { reason: UnknownReason::Cut, .. }), "{failure:?}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_limit() {
    let fits = format!(r#"{{"error":"invalid_grant","pad":"{}"}}"#, "x".repeat(TOKEN_BODY_LIMIT - 100));
    let stub = Stub::answering([json(400, fits), json(200, "x".repeat(TOKEN_BODY_LIMIT + 1))]).await;
    let oauth = OAuth::new(egress());
    assert!(matches!(refresh(&oauth, &stub.origin).await.outcome(), Outcome::Answered(_)));
    let failure = refresh(&oauth, &stub.origin).await;
    let expected = UnknownReason::TooLarge { limit: TOKEN_BODY_LIMIT };
    assert!(matches!(&failure, TokenFailure::Unknown { reason, .. } if *reason == expected), "{failure:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Stub::answering([json(200, "{}")]).await;
    let location = format!("{}/services/oauth2/token", target.origin);
    let stub =
        Stub::answering([(axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", location)])]).await;
    let failure = refresh(&OAuth::new(egress()), &stub.origin).await;
    assert_eq!(failure.outcome(), Outcome::Answered(RefusalClass::Redirected));
    assert_eq!(target.asked().len(), 0, "the refresh token did not travel on");
}

#[tokio::test]
async fn a_server_error_is_unknown_unless_it_says_what_happened() {
    let stub = Stub::answering([
        json(500, "<html>Bad gateway</html>"),
        json(503, r#"{"error":"temporarily_unavailable"}"#),
        json(500, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#),
        (axum::http::StatusCode::BAD_REQUEST, "<html>").into_response(),
        json(200, "<html>Maintenance</html>"),
        json(200, r#"{"access_token":"canary-half"}"#),
    ])
    .await;
    let oauth = OAuth::new(egress());
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        outcomes.push(refresh(&oauth, &stub.origin).await.outcome());
    }
    assert_eq!(
        outcomes,
        [
            Outcome::Unknown,
            Outcome::Unknown,
            Outcome::Answered(RefusalClass::DeadGrant),
            Outcome::Answered(RefusalClass::Other),
            Outcome::Unknown,
            Outcome::Unknown,
        ]
    );
}

/// Set in a process of its own for the test below, to the orgs it calls.
const CALLED_ORGS: &str = "APPLINK_TEST_CALLED_ORGS";

#[tokio::test]
async fn a_proxy_of_the_environment_is_for_other_machines_only() {
    if let Some(orgs) = std::env::var_os(CALLED_ORGS) {
        return call_each(orgs.to_str().unwrap()).await;
    }
    let refused = || {
        [(); 2].map(|()| {
            json(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#)
        })
    };
    let (here, proxy) = (Stub::answering(refused()).await, Stub::answering(refused()).await);
    let by_name = here.origin.as_str().replace("127.0.0.1", "localhost");
    let orgs = format!("{} {by_name} http://org.example", here.origin);
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "egress::a_proxy_of_the_environment_is_for_other_machines_only"]);
    // What the environment of the tests itself says must not decide.
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "REQUEST_METHOD"] {
        again.env_remove(name);
    }
    again.env("HTTP_PROXY", proxy.origin.as_str()).env(CALLED_ORGS, orgs);
    let output = tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(here.asked().len(), 2, "an org on this machine is called directly");
    let proxied: Vec<String> = proxy.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(proxied, ["http://org.example/services/oauth2/token"]);
}

/// What the test above does in a process whose environment names a proxy.
async fn call_each(orgs: &str) {
    let oauth = OAuth::new(egress());
    for org in orgs.split(' ') {
        let origin = OrgHosts::salesforce().list(org).unwrap().instance(org).unwrap();
        let outcome = refresh(&oauth, &origin).await.outcome();
        assert_eq!(outcome, Outcome::Answered(RefusalClass::DeadGrant), "{org}");
    }
}
