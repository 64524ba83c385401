//! A scripted service: answers what a test told it to, and remembers what it was asked. Its JSON is its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

pub(crate) const ADDON: &str = "01234567-89ab-cdef-0123-456789abcdef";
pub(crate) const APP: &str = "89abcdef-0123-4567-89ab-cdef01234567";
pub(crate) const CONNECTION: &str = "792fb84d-9c0a-4e28-bee9-754bbfe1c100";
pub(crate) const AUTHORIZATION: &str = "4ac952e1-ad3d-4dbb-8093-8c6612bec27c";

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service.
pub(crate) struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

/// One request as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    /// `POST /addons/…/connections/salesforce`
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    /// By request line: the answers still to give; the last one stays.
    script: Mutex<HashMap<String, Vec<Answer>>>,
    /// What everything else is answered with.
    otherwise: Mutex<Option<Answer>>,
    seen: Mutex<Vec<Seen>>,
    arrived: Condvar,
}

#[derive(Clone)]
enum Answer {
    Json(u16, Value),
    Text(u16, String),
    Silence,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { shared, address, _runtime: runtime }
    }

    /// Answers `line` (`GET /connections`, below the add-on) with JSON. Several calls give several answers.
    pub(crate) fn on(self, line: &str, status: u16, body: Value) -> Self {
        self.script(line, Answer::Json(status, body))
    }

    /// Answers `line`, whose path is the whole one.
    pub(crate) fn on_root(self, line: &str, status: u16, body: Value) -> Self {
        let answer = Answer::Json(status, body);
        self.shared.script.lock().unwrap().entry(line.to_owned()).or_default().push(answer);
        self
    }

    /// Answers whatever is asked for, unless there is an answer for it.
    pub(crate) fn on_everything(self, status: u16, body: Value) -> Self {
        *self.shared.otherwise.lock().unwrap() = Some(Answer::Json(status, body));
        self
    }

    /// Never answers anything.
    pub(crate) fn silent(self) -> Self {
        *self.shared.otherwise.lock().unwrap() = Some(Answer::Silence);
        self
    }

    pub(crate) fn on_text(self, line: &str, status: u16, body: &str) -> Self {
        self.script(line, Answer::Text(status, body.to_owned()))
    }

    /// Never answers `line`.
    pub(crate) fn silent_on(self, line: &str) -> Self {
        self.script(line, Answer::Silence)
    }

    fn script(self, line: &str, answer: Answer) -> Self {
        let (method, path) = line.split_once(' ').unwrap();
        let below_addon = !["/_sim", "/operator", "/apps"].iter().any(|other| path.starts_with(other));
        let line = if below_addon { format!("{method} /addons/{ADDON}{path}") } else { line.to_owned() };
        self.shared.script.lock().unwrap().entry(line).or_default().push(answer);
        self
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The only request there was.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{:?}", seen.iter().map(|seen| &seen.line).collect::<Vec<_>>());
        seen.into_iter().next().unwrap()
    }

    /// Waits until a request whose line starts with `start` has arrived.
    pub(crate) fn wait_for(&self, start: &str) {
        let seen = self.shared.seen.lock().unwrap();
        let missing = |seen: &mut Vec<Seen>| !seen.iter().any(|seen| seen.line.starts_with(start));
        let (_seen, waited) = self.shared.arrived.wait_timeout_while(seen, PATIENCE, missing).unwrap();
        assert!(!waited.timed_out(), "{start} never arrived");
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let line = format!("{method} {uri}");
    shared.seen.lock().unwrap().push(Seen { line: line.clone(), headers, body: body.to_vec() });
    shared.arrived.notify_all();
    match next_answer(&shared, &line) {
        Some(Answer::Json(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
        }
        Some(Answer::Text(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "text/plain")], body)
                .into_response()
        }
        Some(Answer::Silence) => std::future::pending().await,
        None => {
            (StatusCode::NOT_IMPLEMENTED, axum::Json(error("not_scripted", &format!("no answer for {line}"))))
                .into_response()
        }
    }
}

fn next_answer(shared: &Shared, line: &str) -> Option<Answer> {
    let mut script = shared.script.lock().unwrap();
    let path_only = line.split('?').next().unwrap_or(line);
    let Some(answers) = script.get_mut(path_only) else {
        return shared.otherwise.lock().unwrap().clone();
    };
    if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() }
}

/// An error body with the keys of both client families.
pub(crate) fn error(id: &str, message: &str) -> Value {
    json!({"id": id, "message": message, "title": id, "detail": message, "status": 400})
}

pub(crate) fn not_found() -> Value {
    error("record_not_found", "record not found")
}

/// A connection as the service answers it.
pub(crate) fn connection(name: &str, status: &str, kind: &str) -> Value {
    let alive = status == "connected";
    json!({
        "id": CONNECTION, "addon_id": ADDON, "status": status, "redirect_uri": null,
        "org": {"id": if alive { "00DSB00000VAyPF2A1" } else { "" }, "type": kind, "connection_name": name,
            "instance_url": if alive { "https://acme-corp.my.salesforce.com" } else { "" }},
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com", "created_via_app": "my-app",
        "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
    })
}

/// An authorization as the service answers it.
pub(crate) fn authorization(name: &str, status: &str, kind: &str) -> Value {
    json!({
        "id": AUTHORIZATION, "addon_id": ADDON, "status": status, "redirect_uri": null, "app_name": "my-app",
        "org": {"id": "00DSB00000VAyPF2A1", "type": kind, "developer_name": name,
            "instance_url": "https://acme-corp.my.salesforce.com", "username": "admin@applink.org"},
        "created_at": "2025-05-30T18:55:42.863808Z", "created_by": "user@example.com", "created_via_app": "my-app",
        "last_modified_at": "2025-05-30T18:56:02.282284Z", "last_modified_by": "user@example.com",
    })
}
