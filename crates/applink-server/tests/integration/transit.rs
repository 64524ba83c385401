//! A master key that a key service wraps: one that answers as HashiCorp's and OpenBao's API documentation has it
//! (`/v1/transit/encrypt/:name`, `/v1/transit/decrypt/:name`), and, where it can be had, OpenBao itself.

#[path = "transit/openbao.rs"]
mod openbao;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use applink_server::vault::{KeySource, MasterKeys, Transit};
use applink_server::{Config, Server};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::backends::Backend;
use crate::stack::{Stack, seeded};
use openbao::OpenBao;

const TOKEN: &str = "canary-vault-token";

/// What it wrapped, by ciphertext.
type Wrapped = Arc<Mutex<HashMap<String, String>>>;

/// The key service; its URL, and what it was given.
async fn service() -> (String, Wrapped) {
    let wrapped = Wrapped::default();
    let routes = Router::new()
        .route("/v1/transit/encrypt/applink", post(encrypt))
        .route("/v1/transit/decrypt/applink", post(decrypt))
        .route("/v1/transit/encrypt/{other}", post(async || refused(404)))
        .with_state(Arc::clone(&wrapped));
    let routes =
        routes.layer(axum::middleware::from_fn(async |headers: HeaderMap, request: Request, next: Next| {
            if headers.get("x-vault-token").is_some_and(|token| token == TOKEN) {
                next.run(request).await
            } else {
                axum::response::IntoResponse::into_response(refused(403))
            }
        }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, wrapped)
}

fn refused(status: u16) -> (StatusCode, Json<Value>) {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"errors": ["permission denied"]})))
}

/// Neither program asks for a content type.
fn parsed(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

async fn encrypt(State(wrapped): State<Wrapped>, body: Bytes) -> Json<Value> {
    let body = parsed(&body);
    let mut wrapped = wrapped.lock().unwrap();
    let ciphertext = format!("vault:v1:{:08}", wrapped.len());
    wrapped.insert(ciphertext.clone(), body["plaintext"].as_str().unwrap().to_owned());
    answer(json!({"ciphertext": ciphertext, "key_version": 1}))
}

async fn decrypt(
    State(wrapped): State<Wrapped>,
    body: Bytes,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let body = parsed(&body);
    match wrapped.lock().unwrap().get(body["ciphertext"].as_str().unwrap()) {
        Some(plaintext) => Ok(answer(json!({"plaintext": plaintext}))),
        None => Err((StatusCode::BAD_REQUEST, Json(json!({"errors": ["invalid ciphertext"]})))),
    }
}

/// Around every answer.
fn answer(data: Value) -> Json<Value> {
    Json(json!({"request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
        "wrap_info": null, "warnings": null, "auth": null}))
}

fn transit(url: &str, token: &str, key: &str) -> KeySource {
    KeySource::Transit(Arc::new(Transit {
        address: url.parse().unwrap(),
        token: token.into(),
        mount: "transit".to_owned(),
        key: key.to_owned(),
        namespace: None,
    }))
}

fn use_service(config: &mut Config, source: KeySource) {
    config.master_keys = MasterKeys::none();
    config.key_source = source;
}

#[tokio::test]
async fn a_wrapped_master_key_is_made_once_unwrapped_at_every_start_and_rotated() {
    let (url, wrapped) = service().await;
    let source = transit(&url, TOKEN, "applink");
    let stack = Stack::with(|config| use_service(config, source.clone())).await;
    stack.authorize("worker").await;
    assert_eq!(wrapped.lock().unwrap().len(), 1);
    let first = stack.operator(Method::GET, "/operator/vault", None).await.expect(200).json();
    let body = json!({"kind": "master"});
    stack.operator(Method::POST, "/operator/vault/rotations", Some(&body)).await.expect(202);
    for _ in 0..3 {
        stack.reconcile("vault").await;
        stack.advance(61);
    }
    let second = stack.operator(Method::GET, "/operator/vault", None).await.expect(200).json();
    assert_eq!(second["rotations"][0]["phase"], json!("done"), "{second}");
    assert_ne!(second["master_key_id"], first["master_key_id"]);
    assert_eq!(wrapped.lock().unwrap().len(), 2);
    let app = stack.server.app();
    let left = applink_server::vault::store::wrapped_masters(app.store.reader()).await.unwrap();
    assert_eq!(left.len(), 1, "the former one is erased");

    let (org, backend, now) = (stack.org.clone(), stack.backend, stack.clock.now());
    stack.server.stop().await;
    let start = async |source: KeySource, seed: u64| {
        let (clock, _hand) = applink_api::clock::Clock::mock(now);
        let mut config = Stack::config(&backend, &org, clock);
        use_service(&mut config, source);
        config.entropy = seeded(seed);
        Server::start(config).await
    };
    for (source, says) in [
        (transit(&url, "another-token", "applink"), "refuses the token"),
        (transit("http://127.0.0.1:1", TOKEN, "applink"), "does not answer"),
    ] {
        let error = start(source, 5).await.unwrap_err();
        let text = applink_server::error::chain(&error);
        assert!(text.contains(says) && !text.contains("token\""), "{text}");
        assert!(!text.contains(TOKEN) && !text.contains("another-token"), "{text}");
    }
    let server = start(source, 6).await.expect("the service unwraps it");
    server.stop().await;
}

#[tokio::test]
async fn a_service_without_the_key_is_told_and_nothing_is_written() {
    let (url, _wrapped) = service().await;
    let backend = Backend::fresh().await;
    let org = crate::fake_org::FakeOrg::start().await;
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::stack::START);
    let mut config = Stack::config(&backend, &org, clock);
    use_service(&mut config, transit(&url, TOKEN, "nothing"));
    let error = Server::start(config).await.unwrap_err();
    let text = applink_server::error::chain(&error);
    assert!(text.contains("transit/nothing") && text.contains("no such engine or key"), "{text}");
}

