//! The org as it appears inside a connection or an authorization.

use serde::{Deserialize, Serialize};

use crate::secret::{SecretString, wire};

/// What kind of org this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OrgType {
    /// A Salesforce org.
    SalesforceOrg,
    /// A Data Cloud org. `DatacloudOrg` is the older spelling, still read.
    #[serde(alias = "DatacloudOrg")]
    DataCloudOrg,
}

impl OrgType {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SalesforceOrg => "SalesforceOrg",
            Self::DataCloudOrg => "DataCloudOrg",
        }
    }

    /// Its commands' topic, which is also its part of paths.
    pub fn topic(self) -> &'static str {
        match self {
            Self::SalesforceOrg => "salesforce",
            Self::DataCloudOrg => "datacloud",
        }
    }

    /// As the official clients show it.
    pub fn title(self) -> &'static str {
        match self {
            Self::SalesforceOrg => "Salesforce Org",
            Self::DataCloudOrg => "Data Cloud Org",
        }
    }
}

/// The `org` object. While a row is still connecting, `id` and `instance_url` are empty strings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Org {
    /// 18-character org id (`00D…`), or empty.
    pub id: String,
    /// `https://….my.salesforce.com`, always with its scheme, or empty.
    pub instance_url: String,
    /// Salesforce or Data Cloud.
    #[serde(rename = "type")]
    pub kind: OrgType,
    /// On connections: the connection's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// On authorizations: the developer name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer_name: Option<String>,
    /// Without a leading `v`: `66.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The user whose grant this is (`005…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// That user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Only in the answer of the run-time token hand-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_auth: Option<UserAuth>,
}

/// The credential itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UserAuth {
    /// The user's name in the org.
    pub username: String,
    /// The user's id (`005…`).
    pub user_id: String,
    /// A live access token.
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub access_token: SecretString,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_of_data_cloud() {
        for text in ["\"DataCloudOrg\"", "\"DatacloudOrg\""] {
            assert_eq!(serde_json::from_str::<OrgType>(text).unwrap(), OrgType::DataCloudOrg);
        }
        assert_eq!(serde_json::to_string(&OrgType::DataCloudOrg).unwrap(), "\"DataCloudOrg\"");
    }

    #[test]
    fn a_credential_does_not_print() {
        let auth = UserAuth {
            username: "a@b.c".into(),
            user_id: "005".into(),
            access_token: "00D!canary".to_owned().into(),
        };
        assert!(!format!("{auth:?}").contains("canary"));
        assert!(serde_json::to_string(&auth).unwrap().contains("00D!canary"));
    }
}
