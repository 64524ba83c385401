//! A tiny scripted org: answers in order, and everything that was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use applink_salesforce::egress::{EgressSettings, OrgEgress};
use applink_salesforce::rest::{ApiVersion, Org};
use applink_salesforce::{OrgHosts, OrgOrigin};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "00DSB00000VAyPF!AQcanary";

pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// A field of a form body.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) origin: OrgOrigin,
    state: Script,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Response>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    /// An org that gives these answers, in order, to whatever is asked.
    pub(crate) async fn answering<A: IntoResponse>(answers: impl IntoIterator<Item = A>) -> Self {
        let state = Script::default();
        *state.answers.lock().unwrap() = answers.into_iter().map(IntoResponse::into_response).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin: OrgOrigin::vouched_for(&origin).unwrap(), state }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }

    pub(crate) fn org(&self) -> Org {
        Org::new(egress(), self.origin.clone(), ApiVersion::new(66), SecretString::from(TOKEN))
    }

    /// Salesforce plus this org, which also plays login.salesforce.com.
    pub(crate) fn hosts(&self) -> OrgHosts {
        OrgHosts::salesforce().lead("https://login.salesforce.com", self.origin.as_str()).unwrap()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    script.asked.lock().unwrap().push(Asked {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let next = script.answers.lock().unwrap().pop_front();
    next.unwrap_or_else(|| (StatusCode::IM_A_TEAPOT, "nothing scripted").into_response())
}

pub(crate) fn json(status: u16, body: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json;charset=UTF-8")], body.into()).into_response()
}

pub(crate) fn egress() -> OrgEgress {
    OrgEgress::new(EgressSettings::default()).unwrap()
}

/// A client that loses patience quickly.
pub(crate) fn hasty() -> OrgEgress {
    let soon = std::time::Duration::from_millis(300);
    OrgEgress::new(EgressSettings { token_deadline: soon, rest_deadline: soon, ..EgressSettings::default() })
        .unwrap()
}