/// What a server that can't start says.
async fn why_not(backend: &Backend, source: KeySource) -> String {
    let org = crate::fake_org::FakeOrg::start().await;
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::stack::START);
    let mut config = Stack::config(backend, &org, clock);
    use_service(&mut config, source);
    let error = Server::start(config).await.map(drop).expect_err("it can't start");
    applink_server::error::chain(&error)
}

#[tokio::test]
async fn openbao_itself_wraps_the_master_key_with_every_version_of_its_own() {
    let Some(bao) = OpenBao::start().await else { return };
    let token = bao.token().await;
    let source = transit(&bao.url, &token, "applink");
    let stack = Stack::with(|config| use_service(config, source.clone())).await;
    stack.authorize("worker").await;
    let status = async || stack.operator(Method::GET, "/operator/vault", None).await.expect(200).json();
    let first = status().await;
    // Its own key gets another version, and then ours is rotated.
    bao.write("transit/keys/applink/rotate", json!({})).await;
    let body = json!({"kind": "master"});
    stack.operator(Method::POST, "/operator/vault/rotations", Some(&body)).await.expect(202);
    for _ in 0..3 {
        stack.reconcile("vault").await;
        stack.advance(61);
    }
    let second = status().await;
    assert_eq!(second["rotations"][0]["phase"], json!("done"), "{second}");
    assert_ne!(second["master_key_id"], first["master_key_id"]);
    let reader = stack.server.app().store.reader();
    let left = applink_server::vault::store::wrapped_masters(reader).await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].wrapped.starts_with("vault:v2:"), "{}", left[0].wrapped);
    stack.token_of("worker").await;

    // It is away: what runs goes on, and what stopped starts once it is back.
    bao.write("sys/seal", json!({})).await;
    stack.reconcile("vault").await;
    stack.token_of("worker").await;
    let backend = stack.backend;
    stack.server.stop().await;
    let text = why_not(&backend, source).await;
    assert!(text.contains("is sealed") && !text.contains(&token), "{text}");
}

#[tokio::test]
async fn what_openbao_refuses_is_told_with_the_fix() {
    let Some(bao) = OpenBao::start().await else { return };
    let token = bao.token().await;
    let revoked = bao.token().await;
    bao.write("auth/token/revoke", json!({"token": revoked})).await;
    let backend = Backend::fresh().await;
    let elsewhere = KeySource::Transit(Arc::new(Transit {
        address: bao.url.parse().unwrap(),
        token: token.as_str().into(),
        mount: "nowhere".to_owned(),
        key: "applink".to_owned(),
        namespace: None,
    }));
    for (source, says) in [
        (transit(&bao.url, &revoked, "applink"), "refuses the token"),
        (transit(&bao.url, "made-up", "applink"), "refuses the token"),
        (transit(&bao.url, &token, "other"), "refuses the token"),
        (elsewhere, "refuses the token"),
    ] {
        let text = why_not(&backend, source).await;
        assert!(text.contains(says) && !text.contains(&token) && !text.contains(&revoked), "{text}");
    }
    // The database is as it was: the right service opens it for the first time.
    let org = crate::fake_org::FakeOrg::start().await;
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::stack::START);
    let mut config = Stack::config(&backend, &org, clock);
    use_service(&mut config, transit(&bao.url, &token, "applink"));
    let server = Server::start(config).await.expect("it starts");
    let left = applink_server::vault::store::wrapped_masters(server.app().store.reader()).await.unwrap();
    assert_eq!(left.len(), 1, "nothing was left behind by those that could not start");
    // Wrapped by another key than the one that is asked now.
    server.stop().await;
    bao.write("transit/keys/second", json!({})).await;
    let policy = json!({"policy": "path \"transit/+/second\" { capabilities = [\"update\"] }"});
    bao.write("sys/policies/acl/applink", policy).await;
    let text = why_not(&backend, transit(&bao.url, &token, "second")).await;
    assert!(text.contains("transit/second") && text.contains("refuses"), "{text}");
}
