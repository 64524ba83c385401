//! The control interface of a local org (`/_sim`): only the org simulator has one, a real org never does.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::error::CliError;
use crate::settings::{OrgAccess, Origin};

const SIM_KEY: HeaderName = HeaderName::from_static("x-sim-key");
/// An app may take its time to answer an invocation: Salesforce gives a callout 120 s.
const TIMEOUT: Duration = Duration::from_secs(130);

/// A local org.
#[derive(Debug)]
pub(crate) struct LocalOrg {
    http: reqwest::Client,
    base: Url,
    sim_key: HeaderValue,
    origin: Origin,
}

/// What the org is asked to call.
#[derive(Debug)]
pub(crate) struct InvocationRequest<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) username: &'a str,
    pub(crate) body: Option<Value>,
    pub(crate) parameters: Value,
    pub(crate) mode: &'a str,
    pub(crate) callback_timeout_minutes: Option<u32>,
}

/// What came of it. `whole` is the org's answer as it was.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) callbacks_expected: bool,
    pub(crate) whole: Value,
}

#[derive(Deserialize)]
struct InvocationAnswer {
    invocation_id: String,
    status: u16,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    callbacks_expected: bool,
}

/// The error body of `/_sim`.
#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    detail: Option<Value>,
}

/// Why the org did not answer what was asked.
#[derive(Debug, Error)]
pub(crate) enum OrgSimError {
    #[error("`{0}` can't be used as the address of a local org")]
    Address(String),
    #[error("the sim key has characters that can't be sent in a header")]
    Key,
    #[error("can't reach the org at {host}")]
    Unreachable { host: String, origin: Origin, source: reqwest::Error },
    #[error("the connection to {host} broke before the answer was complete")]
    Interrupted { host: String, source: reqwest::Error },
    #[error("{message}")]
    Refused { status: u16, message: String, detail: Option<String> },
    #[error("{host} answered {status}, but not as a local org does")]
    NotAnOrg { host: String, status: u16 },
}

impl LocalOrg {
    /// A client of the org `access` describes.
    ///
    /// # Errors
    /// When address or key can't be used.
    pub(crate) fn new(access: &OrgAccess) -> Result<Self, OrgSimError> {
        let base = Url::parse(&access.url).ok().filter(Url::has_host);
        let base = base.ok_or_else(|| OrgSimError::Address(access.url.clone()))?;
        let mut sim_key =
            HeaderValue::from_str(access.sim_key.expose_secret()).map_err(|_unprintable| OrgSimError::Key)?;
        sim_key.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT);
        if base.scheme() == "http" {
            http = http.tls_certs_only(std::iter::empty());
        }
        let http =
            http.build().map_err(|source| OrgSimError::Interrupted { host: access.url.clone(), source })?;
        Ok(Self { http, base, sim_key, origin: access.origin.clone() })
    }

    /// Has the org call a published app.
    ///
    /// # Errors
    /// [`OrgSimError::Refused`] when the org's own rules forbid it or the app can't be reached.
    pub(crate) async fn invoke(&self, request: &InvocationRequest<'_>) -> Result<Invocation, OrgSimError> {
        let whole = self.post("_sim/invoke", &invocation_body(request)).await?;
        let answer = InvocationAnswer::deserialize(&whole)
            .map_err(|_other_shape| OrgSimError::NotAnOrg { host: self.host(), status: 200 })?;
        Ok(Invocation {
            id: answer.invocation_id,
            status: answer.status,
            body: answer.body,
            callbacks_expected: answer.callbacks_expected,
            whole,
        })
    }

    /// The callbacks of an invocation, as soon as there are `at_least` so many or `wait` is over.
    ///
    /// # Errors
    /// When the org can't be asked.
    pub(crate) async fn callbacks(
        &self,
        invocation: &str,
        at_least: usize,
        wait: Duration,
    ) -> Result<Vec<Value>, OrgSimError> {
        let request = self.request(Method::GET, "_sim/callbacks").query(&[
            ("invocation", invocation),
            ("at_least", &at_least.to_string()),
            ("wait_ms", &wait.as_millis().to_string()),
        ]);
        match self.send(request).await? {
            Value::Array(callbacks) => Ok(callbacks),
            _ => Err(OrgSimError::NotAnOrg { host: self.host(), status: 200 }),
        }
    }

    /// Assigns a permission set to a user.
    ///
    /// # Errors
    /// [`OrgSimError::Refused`] when either is unknown.
    pub(crate) async fn assign_permission_set(
        &self,
        name: &str,
        username: &str,
    ) -> Result<Value, OrgSimError> {
        self.post("_sim/permission-sets/assign", &json!({"permission_set": name, "username": username})).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, OrgSimError> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(path);
        self.http.request(method, url).header(SIM_KEY, self.sim_key.clone())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, OrgSimError> {
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() {
            return if body.is_empty() { Ok(Value::Null) } else { self.parsed(&body, status.as_u16()) };
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(OrgSimError::Refused {
                status: status.as_u16(),
                message: refusal.message,
                detail: refusal.detail.and_then(detail_text),
            }),
            Err(_not_ours) => Err(OrgSimError::NotAnOrg { host: self.host(), status: status.as_u16() }),
        }
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, OrgSimError> {
        response.bytes().await.map(Into::into).map_err(|error| self.failure(error))
    }

    fn parsed(&self, body: &[u8], status: u16) -> Result<Value, OrgSimError> {
        serde_json::from_slice(body).map_err(|_not_json| OrgSimError::NotAnOrg { host: self.host(), status })
    }

    fn failure(&self, error: reqwest::Error) -> OrgSimError {
        let source = error.without_url();
        if source.is_connect() {
            OrgSimError::Unreachable { host: self.host(), origin: self.origin.clone(), source }
        } else {
            OrgSimError::Interrupted { host: self.host(), source }
        }
    }

    fn host(&self) -> String {
        self.base.authority().to_owned()
    }
}

fn invocation_body(request: &InvocationRequest<'_>) -> Value {
    let mut body = json!({
        "service": request.service,
        "operation": request.operation,
        "as": request.username,
        "parameters": request.parameters,
        "mode": request.mode,
    });
    if let Some(value) = &request.body {
        body["body"] = value.clone();
    }
    if let Some(minutes) = request.callback_timeout_minutes {
        body["callback_timeout_minutes"] = minutes.into();
    }
    body
}

fn detail_text(detail: Value) -> Option<String> {
    match detail {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

impl From<OrgSimError> for CliError {
    fn from(error: OrgSimError) -> Self {
        let message = error.to_string();
        match error {
            OrgSimError::Refused { status, detail, .. } => {
                let told = if status < 500 { Self::refused(message) } else { Self::broken(message) };
                let told = if status == 401 { told.hint("check APPLINK_SIM_KEY") } else { told };
                match detail {
                    Some(detail) => told.note(detail),
                    None => told,
                }
            }
            OrgSimError::Unreachable { ref origin, .. } => {
                let note = format!("the address comes from {origin}");
                Self::broken(message)
                    .because(error)
                    .note(note)
                    .hint("is `applink dev` or `applink org` still running?")
            }
            OrgSimError::Interrupted { .. } => Self::broken(message).because(error),
            OrgSimError::Address(_) => Self::broken(message).hint("it looks like http://127.0.0.1:7701"),
            OrgSimError::NotAnOrg { .. } => {
                Self::broken(message).hint("does the address really lead to `applink org`?")
            }
            OrgSimError::Key => Self::broken(message),
        }
    }
}
