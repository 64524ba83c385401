//! The two hosts of Heroku that a provider calls, on one port.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{CLIENT_SECRET, RESOURCE};

pub(crate) const APP: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const OTHER_APP: &str = "22222222-2222-4222-8222-222222222222";

#[derive(Default)]
pub(crate) struct Script {
    /// Statuses the next calls are answered with instead, by what they are.
    pub(crate) failures: VecDeque<(&'static str, u16)>,
    /// The one access token that is good.
    pub(crate) access_token: String,
    /// Grants that were exchanged: each works once.
    pub(crate) spent: Vec<String>,
    /// No refresh token comes with an access token.
    pub(crate) without_refresh_token: bool,
    /// How often tokens were refreshed.
    pub(crate) refreshes: u32,
    /// The config vars of the add-on.
    pub(crate) config: Value,
    /// How often it was told that the add-on is provisioned.
    pub(crate) provisioned: u32,
    /// And that it can't be.
    pub(crate) given_up: u32,
    /// Attachments beside the first one.
    pub(crate) attachments: Vec<Value>,
    /// Everything that was asked, in order.
    pub(crate) calls: Vec<&'static str>,
}

#[derive(Clone)]
pub(crate) struct FakeHeroku {
    url: Arc<str>,
    script: Arc<Mutex<Script>>,
}

impl FakeHeroku {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address")).into();
        let heroku = Self { url, script: Arc::default() };
        heroku.script().attachments = vec![attachment(APP, "my-herokuapp", "HEROKU_APPLINK")];
        let routes = Router::new()
            .route("/oauth/token", post(token))
            .route("/addons/{addon}", get(addon))
            .route("/addons/{addon}/addon-attachments", get(attachments))
            .route("/addons/{addon}/config", patch(config))
            .route("/addons/{addon}/actions/{action}", post(action))
            .route("/apps/{app}", get(app))
            .with_state(heroku.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        heroku
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail_next(&self, what: &'static str, status: u16) {
        self.script().failures.push_back((what, status));
    }

    /// Notes the call; an answer, when it is to fail.
    fn asked(&self, what: &'static str, headers: Option<&HeaderMap>) -> Option<Response> {
        let mut script = self.script();
        script.calls.push(what);
        if script.failures.front().is_some_and(|(failing, _)| *failing == what) {
            let (_, status) = script.failures.pop_front()?;
            return Some(refusal(status, "scripted"));
        }
        let headers = headers?;
        let expected = format!("Bearer {}", script.access_token);
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        if given != Some(expected.as_str()) {
            return Some(refusal(401, "unauthorized"));
        }
        assert_eq!(headers["accept"], "application/vnd.heroku+json; version=3");
        None
    }
}

pub(crate) fn attachment(app: &str, name: &str, prefix: &str) -> Value {
    let id = app.replace("4111", "4aaa").replace("4222", "4aaa");
    json!({"id": id, "name": prefix, "app": {"id": app, "name": name}, "addon": {"id": RESOURCE}})
}

fn refusal(status: u16, id: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, Json(json!({"id": id, "message": "Refused."}))).into_response()
}

async fn token(State(heroku): State<FakeHeroku>, Form(form): Form<Vec<(String, String)>>) -> Response {
    if let Some(failure) = heroku.asked("token", None) {
        return failure;
    }
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if field("client_secret").as_deref() != Some(CLIENT_SECRET) {
        return refusal(401, "unauthorized");
    }
    let mut script = heroku.script();
    match field("grant_type").as_deref() {
        Some("authorization_code") => {
            let code = field("code").expect("a code");
            if script.spent.contains(&code) {
                return refusal(400, "invalid_grant");
            }
            script.spent.push(code);
        }
        Some("refresh_token") if script.without_refresh_token => return refusal(400, "invalid_grant"),
        Some("refresh_token") => {
            assert_eq!(field("refresh_token").as_deref(), Some("canary-heroku-refresh"));
            script.refreshes += 1;
        }
        other => panic!("{other:?}"),
    }
    script.access_token = format!("canary-heroku-access-{}", script.calls.len());
    let refresh_token = (!script.without_refresh_token).then_some("canary-heroku-refresh");
    let answer = json!({
        "access_token": script.access_token, "refresh_token": refresh_token,
        "expires_in": 28799, "token_type": "Bearer", "user_id": APP, "session_nonce": null,
    });
    Json(answer).into_response()
}

async fn addon(State(heroku): State<FakeHeroku>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(failure) = heroku.asked("addon", Some(&headers)) {
        return failure;
    }
    let state = if heroku.script().provisioned > 0 { "provisioned" } else { "provisioning" };
    Json(json!({"id": id, "state": state, "app": {"id": APP, "name": "my-herokuapp"}})).into_response()
}

async fn attachments(State(heroku): State<FakeHeroku>, headers: HeaderMap) -> Response {
    if let Some(failure) = heroku.asked("attachments", Some(&headers)) {
        return failure;
    }
    Json(heroku.script().attachments.clone()).into_response()
}

async fn config(State(heroku): State<FakeHeroku>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(failure) = heroku.asked("config", Some(&headers)) {
        return failure;
    }
    let vars = body["config"].as_array().expect("a list").clone();
    let vars =
        vars.into_iter().map(|var| (var["name"].as_str().expect("a name").to_owned(), var["value"].clone()));
    heroku.script().config = vars.collect();
    Json(body["config"].clone()).into_response()
}

async fn action(
    State(heroku): State<FakeHeroku>,
    headers: HeaderMap,
    Path((_, action)): Path<(String, String)>,
) -> Response {
    if let Some(failure) = heroku.asked("action", Some(&headers)) {
        return failure;
    }
    let mut script = heroku.script();
    match action.as_str() {
        "provision" if script.provisioned > 0 => return refusal(422, "invalid_params"),
        "provision" => script.provisioned += 1,
        "deprovision" => script.given_up += 1,
        other => panic!("{other}"),
    }
    Json(json!({"id": RESOURCE})).into_response()
}

async fn app(State(heroku): State<FakeHeroku>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(failure) = heroku.asked("app", Some(&headers)) {
        return failure;
    }
    Json(json!({"id": id, "web_url": "https://my-herokuapp-0123.herokuapp.com/"})).into_response()
}
