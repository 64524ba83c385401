//! What apps post back.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::app::App;
use super::support::package::Package;
use super::support::{SIM_KEY, TestOrg};

/// An invocation that waits for callbacks: the org, the app, the invocation's answer, its URL.
struct Waiting {
    org: TestOrg,
    app: App,
    answer: Value,
    url: String,
}

impl Waiting {
    async fn start() -> Self {
        let (org, app) = (TestOrg::start().await, App::start().await);
        org.deploy("admin", &Package::service(&app.url)).await;
        org.assign("Provisioning", "sales").await;
        org.assign("ProvisioningPermissions", "sales").await;
        let call = json!({"service": "Provisioning", "operation": "provision", "as": org.username("sales"), "body": {"opportunityIds": []}});
        let (_, answer) = org.sim_post("/_sim/invoke", &call).await;
        let url = app.last().body["callbackUrl"].as_str().unwrap().to_owned();
        Self { org, app, answer, url }
    }

    fn id(&self) -> &str {
        self.answer["invocation_id"].as_str().unwrap()
    }

    async fn post(&self, token: &str, body: String) -> StatusCode {
        let request = self
            .org
            .http
            .post(&self.url)
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body);
        request.send().await.unwrap().status()
    }

    async fn list(&self) -> Value {
        self.org.sim(&format!("/_sim/callbacks?invocation={}", self.id())).await
    }
}

#[tokio::test]
async fn several_callbacks_arrive_with_the_invocations_own_token() {
    let waiting = Waiting::start().await;
    assert!(waiting.url.starts_with(&waiting.org.url("/services/data/v66.0/externalServices/callbacks/")));
    let token = waiting.app.last().access_token();
    for step in ["started", "completed"] {
        assert_eq!(
            waiting.post(&token, json!({"jobId": "j1", "status": step}).to_string()).await,
            StatusCode::OK
        );
    }
    let list = waiting.list().await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(
        (&list[0]["callback"], &list[0]["session_ok"], &list[0]["finding"]),
        (&"progress".into(), &true.into(), &Value::Null)
    );
    assert_eq!(
        (&list[1]["username"], &list[1]["body"]["status"]),
        (&waiting.org.username("sales").into(), &"completed".into())
    );
    let shown = waiting.org.sim(&format!("/_sim/invocations/{}", waiting.id())).await;
    assert_eq!(
        (&shown["state"], shown["callbacks"].as_array().map(Vec::len)),
        (&"waiting".into(), Some(2)),
        "a callback never closes it"
    );
}

#[tokio::test]
async fn other_tokens_are_refused_and_noted() {
    let waiting = Waiting::start().await;
    let other = waiting.org.access_token_of("sales").await;
    assert_eq!(waiting.post(&other, json!({"jobId": "j"}).to_string()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        waiting.post("00D!AQnobody", json!({"jobId": "j"}).to_string()).await,
        StatusCode::UNAUTHORIZED
    );
    let list = waiting.list().await;
    assert_eq!(
        (&list[0]["session_ok"], &list[0]["username"]),
        (&false.into(), &waiting.org.username("sales").into())
    );
    assert_eq!((&list[1]["session_ok"], &list[1]["username"]), (&false.into(), &Value::Null));
}

#[tokio::test]
async fn bodies_are_parsed_and_compared_with_the_declaration() {
    let waiting = Waiting::start().await;
    let token = waiting.app.last().access_token();
    assert_eq!(waiting.post(&token, "{not json".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(waiting.post(&token, json!({"jobId": 7}).to_string()).await, StatusCode::OK);
    let list = waiting.list().await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["finding"], "body.jobId: expected string, found a number");
    let unknown = waiting.org.url("/services/data/v66.0/externalServices/callbacks/guess");
    let answer = waiting.org.http.post(unknown).bearer_auth(&token).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_listener_is_woken_by_the_next_callback() {
    let waiting = Waiting::start().await;
    let path = format!("/_sim/callbacks?invocation={}&wait_ms=30000&at_least=2", waiting.id());
    let request = waiting.org.http.get(waiting.org.url(&path)).header("x-sim-key", SIM_KEY);
    let listener = tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    let token = waiting.app.last().access_token();
    for _ in 0..2 {
        waiting.post(&token, json!({"jobId": "j"}).to_string()).await;
    }
    assert_eq!(listener.await.unwrap().as_array().unwrap().len(), 2);
    let at_once = waiting.org.sim("/_sim/callbacks?invocation=nothing&wait_ms=1").await;
    assert_eq!(at_once, json!([]));
}

#[tokio::test]
async fn the_declared_timeout_ends_session_and_elevation() {
    let waiting = Waiting::start().await;
    let token = waiting.app.last().access_token();
    waiting.org.clock.advance_seconds(60 * 60 - 1);
    assert_eq!(
        waiting.post(&token, json!({"jobId": "j"}).to_string()).await,
        StatusCode::OK,
        "use does not prolong it"
    );
    waiting.org.clock.advance_seconds(2);
    assert_eq!(waiting.post(&token, json!({"jobId": "j"}).to_string()).await, StatusCode::UNAUTHORIZED);
    waiting.org.sim_post("/_sim/sweep", &json!({})).await;
    let shown = waiting.org.sim(&format!("/_sim/invocations/{}", waiting.id())).await;
    assert_eq!(shown["state"], "ended");
    let admin = json!({"username": waiting.org.username("admin")});
    let (_, left) = waiting.org.probe(admin.clone(), "SELECT Id FROM SessionPermSetActivation").await;
    assert_eq!(left["totalSize"], 0);
    let (_, operation) = waiting.org.probe(admin, "SELECT Status, Type FROM BackgroundOperation").await;
    assert_eq!(
        (&operation["records"][0]["Status"], &operation["records"][0]["Type"]),
        (&"Complete".into(), &"ExternalServiceCallback".into())
    );
}
