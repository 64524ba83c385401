//! The control plane beside the mesh: says what it is told to, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// What it says next.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// 200 with this verdict.
    Yes(Value),
    /// This status and body.
    Status(u16, &'static str),
    /// A redirect to this URL.
    Redirect(u16, String),
    /// Breaks the connection.
    Nothing,
}

pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// While this has no permits, questions wait for an answer.
    gate: Arc<Semaphore>,
    server: JoinHandle<()>,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ControlPlane {
    pub(crate) async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(says));
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let (said, kept, open) = (Arc::clone(&says), Arc::clone(&asked), Arc::clone(&gate));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (said, kept, open) = (Arc::clone(&said), Arc::clone(&kept), Arc::clone(&open));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        answer(request, Arc::clone(&said), Arc::clone(&kept), Arc::clone(&open))
                    });
                    let stream = TokioIo::new(stream);
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                });
            }
        });
        Self { address, says, asked, gate, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/addons/a1", self.address)
    }

    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn hold_answers(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release_answers(&self) {
        self.gate.add_permits(1_000);
    }
}

async fn answer(
    request: Request<Incoming>,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    gate: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "unreadable")?.to_bytes();
    asked.lock().unwrap().push(Asked {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    drop(gate.acquire().await);
    let says = says.lock().unwrap().clone();
    let mut response = Response::new(Full::default());
    match says {
        Says::Yes(verdict) => *response.body_mut() = Full::from(verdict.to_string()),
        Says::Status(status, text) => {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            *response.body_mut() = Full::from(text);
        }
        Says::Redirect(status, location) => {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert("location", location.parse().unwrap());
        }
        Says::Nothing => return Err("closed"),
    }
    Ok(response)
}
