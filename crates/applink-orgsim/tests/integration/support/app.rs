//! A published app: keeps what it is sent and answers as told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) raw: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Received>>>,
    status: Arc<Mutex<StatusCode>>,
    says: Arc<Mutex<Value>>,
}

impl App {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Self {
            url,
            calls: Arc::default(),
            status: Arc::new(Mutex::new(StatusCode::CREATED)),
            says: Arc::new(Mutex::new(json!({"jobId": "j1"}))),
        };
        let router = Router::new().fallback(answer).with_state(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        app
    }

    pub(crate) fn answer_with(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    /// From now on it answers with this.
    pub(crate) fn says(&self, body: Value) {
        *self.says.lock().unwrap() = body;
    }

    pub(crate) fn calls(&self) -> Vec<Received> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Received {
        self.calls().pop().expect("the app was called")
    }
}

async fn answer(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let raw = body.to_vec();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    app.calls.lock().unwrap().push(Received { method, uri, headers, body, raw });
    let status = *app.status.lock().unwrap();
    let says = app.says.lock().unwrap().clone();
    (status, axum::Json(says)).into_response()
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap().to_owned()
    }

    pub(crate) fn context(&self, name: &str) -> Value {
        serde_json::from_slice(&STANDARD.decode(self.header(name)).unwrap()).unwrap()
    }

    /// The access token the app may call the org with.
    pub(crate) fn access_token(&self) -> String {
        self.context("x-client-context")["accessToken"].as_str().unwrap().to_owned()
    }
}
