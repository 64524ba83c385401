//! A client of a simulated org's control interface, `/_sim`: invoke a published app as a user, read the callbacks
//! that came back, assign permission sets.
//!
//! Used by `applink invoke`, `applink org …` and the tour of `applink dev`.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::error::CliError;

/// The org waits up to 120 s for an app, and a person may ask for callbacks on top.
const PATIENCE: Duration = Duration::from_secs(180);

/// A simulated org under control.
#[derive(Clone, Debug)]
pub(crate) struct Sim {
    http: reqwest::Client,
    org: Url,
    key: HeaderValue,
}

/// How the org makes the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// As Apex: with callbacks, when the operation declares them.
    #[default]
    Apex,
    /// As Flow: without callbacks.
    Flow,
}

/// What is invoked, and as whom.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Invoke {
    pub(crate) service: String,
    pub(crate) operation: String,
    #[serde(rename = "as")]
    pub(crate) username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<Value>,
    pub(crate) mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_timeout_minutes: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invoked {
    pub(crate) invocation_id: String,
    pub(crate) request_id: String,
    /// The app's HTTP status.
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The app's answer: JSON, or text when it is not.
    #[serde(default)]
    pub(crate) body: Value,
    pub(crate) session_id: String,
    /// Whether callbacks may come.
    #[serde(default)]
    pub(crate) callbacks_expected: bool,
    /// `ended`, or `waiting` for callbacks.
    pub(crate) state: String,
}

/// A callback that arrived at the org.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Callback {
    pub(crate) invocation_id: String,
    #[serde(default)]
    pub(crate) callback: Option<String>,
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) received_at: Option<String>,
    /// Whether it came with the invoking user's session.
    pub(crate) session_ok: bool,
    #[serde(default)]
    pub(crate) body: Value,
}

/// The control interface did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum SimError {
    #[error("the org at {org} can't be reached")]
    Unreachable { org: String, source: reqwest::Error },
    #[error("{message}")]
    Refused { status: u16, message: String },
    #[error("{org} answered {status}, but not as a local org does")]
    NotAnOrg { org: String, status: u16 },
    #[error("`{0}` can't be used as the address of a local org")]
    Address(String),
    #[error("the sim key has characters that can't be sent in a header")]
    Key,
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

