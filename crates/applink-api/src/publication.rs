//! Publications: an app's OpenAPI document deployed into a connected org under a client name.

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::error::ResourceError;
use crate::ids::{AddonId, AppUuid};
use crate::time::Timestamp;

/// The multipart part that carries the zip (`application/zip`).
pub const PART_METADATA: &str = "metadata";
/// The multipart part that carries [`PublishRequest`] (`application/json`).
pub const PART_APP_REQUEST: &str = "app_request";
/// The document inside the zip, YAML.
pub const SPEC_YAML: &str = "api-spec.yaml";
/// The document inside the zip, JSON.
pub const SPEC_JSON: &str = "api-spec.json";
/// An authorization connected app inside the zip.
pub const CONNECTED_APP_XML: &str = "connectedapp-meta.xml";
/// An authorization permission set inside the zip.
pub const PERMISSION_SET_XML: &str = "permissionset-meta.xml";

/// The part `app_request` of `POST /addons/{addon}/connections/salesforce/{connection}/apps`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PublishRequest {
    /// What the published app is called in the org.
    pub client_name: String,
    /// An existing or new connected app (deprecated in favour of the external client app).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_connected_app_name: Option<String>,
    /// An existing or new external client app, by API name, case-sensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_external_client_app_name: Option<String>,
    /// The session-based permission set of user-plus mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_permission_set_name: Option<String>,
    /// Ours: `false` has a publish refused that breaks Flows and Apex which use what is published now. Left out, as
    /// the official clients do, nothing is refused for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_breaking: Option<bool>,
}

/// One publication, as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Publication {
    /// The app.
    pub app_uuid: AppUuid,
    /// The connection it was published through.
    pub connection_name: String,
    /// The org.
    pub org_id: String,
    /// Name of the External Service registration (the client name).
    pub esr_name: String,
    /// Id of the External Service registration in the org.
    pub esr_id: String,
    /// The add-on.
    pub heroku_applink_id: AddonId,
    /// When it was first published.
    pub created_at: Timestamp,
    /// Who published it first.
    pub created_by: String,
    /// When it was last published.
    pub last_modified_at: Timestamp,
    /// Who published it last.
    pub last_modified_by: String,
    /// Ours: what the last deploy made, component by component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Ours: since when it is known that somebody deleted it in the org.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// Ours: it is being removed from the org, or could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// How the removal of a publication goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PublicationRemoval))]
pub struct Removal {
    /// Whether it goes on.
    pub status: RemovalStatus,
    /// Why it failed. What was published still works then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ResourceError>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// By whom.
    pub requested_by: String,
}

/// Whether a removal goes on. Once it is done there is nothing left that could say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RemovalStatus {
    /// The org is asked to remove what was made.
    Removing,
    /// The org refused, component by component or as a whole.
    Failed,
}

/// One piece of metadata a publish made or failed to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Component {
    /// Metadata type (`ExternalServiceRegistration`, `PermissionSet`).
    #[serde(rename = "type")]
    pub kind: String,
    /// Its full name in the org.
    pub name: String,
    /// Whether the org took it.
    pub success: bool,
    /// Whether it is new in the org.
    #[serde(default)]
    pub created: bool,
    /// The org's own text when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Ours: one deploy of a publication, as listed by `GET …/apps/{app}/{client}/history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// Its number among the deploys of the connection.
    pub number: i64,
    /// What it did.
    pub kind: HistoryKind,
    /// What became of it.
    pub status: HistoryStatus,
    /// Hash of the package; the same hash is the same package.
    pub hash: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// By whom.
    pub requested_by: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The org's words for each component, with the place in the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// What a deploy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// Put a document into the org.
    Publish,
    /// Took the publication out of it.
    Remove,
}

/// What became of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HistoryStatus {
    /// It waits for its turn, or the org works on it.
    Running,
    /// The org took all of it.
    Done,
    /// The org took nothing of it.
    Failed,
}

/// Ours: one deploy with the document it published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PublishedDocument {
    /// The deploy.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// `api-spec.yaml` or `api-spec.json`.
    pub file_name: String,
    /// The document as it was uploaded.
    pub document: String,
}
