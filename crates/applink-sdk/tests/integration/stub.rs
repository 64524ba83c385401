//! A scripted server, used as AppLink API and as org.

use std::sync::{Arc, Mutex};

use applink_sdk::AppLink;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

pub(crate) const APP: &str = "d52a726b-11a4-47a1-a4b6-2e18a771c2ac";
pub(crate) const ORG_ID: &str = "00DSB00000VAyPF2A1";

#[derive(Debug)]
pub(crate) struct Asked {
    /// `GET /path?query`
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn bearer(&self) -> &str {
        let value = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("(none)")
    }
}

type Answerer = dyn Fn(&Asked) -> Response + Send + Sync;

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answerer> = Arc::new(answer);
        let router = axum::Router::new().fallback(handle).with_state((asked.clone(), answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

type Shared = (Arc<Mutex<Vec<Asked>>>, Arc<Answerer>);

async fn handle(State((asked, answer)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let line = format!("{} {}", parts.method, parts.uri);
    let one = Asked { line, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() };
    let response = answer(&one);
    asked.lock().unwrap().push(one);
    response
}

pub(crate) fn json(status: u16, body: impl Into<String>) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body.into())
        .into_response()
}

pub(crate) fn expired() -> Response {
    json(401, r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#)
}

pub(crate) fn rows(rows: &str) -> Response {
    json(200, format!(r#"{{"totalSize":1,"done":true,"records":[{rows}]}}"#))
}

/// What the AppLink API hands out.
pub(crate) fn authorization(org: &Stub, token: &str) -> String {
    authorization_of(&org.url, ORG_ID, token)
}

pub(crate) fn authorization_of(url: &str, org_id: &str, token: &str) -> String {
    format!(
        r#"{{"id":"b8bc7bcb-89c3-45c0-b7b7-4fb4427e598a","status":"authorized",
            "org":{{"id":"{org_id}","developer_name":"portal","instance_url":"{url}","type":"SalesforceOrg","api_version":"66.0",
              "user_auth":{{"username":"integration@acme.example","user_id":"005DS00000yYLD1YAO","access_token":"{token}"}}}},
            "created_at":"2025-03-06T18:20:42.226577Z","created_by":"foo@heroku.com","created_via_app":"test-app",
            "last_modified_at":"2025-03-09T18:20:42.226577Z","last_modified_by":"foo@heroku.com"}}"#
    )
}

/// The app's environment: this API as its default attachment.
pub(crate) fn env(api: &Stub) -> Vec<(String, String)> {
    [
        ("HEROKU_APP_ID", APP.to_owned()),
        ("HEROKU_APPLINK_API_URL", format!("{}/addons/1530f4b5-c63a-4221-b28c-bc9602119605", api.url)),
        ("HEROKU_APPLINK_TOKEN", "tok-default".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

pub(crate) fn applink(api: &Stub) -> AppLink {
    AppLink::from(env(api), None).unwrap()
}

/// A stored user of `org`, whose token never changes.
pub(crate) async fn stored_user(org: &Stub) -> applink_sdk::Org {
    let answer = authorization(org, "00D!stored");
    let api = Stub::start(move |_| json(200, answer.clone())).await;
    applink(&api).authorization("portal").await.unwrap().org()
}
