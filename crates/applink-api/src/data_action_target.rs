//! Data action targets: webhooks of a Data Cloud org that point at an app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ResourceError;
use crate::ids::{AppUuid, ConnectionId};
use crate::org::Org;
use crate::time::Timestamp;

/// The official words for a target's state; the last one is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DataActionTargetStatus {
    /// Asked for.
    Pending,
    /// The org is making it.
    Creating,
    /// The org is to make its signing key.
    GeneratingSigningKey,
    /// Usable: what the org sends is signed with a key we have.
    Created,
    /// It did not come about; `error` says why.
    CreationFailed,
    /// Ours: it is being removed from the org.
    Deleting,
}

impl DataActionTargetStatus {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Creating => "creating",
            Self::GeneratingSigningKey => "generating_signing_key",
            Self::Created => "created",
            Self::CreationFailed => "creation_failed",
            Self::Deleting => "deleting",
        }
    }

    /// Whether nothing more happens by itself.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Created | Self::CreationFailed)
    }
}

/// One target, as every endpoint answers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DataActionTarget {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: Uuid,
    /// Its name in the org.
    pub api_name: String,
    /// Its label in the org.
    pub label: String,
    /// `webhook`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path of the app, as it was asked for.
    pub target_endpoint: String,
    /// Ours: the whole URL the org calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// Its state.
    pub status: DataActionTargetStatus,
    /// The connection it belongs to.
    pub connection_id: ConnectionId,
    /// The app it points at.
    pub app_id: AppUuid,
    /// The same, in words.
    pub heroku_app: HerokuApp,
    /// The org.
    pub org: Org,
    /// Why it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ResourceError>,
    /// Ours: when its newest signing key was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_created_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it (an e-mail).
    pub created_by: String,
    /// When it last changed.
    pub last_modified_at: Timestamp,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HerokuApp {
    /// Its uuid.
    pub id: AppUuid,
    /// Its name.
    pub name: String,
    /// Its public URL.
    #[serde(default)]
    pub url: Option<String>,
}

/// Body of `POST /addons/{addon}/connections/datacloud/{connection}/data_action_targets`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateDataActionTarget {
    /// Its name in the org; made from the label when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_name: Option<String>,
    /// Its label in the org.
    pub label: String,
    /// The path of the app that is to be called.
    pub target_endpoint: String,
    /// `webhook`, which is also meant when it is absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_official_words() {
        for status in [
            DataActionTargetStatus::Pending,
            DataActionTargetStatus::Creating,
            DataActionTargetStatus::GeneratingSigningKey,
            DataActionTargetStatus::Created,
            DataActionTargetStatus::CreationFailed,
            DataActionTargetStatus::Deleting,
        ] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
