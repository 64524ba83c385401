//! Authorizations: one org user's credentials under a developer name.

use serde::{Deserialize, Serialize};

use crate::connection::ConnectionMethod;
use crate::error::ResourceError;
use crate::ids::{AddonId, AuthorizationId};
use crate::org::Org;
use crate::secret::{SecretString, wire, wire_option};
use crate::time::Timestamp;

/// The official words for an authorization's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationStatus {
    /// Waiting for a person to log in at the org.
    Authorizing,
    /// Usable.
    Authorized,
    /// Being removed.
    Disconnecting,
    /// Removed by a person.
    Disconnected,
    /// It never came about, or the grant is dead (then `error.id` is `reauth_required`).
    Failed,
}

impl AuthorizationStatus {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorizing => "authorizing",
            Self::Authorized => "authorized",
            Self::Disconnecting => "disconnecting",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
        }
    }
}

/// One authorization. In the run-time hand-out `org.user_auth` carries the token; elsewhere it is absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Authorization {
    /// Its uuid.
    pub id: AuthorizationId,
    /// The add-on it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon_id: Option<AddonId>,
    /// Its state.
    pub status: AuthorizationStatus,
    /// While authorizing: where to send the person's browser.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// The org, with `developer_name`.
    pub org: Org,
    /// The name of the app it was made through (same as `created_via_app`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// Browser or JWT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_method: Option<ConnectionMethod>,
    /// The second name, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
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

/// Body of `POST /addons/{addon}/authorizations/{name}/refresh`: the org refused the access token (401). The
/// answer is the [`Authorization`] with a token that is not that one, when there is one to be had.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefreshRequest {
    /// [`fingerprint`](crate::secret::fingerprint) of the refused token. When the service already holds another
    /// one it hands that out, so many reports of one dead token cause one refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_token: Option<String>,
}

/// Body of `POST /addons/{addon}/authorizations/salesforce`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuthorizeRequest {
    /// The developer name to give it.
    pub developer_name: String,
    /// `https://login.salesforce.com` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// Authorize even when the org may end the user's oldest grant for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Body of `POST /addons/{addon}/authorizations/salesforce/jwt`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuthorizeJwtRequest {
    /// The second name; the CLI's default is `applink:<developer name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Consumer key of the org's external client app.
    pub client_id: String,
    /// The developer name to give it.
    pub developer_name: String,
    /// Private key, PEM (PKCS#1 or PKCS#8).
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub jwt_private_key: SecretString,
    /// `https://login.salesforce.com` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// The user to authorize as.
    pub username: String,
}

/// Body of `PATCH /addons/{addon}/authorizations/{authorization}`: only what is there changes, and all of it or nothing.
///
/// * `developer_name`, `alias`: renames; everything else about it stays.
/// * `reconnect`: the answer carries a `redirect_uri`. What is live stays live until the person has logged in, and its
///   grant is revoked after that. A JWT row is asserted again with what it has.
/// * `client_id`, `jwt_private_key`, `username`: asserted first and swapped only on success. On a row that was made by
///   JWT each may be given alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UpdateAuthorization {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer_name: Option<String>,
    /// Its new second name. A default one follows the developer name by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
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
