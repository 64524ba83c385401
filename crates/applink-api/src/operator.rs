//! What an operator sets up: apps, add-ons, attachments and API keys (`/operator/…`, behind an operator key).

use serde::{Deserialize, Serialize};

use crate::ids::{AddonId, AppUuid};
use crate::secret::{SecretString, wire};
use crate::time::Timestamp;

/// Every API key starts with this, so that one in a log or a commit is recognised.
pub const API_KEY_PREFIX: &str = "alk_";

/// Body of `POST /operator/apps`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateApp {
    /// The app's name, unique.
    pub name: String,
    /// Its public URL: where the org calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Body of `PUT /operator/apps/{app}/url`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetAppUrl {
    /// Its public URL from now on.
    pub url: String,
}

/// An app known to the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateAttachment {
    /// The app (name or uuid).
    pub app: String,
    /// The config-var prefix; `HEROKU_APPLINK` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A new add-on or attachment with the config vars its app needs. The only time the token is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub token: SecretString,
}

/// What an API key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Change one add-on's connections, authorizations and publications.
    Manage,
    /// Everything under `/operator`.
    Operate,
}

/// Body of `POST /operator/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateApiKey {
    /// Whose key it is (an e-mail); recorded as the actor.
    pub owner: String,
    /// What it may do.
    pub scope: Scope,
    /// For [`Scope::Manage`]: the one add-on it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonId>,
}

/// Body of `POST /operator/keys`, with an end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateExpiringApiKey {
    /// See [`CreateApiKey::owner`].
    pub owner: String,
    /// See [`CreateApiKey::scope`].
    pub scope: Scope,
    /// See [`CreateApiKey::addon`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonId>,
    /// Days until it ends by itself, 1 to 3650; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u16>,
}

/// Body of `POST /addons/{addon}/keys`: a key of the person who asks, for the add-on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateOwnApiKey {
    /// Days until it ends by itself, 1 to 365; absent: 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u16>,
}

/// A new API key. The only time the key is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreatedApiKey {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: uuid::Uuid,
    /// The key.
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub key: SecretString,
}

/// Body of `POST /operator/audit/erase-name`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EraseName {
    /// The name as the audit log has it: an e-mail address.
    pub name: String,
}

/// Answer to [`EraseName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErasedName {
    /// Actors whose name is gone; what they did stays, under an opaque id.
    pub erased: u64,
}

/// Which keys are rotated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RotationKind {
    /// The master key, which seals data keys.
    Master,
    /// Every data key, which seal secrets.
    Data,
}

/// Body of `POST /operator/vault/rotations`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StartRotation {
    /// Which keys.
    pub kind: RotationKind,
}

/// How the vault stands (`GET /operator/vault`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VaultStatus {
    /// The id of the master key that seals.
    pub master_key_id: String,
    /// Every master key that is known or needed.
    pub master_keys: Vec<MasterKeyUse>,
    /// Data keys in use: one per add-on and one of the server.
    pub data_keys: u64,
    /// Data keys that only open what they sealed.
    pub former_data_keys: u64,
    /// Processes that live.
    pub processes: Vec<VaultProcess>,
    /// The last rotations, newest first.
    pub rotations: Vec<Rotation>,
}

/// A master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MasterKeyUse {
    /// Its id, which tells nothing of it.
    pub id: String,
    /// How many keys are sealed under it. One that seals none, and is not the one in use, may be removed.
    pub seals: u64,
}

/// A process of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VaultProcess {
    /// Its name.
    pub name: String,
    /// Ids of the master keys it has, the preferred one first.
    pub master_key_ids: Vec<String>,
}

/// A rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rotation {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: uuid::Uuid,
    /// Which keys.
    pub kind: RotationKind,
    /// `waiting`, `rewrapping`, `replacing`, `resealing` or `done`.
    pub phase: String,
    /// The master key it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key_id: Option<String>,
    /// Keys or rows that were sealed anew so far.
    pub done: u64,
    /// Rows that can't be opened, and stay as they are.
    pub damaged: u64,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// One attachment of an add-on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttachmentInfo {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: uuid::Uuid,
    /// The config-var prefix.
    pub name: String,
    /// The app.
    pub app: App,
}

/// An add-on with everything it is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AddonInfo {
    /// Its uuid.
    pub id: AddonId,
    /// Its name.
    pub name: String,
    /// Where it is attached, oldest first.
    #[serde(default)]
    pub attachments: Vec<AttachmentInfo>,
}

/// An API key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKeyInfo {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: uuid::Uuid,
    /// Whose it is.
    pub owner: String,
    /// What it may do.
    pub scope: Scope,
    /// The one add-on it reaches, for [`Scope::Manage`].
    pub addon: Option<AddonId>,
    /// Its first characters.
    pub shown_prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was used first; none when it never was.
    #[serde(default)]
    pub first_used_at: Option<Timestamp>,
    /// Whether it is good for no more than its owner may do at the time. Otherwise it goes on until it ends or is revoked.
    #[serde(default)]
    pub follows_owner: bool,
}

/// An add-on that is being taken apart, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Removal {
    /// The add-on's uuid.
    pub addon: AddonId,
    /// Its name.
    pub name: String,
    /// `unpublish`, `revoke` or `done`.
    pub stage: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// When everything was erased.
    pub finished_at: Option<Timestamp>,
    /// Publications that are out of their orgs.
    pub unpublished: Vec<String>,
    /// What is left in orgs.
    pub left: Vec<LeftBehind>,
}

/// Something that could not be undone in an org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeftBehind {
    /// `publication`, `connection` or `authorization`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The org.
    pub org_id: Option<String>,
    /// Why, and what helps.
    pub reason: String,
}
