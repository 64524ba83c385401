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

/// The trust bundle, and how often it was asked for.
#[derive(Debug, Default)]
struct Polls {
    bundle: Bundle,
    full: usize,
    unchanged: usize,
    broken: usize,
}

/// What a poll of the trust bundle is answered with.
#[derive(Clone, Debug, Default)]
pub(crate) enum Bundle {
    /// 404, as a control plane that has none.
    #[default]
    None,
    /// 200 or 304; its `version` is the ETag.
    Is(Value),
    /// This status.
    Status(u16),
    /// The connection breaks.
    Away,
}

pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    polls: Arc<Mutex<Polls>>,
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
        let polls = Arc::<Mutex<Polls>>::default();
        let polled = Arc::clone(&polls);
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let (said, kept, open) = (Arc::clone(&says), Arc::clone(&asked), Arc::clone(&gate));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (said, kept, open) = (Arc::clone(&said), Arc::clone(&kept), Arc::clone(&open));
                let polled = Arc::clone(&polled);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let polled = Arc::clone(&polled);
                        let (said, kept, open) = (Arc::clone(&said), Arc::clone(&kept), Arc::clone(&open));
                        async move {
                            if request.uri().path().ends_with("/trust-bundle") {
                                return poll(&request, &mut polled.lock().unwrap());
                            }
                            answer(request, said, kept, open).await
                        }
                    });
                    let stream = TokioIo::new(stream);
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                });
            }
        });
        Self { address, says, asked, polls, gate, server }
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

    /// The next poll, and those after it, are answered with this.
    pub(crate) fn serve(&self, bundle: Bundle) {
        self.polls.lock().unwrap().bundle = bundle;
    }

    /// Polls answered with a whole bundle, and with 304.
    pub(crate) fn polls(&self) -> (usize, usize) {
        let polls = self.polls.lock().unwrap();
        (polls.full, polls.unchanged)
    }

    /// Polls whose connection broke.
    pub(crate) fn broken_polls(&self) -> usize {
        self.polls.lock().unwrap().broken
    }

    pub(crate) fn hold_answers(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release_answers(&self) {
        self.gate.add_permits(1_000);
    }
}

fn poll(request: &Request<Incoming>, polls: &mut Polls) -> Result<Response<Full<Bytes>>, &'static str> {
    assert_eq!(request.headers()["authorization"], "Bearer addon-token-canary");
    let mut response = Response::new(Full::default());
    match polls.bundle.clone() {
        Bundle::None => *response.status_mut() = StatusCode::NOT_FOUND,
        Bundle::Status(status) => *response.status_mut() = StatusCode::from_u16(status).unwrap(),
        Bundle::Away => {
            polls.broken += 1;
            return Err("closed");
        }
        Bundle::Is(bundle) => {
            let etag = format!("\"{}\"", bundle["version"].as_str().unwrap());
            response.headers_mut().insert("etag", etag.parse().unwrap());
            if request.headers().get("if-none-match").is_some_and(|known| known.as_bytes() == etag.as_bytes())
            {
                polls.unchanged += 1;
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            } else {
                polls.full += 1;
                *response.body_mut() = Full::from(bundle.to_string());
            }
        }
    }
    Ok(response)
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