impl Sim {
    /// The org at `url`, opened with `key`.
    pub(crate) fn new(url: &str, key: SecretString) -> Result<Self, SimError> {
        let org = Url::parse(url).ok().filter(Url::has_host);
        let org = org.ok_or_else(|| SimError::Address(url.to_owned()))?;
        let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_unprintable| SimError::Key)?;
        key.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy();
        if org.scheme() == "http" {
            // Reading the system's certificates takes longer than the call.
            http = http.tls_certs_only(std::iter::empty());
        }
        let http = http.build().map_err(SimError::Client)?;
        Ok(Self { http, org, key })
    }

    /// Makes the org call a published app.
    pub(crate) async fn invoke(&self, invoke: &Invoke) -> Result<Invoked, SimError> {
        self.post("invoke", invoke).await
    }

    /// The callbacks of an invocation, once `at_least` of them arrived or `patience` is over.
    pub(crate) async fn callbacks(
        &self,
        invocation: &str,
        at_least: usize,
        patience: Duration,
    ) -> Result<Vec<Callback>, SimError> {
        let query = [
            ("invocation", invocation.to_owned()),
            ("at_least", at_least.to_string()),
            ("wait_ms", patience.as_millis().to_string()),
        ];
        self.send(self.http.get(self.url("callbacks")).query(&query)).await
    }

    /// Whatever the org has of `noun`: `users`, `permission-sets`, `services`.
    pub(crate) async fn list(&self, noun: &str) -> Result<Value, SimError> {
        self.send(self.http.get(self.url(noun))).await
    }

    /// The callbacks of one invocation or of all, as the org tells them.
    pub(crate) async fn all_callbacks(
        &self,
        invocation: Option<&str>,
        at_least: usize,
        patience: Duration,
    ) -> Result<Vec<Value>, SimError> {
        let mut query =
            vec![("at_least", at_least.to_string()), ("wait_ms", patience.as_millis().to_string())];
        query.extend(invocation.map(|invocation| ("invocation", invocation.to_owned())));
        self.send(self.http.get(self.url("callbacks")).query(&query)).await
    }

    /// Ends an invocation that waits for callbacks.
    pub(crate) async fn end(&self, invocation: &str) -> Result<Value, SimError> {
        self.post(&format!("invocations/{invocation}/end"), &json!({})).await
    }

    /// Runs a query in a new session of the user.
    pub(crate) async fn query_as(&self, username: &str, soql: &str) -> Result<Value, SimError> {
        self.probe(&json!({"username": username, "soql": soql})).await
    }

    /// Runs a query in an existing session.
    pub(crate) async fn query_in(&self, session_id: &str, soql: &str) -> Result<Value, SimError> {
        self.probe(&json!({"session_id": session_id, "soql": soql})).await
    }

    /// Assigns a permission set to a user.
    pub(crate) async fn assign(&self, permission_set: &str, username: &str) -> Result<Value, SimError> {
        let body = json!({"permission_set": permission_set, "username": username});
        self.post("permission-sets/assign", &body).await
    }

    /// Takes a permission set from a user.
    pub(crate) async fn unassign(&self, permission_set: &str, username: &str) -> Result<Value, SimError> {
        let body = json!({"permission_set": permission_set, "username": username});
        self.post("permission-sets/unassign", &body).await
    }

    /// What the REST API would answer, its refusals as errors.
    async fn probe(&self, query: &Value) -> Result<Value, SimError> {
        #[derive(Deserialize)]
        struct Probed {
            status: u16,
            body: Value,
        }
        let probed: Probed = self.post("sessions/probe", query).await?;
        if probed.status < 400 {
            return Ok(probed.body);
        }
        let message = sentence_in(&probed.body).ok_or_else(|| self.not_an_org(probed.status))?;
        Err(SimError::Refused { status: probed.status, message })
    }

    /// Asks another route of the control interface, named relative to `/_sim/`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, SimError> {
        self.send(self.http.get(self.url(path))).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, SimError> {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, SimError> {
        let unreachable = |source: reqwest::Error| SimError::Unreachable {
            org: self.org.authority().to_owned(),
            source: source.without_url(),
        };
        let request = request.header("x-sim-key", self.key.clone()).header("accept", "application/json");
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let body = if body.is_empty() { b"null".as_slice() } else { &body };
        if status.is_success() {
            serde_json::from_slice(body).map_err(|_other_shape| self.not_an_org(status.as_u16()))
        } else {
            let refusal: Option<Value> = serde_json::from_slice(body).ok();
            let message = refusal.as_ref().and_then(sentence_in);
            let message = message.ok_or_else(|| self.not_an_org(status.as_u16()))?;
            Err(SimError::Refused { status: status.as_u16(), message })
        }
    }

    fn not_an_org(&self, status: u16) -> SimError {
        SimError::NotAnOrg { org: self.org.authority().to_owned(), status }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.org.clone();
        url.set_path(&format!("/_sim/{path}"));
        url
    }
}

/// The sentence in an error body: ours is an object, the REST API's an array.
fn sentence_in(body: &Value) -> Option<String> {
    let object = body.get(0).unwrap_or(body);
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("message"), text("detail")) {
        (Some(message), Some(detail)) if !message.contains(detail) => {
            let joint = if message.ends_with('.') { " " } else { ": " };
            Some(format!("{message}{joint}{detail}"))
        }
        (message, _) => message.map(str::to_owned),
    }
}

impl From<SimError> for CliError {
    fn from(error: SimError) -> Self {
        let message = error.to_string();
        match error {
            SimError::Refused { status, .. } => {
                let told = if status < 500 { Self::refused(message) } else { Self::broken(message) };
                if status == 401 { told.hint("check APPLINK_SIM_KEY") } else { told }
            }
            SimError::Unreachable { .. } => Self::broken(message)
                .because(error)
                .hint("is `applink dev` or `applink org:serve` still running?"),
            SimError::NotAnOrg { .. } => {
                Self::broken(message).hint("does the address really lead to `applink org:serve`?")
            }
            SimError::Address(_) => Self::broken(message).hint("it looks like http://127.0.0.1:7701"),
            SimError::Key | SimError::Client(_) => Self::broken(message),
        }
    }
}
