//! A webhook receiver on loopback: remembers what it was sent, answers what a test told it to, and checks signatures
//! with code of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::Notify;

/// One delivery as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// Whether one of the signatures is of this secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed =
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(tag.as_ref()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }

    pub(crate) fn signatures(&self) -> usize {
        self.header("webhook-signature").split(' ').count()
    }
}

#[derive(Default)]
struct Inner {
    answers: VecDeque<u16>,
    always: Option<u16>,
    received: Vec<Received>,
}

/// The receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    inner: Arc<Mutex<Inner>>,
    told: Arc<Notify>,
    url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let receiver = Self { inner: Arc::default(), told: Arc::default(), url };
        let routes = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        receiver
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next deliveries are answered; 204 afterwards.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.inner().answers.extend(statuses);
    }

    /// What all deliveries are answered from now on.
    pub(crate) fn always(&self, status: Option<u16>) {
        self.inner().always = status;
    }

    /// What arrived since this was last asked.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.inner().received)
    }

    /// Waits until this much arrived, and takes it.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let arrived = async {
            loop {
                let told = self.told.notified();
                if self.inner().received.len() >= count {
                    return self.take();
                }
                told.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("deliveries")
    }

    /// The types of what arrived since, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.take().iter().map(Received::kind).collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let mut inner = receiver.inner();
    inner.received.push(Received { headers, body });
    receiver.told.notify_one();
    let status = inner.answers.pop_front().or(inner.always).unwrap_or(204);
    let status = StatusCode::from_u16(status).unwrap();
    if status.is_redirection() {
        return (status, [(header::LOCATION, receiver.url.clone())]).into_response();
    }
    (status, "canary-answer-body").into_response()
}
