//! What an operator sets up: apps, add-ons, attachments and API keys (`/operator/…`, behind an operator key).

use serde::{Deserialize, Serialize};

use crate::ids::{AddonId, AppUuid};
use crate::secret::{SecretString, wire};

/// Every API key starts with this, so that one in a log or a commit is recognised.
pub const API_KEY_PREFIX: &str = "alk_";

/// Body of `POST /operator/apps`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateApp {
    /// The app's name, unique.
    pub name: String,
    /// Its public URL: where the org calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Body of `PUT /operator/apps/{app}/url`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetAppUrl {
    /// Its public URL from now on.
    pub url: String,
}

/// An app known to the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its uuid (`HEROKU_APP_ID`).
    pub id: AppUuid,
    /// Its name.
    pub name: String,
    /// Its public URL.
    pub url: Option<String>,
}

/// Body of `POST /operator/addons`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateAddon {
    /// The app (name or uuid) it is attached to first.
    pub app: String,
    /// The config-var prefix; `HEROKU_APPLINK` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<String>,
    /// The add-on's name; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Body of `POST /operator/addons/{addon}/attachments`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateAttachment {
    /// The app (name or uuid).
    pub app: String,
    /// The config-var prefix; `HEROKU_APPLINK` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A new add-on or attachment with the config vars its app needs. The only time the token is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvisionedAddon {
    /// The add-on.
    pub id: AddonId,
    /// Its name (`applink-regular-78506`).
    pub name: String,
    /// The app.
    pub app: App,
    /// The config-var prefix.
    pub attachment: String,
    /// Value of `<PREFIX>_API_URL`.
    pub api_url: String,
    /// Value of `<PREFIX>_TOKEN`.
    #[serde(with = "wire")]
    pub token: SecretString,
}

/// What an API key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Change one add-on's connections, authorizations and publications.
    Manage,
    /// Everything under `/operator`.
    Operate,
}

/// Body of `POST /operator/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateApiKey {
    /// Whose key it is (an e-mail); recorded as the actor.
    pub owner: String,
    /// What it may do.
    pub scope: Scope,
    /// For [`Scope::Manage`]: the one add-on it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonId>,
}

/// A new API key. The only time the key is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatedApiKey {
    /// Its uuid.
    pub id: uuid::Uuid,
    /// The key.
    #[serde(with = "wire")]
    pub key: SecretString,
}
