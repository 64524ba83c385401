//! What we ask of Heroku: tokens, and the part of the Platform API that partners may call (Heroku, "Platform API for
//! Partners").

use std::time::Duration;

use applink_api::ids::{AddonId, AppUuid};
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::ProviderConfig;
use crate::egress::{OperatorEgress, OperatorEgressError};

/// The Platform API's version, asked for in every call.
const ACCEPT: &str = "application/vnd.heroku+json; version=3";
/// No answer of these is larger.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Longest id of an error that is repeated in logs.
const LONGEST_ID: usize = 60;

/// Heroku did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HerokuError {
    /// The URL leads somewhere else.
    #[error("the call was not made")]
    Egress(#[source] OperatorEgressError),
    /// No answer.
    #[error("Heroku can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// A 5xx, or too many calls.
    #[error("Heroku answered {0}")]
    Unavailable(StatusCode),
    /// A 4xx.
    #[error("Heroku refused with {status} ({id})")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The error's id.
        id: String,
    },
    /// Neither the JSON that was expected nor an error.
    #[error("Heroku's answer can't be read")]
    Unreadable,
}

/// Tokens that Heroku gave for one add-on.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For the Platform API.
    pub access_token: SecretString,
    /// For the next one; a refresh may leave it out.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives.
    pub lifetime: Duration,
}

/// Where the add-on is attached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HerokuAttachment {
    /// The attachment's uuid.
    pub id: Uuid,
    /// The config-var prefix.
    pub name: String,
    /// The app.
    pub app: HerokuApp,
}

/// An app, as other resources name it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HerokuApp {
    /// Its uuid.
    pub id: AppUuid,
    /// Its name.
    pub name: String,
}

/// An add-on, as Heroku knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HerokuAddon {
    /// `provisioning`, `provisioned` or `deprovisioned`.
    pub state: String,
    /// The app that owns it.
    pub app: HerokuApp,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct AppAnswer {
    web_url: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    id: Option<String>,
    error: Option<String>,
}

/// Heroku lets access tokens live eight hours.
const DEFAULT_LIFETIME: u64 = 8 * 3600;

/// Calls Heroku and nobody else.
#[derive(Clone, Debug)]
pub struct Heroku {
    egress: OperatorEgress,
    api: Url,
    id: Url,
    client_secret: SecretString,
}

impl Heroku {
    /// A client for the configured hosts.
    ///
    /// # Errors
    /// [`OperatorEgressError`] when the HTTP client can't be built.
    pub fn new(config: &ProviderConfig) -> Result<Self, OperatorEgressError> {
        let egress = OperatorEgress::new(&[config.api_url.clone(), config.id_url.clone()])?;
        Ok(Self {
            egress,
            api: config.api_url.clone(),
            id: config.id_url.clone(),
            client_secret: config.client_secret.clone(),
        })
    }

    /// A grant's code for tokens. A code works once.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn exchange(&self, code: &SecretString) -> Result<Tokens, HerokuError> {
        self.tokens(&[("grant_type", "authorization_code"), ("code", code.expose_secret())]).await
    }

    /// A new access token.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Tokens, HerokuError> {
        self.tokens(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())])
            .await
    }

    async fn tokens(&self, grant: &[(&str, &str)]) -> Result<Tokens, HerokuError> {
        let request = self.request(Method::POST, &self.id, &["oauth", "token"])?;
        let mut form = grant.to_vec();
        form.push(("client_secret", self.client_secret.expose_secret()));
        let answer: TokenAnswer = read(request.form(&form)).await?;
        Ok(Tokens {
            access_token: answer.access_token.into(),
            refresh_token: answer.refresh_token.map(SecretString::from),
            lifetime: Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFETIME)),
        })
    }

    /// The add-on as Heroku knows it.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn addon(&self, token: &SecretString, addon: AddonId) -> Result<HerokuAddon, HerokuError> {
        read(self.call(token, Method::GET, &["addons", &addon.to_string()])?).await
    }

    /// Where it is attached.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn attachments(
        &self,
        token: &SecretString,
        addon: AddonId,
    ) -> Result<Vec<HerokuAttachment>, HerokuError> {
        read(self.call(token, Method::GET, &["addons", &addon.to_string(), "addon-attachments"])?).await
    }

    /// Under which URL an app is reached, where Heroku tells us.
    ///
    /// # Errors
    /// [`HerokuError`], but none for an app we may not see.
    pub async fn web_url(&self, token: &SecretString, app: AppUuid) -> Result<Option<Url>, HerokuError> {
        match read::<AppAnswer>(self.call(token, Method::GET, &["apps", &app.to_string()])?).await {
            Ok(answer) => Ok(answer.web_url.and_then(|url| Url::parse(&url).ok())),
            Err(HerokuError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the add-on's config vars on every app it is attached to.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn set_config(
        &self,
        token: &SecretString,
        addon: AddonId,
        vars: &[(String, SecretString)],
    ) -> Result<(), HerokuError> {
        let vars: Vec<Value> =
            vars.iter().map(|(name, value)| json!({"name": name, "value": value.expose_secret()})).collect();
        let request = self.call(token, Method::PATCH, &["addons", &addon.to_string(), "config"])?;
        answered(request.json(&json!({"config": vars}))).await.map(drop)
    }

    /// Says that the add-on can be used: the app restarts with its config vars.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn mark_provisioned(&self, token: &SecretString, addon: AddonId) -> Result<(), HerokuError> {
        self.act(token, addon, "provision").await
    }

    /// Says that the add-on can't be provisioned.
    ///
    /// # Errors
    /// [`HerokuError`].
    pub async fn mark_failed(&self, token: &SecretString, addon: AddonId) -> Result<(), HerokuError> {
        self.act(token, addon, "deprovision").await
    }

    async fn act(&self, token: &SecretString, addon: AddonId, action: &str) -> Result<(), HerokuError> {
        let request = self.call(token, Method::POST, &["addons", &addon.to_string(), "actions", action])?;
        answered(request).await.map(drop)
    }

    fn call(
        &self,
        token: &SecretString,
        method: Method,
        segments: &[&str],
    ) -> Result<RequestBuilder, HerokuError> {
        let request = self.request(method, &self.api, segments)?;
        Ok(request.bearer_auth(token.expose_secret()).header(http::header::ACCEPT, ACCEPT))
    }

    fn request(&self, method: Method, base: &Url, segments: &[&str]) -> Result<RequestBuilder, HerokuError> {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.egress.request(method, url).map_err(HerokuError::Egress)
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, HerokuError> {
    let body = body_of(answered(request).await?).await?;
    serde_json::from_slice(&body).map_err(|_| HerokuError::Unreadable)
}

async fn answered(request: RequestBuilder) -> Result<Response, HerokuError> {
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(HerokuError::Unavailable(status));
    }
    let body = body_of(response).await.unwrap_or_default();
    let id = serde_json::from_slice::<ErrorAnswer>(&body).ok().and_then(|answer| answer.id.or(answer.error));
    Err(HerokuError::Refused { status, id: shown(id.as_deref().unwrap_or("no id")) })
}

async fn body_of(mut response: Response) -> Result<Vec<u8>, HerokuError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(HerokuError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> HerokuError {
    HerokuError::Unreachable(error.without_url())
}

/// What goes to the log of what somebody else wrote.
fn shown(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || "_- ".contains(*c)).take(LONGEST_ID).collect()
}
