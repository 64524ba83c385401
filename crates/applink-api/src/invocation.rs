//! How the mesh asks whether a call really comes from a connected org.

use serde::{Deserialize, Serialize};

use crate::secret::{SecretString, wire};
use crate::time::Timestamp;

/// Body of `POST {API_URL}/invocations/authentication`; the values come from the org's `x-request-context`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvocationAuthRequest {
    /// The org's My Domain URL, as claimed.
    pub org_domain_url: String,
    /// The org-signed token.
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub core_jwt_token: SecretString,
    /// The org's id, as claimed.
    pub org_id: String,
    /// The app that is called.
    pub app_uuid: String,
}

/// The body of a 200 to [`InvocationAuthRequest`]: what was verified. The official mesh ignores it; ours binds
/// the caller's `x-client-context` to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvocationVerdict {
    /// The org, from the verified token.
    pub org_id: String,
    /// The calling user (`005…`), from the token's `sub`.
    pub user_id: String,
    /// The instance URL stored with the connection; overwrites whatever the caller wrote.
    pub instance_url: String,
    /// The connection that vouches for the org.
    pub connection_name: String,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The token's `jti`, when it has one: it must be accepted only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

/// What a 200 of `POST {API_URL}/data_action_targets/authenticate` says besides that the signature is right. Ours: the
/// official mesh reads the status only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DataActionVerdict {
    /// Names the event. A mesh whose app took the delivery (2xx) uses it up with `POST {API_URL}/invocations/tokens`
    /// as `token_id`; another delivery of the same event is then answered 409 until it expires.
    #[serde(default)]
    pub event_id: Option<String>,
}

/// Body of `POST {API_URL}/data_action_targets/authenticate`. A 200 says that the signature is right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DataActionAuthRequest {
    /// Query parameter `apiName` of the data action, or empty.
    pub api_name: String,
    /// Query parameter `orgId`, or empty.
    pub org_id: String,
    /// Header `x-signature`.
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub signature: SecretString,
    /// The raw body as text; bytes that are none are replaced, so the signature may be over something else.
    pub payload: String,
    /// Ours: the raw body in base64, when it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
}
