//! Connections: the trust of an org in an add-on.

use serde::{Deserialize, Serialize};

use crate::error::ResourceError;
use crate::ids::{AddonId, ConnectionId};
use crate::org::Org;
use crate::secret::{SecretString, wire, wire_option};
use crate::time::Timestamp;

/// The official words for a connection's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Waiting for a person to log in at the org.
    Connecting,
    /// Usable.
    Connected,
    /// Being removed.
    Disconnecting,
    /// Removed by a person, or the grant is dead (then `error.id` is `reauth_required`).
    Disconnected,
    /// It never came about; `error` says why.
    Failed,
}

impl ConnectionStatus {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnecting => "disconnecting",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
        }
    }
}

/// How a row got its credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ConnectionMethod {
    /// A person logged in in a browser (OAuth 2.0 web-server flow).
    OAuth,
    /// A signed assertion (RFC 7523 JWT bearer).
    #[serde(rename = "JWT")]
    Jwt,
}

/// One connection, as every endpoint answers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Connection {
    /// Its uuid.
    pub id: ConnectionId,
    /// The add-on it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon_id: Option<AddonId>,
    /// Its state.
    pub status: ConnectionStatus,
    /// While connecting: where to send the person's browser.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// The org.
    pub org: Org,
    /// Browser or JWT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_method: Option<ConnectionMethod>,
    /// Why it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ResourceError>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it (an e-mail).
    pub created_by: String,
    /// The name of the app it was made through.
    #[serde(default)]
    pub created_via_app: Option<String>,
    /// When it last changed.
    pub last_modified_at: Timestamp,
    /// Who changed it.
    #[serde(default)]
    pub last_modified_by: Option<String>,
}

/// Body of `POST /addons/{addon}/connections/salesforce`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConnectRequest {
    /// The name to give it.
    pub connection_name: String,
    /// `https://login.salesforce.com` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// Connect even when the org may end the user's oldest grant for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Body of `POST /addons/{addon}/connections/salesforce/jwt`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConnectJwtRequest {
    /// The CLI sends a random uuid here; kept, not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Consumer key of the org's external client app.
    pub client_id: String,
    /// The name to give it.
    pub connection_name: String,
    /// Private key, PEM (PKCS#1 or PKCS#8).
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub jwt_private_key: SecretString,
    /// `https://login.salesforce.com` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// The user to connect as.
    pub username: String,
}

/// Body of `PATCH /addons/{addon}/connections/{connection}`: only what is there changes, and all of it or nothing.
///
/// * `connection_name`: renames; everything else about it stays.
/// * `reconnect`: the answer carries a `redirect_uri`. What is live stays live until the person has logged in, and its
///   grant is revoked after that. A JWT row is asserted again with what it has.
/// * `client_id`, `jwt_private_key`, `username`: asserted first and swapped only on success. On a row that was made by
///   JWT each may be given alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UpdateConnection {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// Log in again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconnect: bool,
    /// Where to log in; as before when absent. Giving it means to reconnect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// Log in again even when the org may end the user's oldest grant for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Consumer key of the org's external client app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Private key, PEM (PKCS#1 or PKCS#8).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wire_option")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, format = Password))]
    pub jwt_private_key: Option<SecretString>,
    /// The user to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}
