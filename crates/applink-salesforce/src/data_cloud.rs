//! Data action targets of an org's Data Cloud (Connect REST): webhooks, each with a signing key.
//!
//! 1. [`Org::create_data_action_target`]: it is `Processing` at first.
//! 2. [`Org::data_action_target`]: asked until it is `Active`.
//! 3. [`Org::new_signing_key`]: the key is shown this once. Asking again makes another in its place.
//!
//! Queries and rows are the tenant's: see [`OAuth::exchange_for_tenant`](crate::oauth::OAuth::exchange_for_tenant).

use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use crate::error::OrgError;
use crate::rest::{Org, OrgCall};

/// A webhook to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDataActionTarget {
    /// Its API name.
    pub api_name: String,
    /// Its label.
    pub label: String,
    /// Where it is sent, query and all.
    pub endpoint: String,
}

/// A webhook as the org has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataActionTarget {
    /// Its API name.
    pub api_name: String,
    /// Where it is sent.
    pub endpoint: Option<String>,
    /// How far it is set up.
    pub status: TargetStatus,
    /// Why it is not, in the org's own code.
    pub status_error: Option<String>,
}

/// How far a target is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetStatus {
    /// It is.
    Active,
    /// The org is at it.
    Processing,
    /// It failed.
    Error,
    /// It is switched off.
    Inactive,
    /// A word we don't know.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget {
    api_name: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    status_error_code: Option<String>,
    #[serde(default)]
    config: Option<WireConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireConfig {
    #[serde(default)]
    target_endpoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKey {
    signing_key: String,
}

impl From<WireTarget> for DataActionTarget {
    fn from(wire: WireTarget) -> Self {
        Self {
            api_name: wire.api_name,
            endpoint: wire.config.and_then(|config| config.target_endpoint),
            status: TargetStatus::of(wire.status.as_deref().unwrap_or_default()),
            status_error: wire.status_error_code,
        }
    }
}

impl TargetStatus {
    /// Orgs differ in upper and lower case.
    fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "active" => Self::Active,
            "processing" => Self::Processing,
            "error" => Self::Error,
            "inactive" => Self::Inactive,
            _ => Self::Other,
        }
    }
}

impl Org {
    /// The target of a name, if there is one.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn data_action_target(&self, api_name: &str) -> Result<Option<DataActionTarget>, OrgError> {
        let call = OrgCall::data(Method::GET, path(api_name)?);
        match self.send(&call).await {
            Ok(answer) => Ok(Some(answer.json::<WireTarget>()?.into())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a target.
    ///
    /// # Errors
    /// [`OrgError`]; also when there is one of this name.
    pub async fn create_data_action_target(
        &self,
        target: &NewDataActionTarget,
    ) -> Result<DataActionTarget, OrgError> {
        let body = json!({
            "apiName": target.api_name,
            "label": target.label,
            "type": "WebHook",
            "subType": "Rest",
            "config": {"targetEndpoint": target.endpoint},
        });
        let call = OrgCall::data(Method::POST, "ssot/data-action-targets").json(&body)?;
        Ok(self.send(&call).await?.json::<WireTarget>()?.into())
    }

    /// Deletes a target; one that is not there counts as deleted.
    ///
    /// # Errors
    /// [`OrgError`]; also when a data action uses it.
    pub async fn delete_data_action_target(&self, api_name: &str) -> Result<(), OrgError> {
        match self.send(&OrgCall::data(Method::DELETE, path(api_name)?)).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the org make a signing key, in the place of the one there was. Up to a quarter of an hour passes before it signs
    /// with it.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn new_signing_key(&self, api_name: &str) -> Result<SecretString, OrgError> {
        let call = OrgCall::data(Method::POST, format!("{}/signing-key", path(api_name)?));
        Ok(self.send(&call).await?.json::<WireKey>()?.signing_key.into())
    }
}

fn is_not_found(error: &OrgError) -> bool {
    match error {
        OrgError::Rejected { status, .. } | OrgError::Unexpected { status } => {
            *status == StatusCode::NOT_FOUND
        }
        _ => false,
    }
}

fn path(api_name: &str) -> Result<String, OrgError> {
    let is_name = api_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name && !api_name.is_empty() {
        return Ok(format!("ssot/data-action-targets/{api_name}"));
    }
    Err(OrgError::BadName { role: "a data action target's API name", text: api_name.to_owned() })
}
