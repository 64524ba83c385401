//! What a mesh must know to verify calls by itself, polled from the control plane.
//!
//! No signing key of a data action is ever in it: those are symmetric and stay with the control plane.

use serde::{Deserialize, Serialize};

use crate::connection::ConnectionStatus;
use crate::ids::AppUuid;
use crate::time::Timestamp;

/// The answer to `GET {API_URL}/trust-bundle`, for the app the add-on token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustBundle {
    /// Changes whenever anything else here but the issue time does; also the `ETag`.
    pub version: String,
    /// When the control plane answered.
    pub issued_at: Timestamp,
    /// The app that calls must be meant for.
    pub app_uuid: AppUuid,
    /// The orgs this add-on knows, each once.
    pub orgs: Vec<TrustedOrg>,
    /// Where this app is published.
    pub publications: Vec<TrustedPublication>,
}

/// One org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustedOrg {
    /// Its id, 18 characters.
    pub org_id: String,
    /// The instance URL stored with its connection: the issuer its tokens must name, and the only address of it that
    /// an app is given.
    pub instance_url: String,
    /// The connection.
    pub connection_name: String,
    /// Calls count only while it is `connected`.
    pub state: ConnectionStatus,
    /// What its tokens must say.
    #[serde(default)]
    pub policy: TokenPolicy,
    /// Its public keys; empty until they were fetched for the first time, and when it is not connected.
    pub keys: Vec<TrustedKey>,
    /// When they were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_fetched_at: Option<Timestamp>,
}

/// What an org's token must say about the app it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenPolicy {
    /// Its audience contains the app.
    #[default]
    Strict,
    /// It may have any audience: for orgs whose tokens don't name apps. Such a token is not bound to one app.
    Core,
}

impl TokenPolicy {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Core => "core",
        }
    }
}

impl std::str::FromStr for TokenPolicy {
    type Err = UnknownTokenPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strict" => Ok(Self::Strict),
            "core" => Ok(Self::Core),
            _ => Err(UnknownTokenPolicy),
        }
    }
}

/// Neither `strict` nor `core`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token policy is `strict` or `core`")]
pub struct UnknownTokenPolicy;

/// Body of `PUT /addons/{addon}/connections/{connection}/token-policy`, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenPolicySetting {
    /// The policy.
    pub policy: TokenPolicy,
}

/// An RSA public key as JWK parameters (RFC 7518 §6.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustedKey {
    /// Its id, which a token's header names.
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

/// One client name under which this app is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustedPublication {
    /// The org.
    pub org_id: String,
    /// The client name.
    pub client_name: String,
}
