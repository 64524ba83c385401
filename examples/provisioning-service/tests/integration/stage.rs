//! The app, and a server that plays AppLink API and org.

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_service::{RunningService, Service, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const ADDON: &str = "/addons/1530f4b5-c63a-4221-b28c-bc9602119605";
pub(crate) const DEALS: [&str; 2] = ["006DS00000yYLD1YAO", "006SB00000VAyPFYA1"];

/// What the org was asked: `(token, "METHOD /path?query", body)`, in order.
type Asked = (String, String, Value);
type Answer = dyn Fn(&str, &Value) -> Response + Send + Sync;

#[derive(Clone)]
struct Script {
    asked: Arc<Mutex<Vec<Asked>>>,
    count: watch::Sender<usize>,
    answer: Arc<Answer>,
}

pub(crate) struct Stage {
    pub(crate) app: RunningService,
    pub(crate) org_url: String,
    script: Script,
}

/// `answer` is given `METHOD /path?query` (decoded) and the body, of every request to the org.
pub(crate) async fn stage(answer: impl Fn(&str, &Value) -> Response + Send + Sync + 'static) -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let org_url = format!("http://{}", listener.local_addr().unwrap());
    play_on(listener, authorization(&org_url), answer).await
}

/// The same with another org: `authorization` is what the AppLink API hands out.
pub(crate) async fn stage_with(
    authorization: Value,
    answer: impl Fn(&str, &Value) -> Response + Send + Sync + 'static,
) -> Stage {
    play_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), authorization, answer).await
}

async fn play_on(
    listener: TcpListener,
    authorization: Value,
    answer: impl Fn(&str, &Value) -> Response + Send + Sync + 'static,
) -> Stage {
    let org_url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |line: &str, body: &Value| match line.contains(ADDON) {
        true => ok(authorization.clone()),
        false => answer(line, body),
    };
    let script = Script { asked: Arc::default(), count: watch::Sender::new(0), answer: Arc::new(answer) };
    let router = axum::Router::new().fallback(play).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let env = [
        ("APP_PORT", "0".to_owned()),
        ("HEROKU_APP_ID", "d52a726b-11a4-47a1-a4b6-2e18a771c2ac".to_owned()),
        ("HEROKU_APPLINK_API_URL", format!("{org_url}{ADDON}")),
        ("HEROKU_APPLINK_TOKEN", "tok-default".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let app = Service::start(Settings::from_env(env).unwrap()).await.unwrap();
    Stage { app, org_url, script }
}

async fn play(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let token = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let line = format!("{} {}", parts.method, decoded(&parts.uri.to_string()));
    let answer = (script.answer)(&line, &body);
    script.asked.lock().unwrap().push((token.to_owned(), line, body));
    script.count.send_modify(|count| *count += 1);
    answer
}

/// Enough decoding to read a query: `+` and `%XX` of ASCII.
fn decoded(target: &str) -> String {
    let mut text = target.replace('+', " ");
    for (code, plain) in [("%2C", ","), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%3D", "="), ("%20", " ")]
    {
        text = text.replace(code, plain);
    }
    text
}

fn authorization(org_url: &str) -> Value {
    json!({"id": "b8bc7bcb-89c3-45c0-b7b7-4fb4427e598a", "status": "authorized",
        "org": {"id": "00DSB00000VAyPF2A1", "developer_name": "influencerPortal", "instance_url": org_url,
            "type": "SalesforceOrg", "api_version": "66.0",
            "user_auth": {"username": "integration@acme.example", "user_id": "005DS00000yYLD1YAO", "access_token": "00D!portal"}},
        "created_at": "2025-03-06T18:20:42.226577Z", "created_by": "a@b.c",
        "last_modified_at": "2025-03-06T18:20:42.226577Z"})
}

impl Stage {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address())
    }

    /// What the org (not the AppLink API) was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = std::mem::take(&mut *self.script.asked.lock().unwrap());
        asked.into_iter().filter(|(_, line, _)| !line.contains(ADDON)).collect()
    }

    /// Waits until this many requests have come in all.
    pub(crate) async fn asked_times(&self, count: usize) {
        let mut seen = self.script.count.subscribe();
        seen.wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        sent(client().get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let (status, text) = sent(client().post(self.url(path)).json(body)).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    /// A call by a sales user, as the mesh passes it on.
    pub(crate) async fn invoke(&self, body: &Value) -> (StatusCode, Value) {
        let caller = Caller { token: "00D!sales", org_url: &self.org_url, username: "sales@acme.example" };
        self.invoke_as(&caller, body).await
    }

    pub(crate) async fn invoke_as(&self, caller: &Caller<'_>, body: &Value) -> (StatusCode, Value) {
        let context = json!({"requestId": "00DSB00000VAyPF2A1-r1", "accessToken": caller.token, "apiVersion": "66.0",
            "orgId": "00DSB00000VAyPF2A1", "orgDomainUrl": caller.org_url,
            "userContext": {"userId": "005DS00000yYLD1YAO", "username": caller.username}});
        let request = client().post(self.url("/api/provisionServices")).json(body);
        let (status, text) =
            sent(request.header("x-client-context", STANDARD.encode(context.to_string()))).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

/// Who calls, and where from.
pub(crate) struct Caller<'a> {
    pub(crate) token: &'a str,
    pub(crate) org_url: &'a str,
    pub(crate) username: &'a str,
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn sent(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

pub(crate) fn ok(body: impl Into<Value>) -> Response {
    axum::Json(body.into()).into_response()
}

/// One page with these records.
pub(crate) fn page(records: Vec<Value>) -> Response {
    ok(json!({"totalSize": records.len(), "done": true, "records": records}))
}

pub(crate) fn refused(status: u16, code: &str) -> Response {
    let body = json!([{"errorCode": code, "message": "the org says no"}]);
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
