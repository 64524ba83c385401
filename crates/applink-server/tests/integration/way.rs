//! A way to an org on which something may happen to requests and answers, and which remembers what came along.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::sync::Notify;

/// What happens to requests.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// Nothing comes back, ever.
    Hang,
    /// They are passed on when told.
    Hold(Arc<Notify>),
    /// The org does its part, and its answer does not arrive.
    LoseAnswer,
    /// Somebody else answers.
    Answer(u16, Value),
}

#[derive(Default)]
struct Inner {
    org: OnceLock<SocketAddr>,
    troubles: Mutex<Vec<(&'static str, Trouble)>>,
    came: Mutex<Vec<String>>,
    answered: Mutex<Vec<(String, u16, String)>>,
    told: Notify,
}

/// The way.
#[derive(Clone)]
pub(crate) struct Way {
    inner: Arc<Inner>,
    url: String,
}

impl Way {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let way = Self { inner: Arc::default(), url };
        let routes = Router::new().fallback(pass).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        way
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn lead_to(&self, org: SocketAddr) {
        self.inner.org.set(org).expect("one org");
    }

    /// From now on this happens to requests with `part` in `METHOD /path`.
    pub(crate) fn on(&self, part: &'static str, trouble: Trouble) {
        locked(&self.inner.troubles).push((part, trouble));
    }

    /// Nothing happens any more.
    pub(crate) fn clear(&self) {
        locked(&self.inner.troubles).clear();
    }

    /// How many requests came with `part` in `METHOD /path`.
    pub(crate) fn count(&self, part: &str) -> usize {
        locked(&self.inner.came).iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until so many came.
    pub(crate) async fn came(&self, part: &str, times: usize) {
        let came = async {
            loop {
                let told = self.inner.told.notified();
                if self.count(part) >= times {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), came).await.expect("requests");
    }

    /// Status and text of the answers to such requests, in order.
    pub(crate) fn answers(&self, part: &str) -> Vec<(u16, String)> {
        let answered = locked(&self.inner.answered);
        let such = answered.iter().filter(|(line, ..)| line.contains(part));
        such.map(|(_, status, text)| (*status, text.clone())).collect()
    }

    fn trouble(&self, line: &str) -> Option<Trouble> {
        let troubles = locked(&self.inner.troubles);
        troubles.iter().find(|(part, _)| line.contains(part)).map(|(_, trouble)| trouble.clone())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    locked(&way.inner.came).push(line.clone());
    way.inner.told.notify_waiters();
    let trouble = way.trouble(&line);
    match &trouble {
        Some(Trouble::Hang) => std::future::pending::<()>().await,
        Some(Trouble::Hold(told)) => told.notified().await,
        Some(Trouble::Answer(status, body)) => {
            locked(&way.inner.answered).push((line, *status, body.to_string()));
            return (StatusCode::from_u16(*status).expect("a status"), axum::Json(body.clone()))
                .into_response();
        }
        Some(Trouble::LoseAnswer) | None => {}
    }
    let org = *way.inner.org.get().expect("an org");
    let response = passed_on(&way, line, org, request).await;
    match trouble {
        Some(Trouble::LoseAnswer) => {
            let cut = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]);
            Body::from_stream(cut).into_response()
        }
        _ => response,
    }
}

async fn passed_on(way: &Way, line: String, org: SocketAddr, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let url = format!("http://{org}{}", parts.uri);
    let sent = client.request(parts.method, url).headers(parts.headers).body(body).send().await;
    let answer = sent.expect("an answer of the org");
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let body = answer.bytes().await.expect("the answer's body");
    locked(&way.inner.answered).push((line, status.as_u16(), String::from_utf8_lossy(&body).into_owned()));
    (status, headers, body).into_response()
}
