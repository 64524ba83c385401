//! A connection or an authorization as people read it.

use applink_api::connection::ConnectionMethod;
use applink_api::org::OrgType;

use crate::credentials::{Credential, Kind, State};
use crate::dashboard::parts::{Badge, Time, Tone};
use crate::{authorizations, connections};

/// The list's name.
pub(super) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Connection => "Connections",
        Kind::Authorization => "Authorizations",
    }
}

/// One of them.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) alias: String,
    pub(super) org_id: String,
    pub(super) instance: String,
    pub(super) username: String,
    pub(super) org_type: &'static str,
    pub(super) method: &'static str,
    pub(super) login_url: String,
    pub(super) created: Time,
    pub(super) created_by: String,
    pub(super) modified: Time,
    pub(super) modified_by: String,
    pub(super) status: Badge,
    /// Why it isn't well.
    pub(super) trouble: Option<String>,
    pub(super) is_live: bool,
    pub(super) is_going: bool,
}

impl Row {
    /// For tests that render a template.
    #[cfg(test)]
    pub(super) fn sample() -> Self {
        use crate::samples::{badge, evil, when};
        Self {
            path: evil(),
            name: evil(),
            alias: evil(),
            org_id: evil(),
            instance: evil(),
            username: evil(),
            org_type: "Salesforce",
            method: "JWT",
            login_url: evil(),
            created: when(),
            created_by: evil(),
            modified: when(),
            modified_by: evil(),
            status: badge(),
            trouble: Some(evil()),
            is_live: true,
            is_going: false,
        }
    }

    pub(super) fn new(found: &Credential) -> Self {
        let org = found.org();
        Self {
            path: format!("{}/{}", super::list_path(found.kind), found.id),
            name: found.name.clone(),
            alias: found.alias.clone().unwrap_or_default(),
            org_id: org.map(|org| org.org_id.clone()).unwrap_or_default(),
            instance: org.map(|org| org.instance_url.clone()).unwrap_or_default(),
            username: org.map(|org| org.username.clone()).unwrap_or_default(),
            org_type: match found.org_type {
                OrgType::SalesforceOrg => "Salesforce",
                OrgType::DataCloudOrg => "Data Cloud",
            },
            method: match found.method {
                ConnectionMethod::OAuth => "A person logged in",
                ConnectionMethod::Jwt => "JWT",
            },
            login_url: found.login_url.clone(),
            created: Time(found.created_at),
            created_by: found.created_by.clone(),
            modified: Time(found.last_modified_at),
            modified_by: found.last_modified_by.clone(),
            status: badge(found),
            trouble: found.error().map(|error| error.message.clone()),
            is_live: found.live().is_some(),
            is_going: matches!(found.state, State::Disconnecting(_) | State::Disconnected { .. }),
        }
    }
}

/// The API's word, with what it means.
fn badge(found: &Credential) -> Badge {
    let word = match found.kind {
        Kind::Connection => word(&connections::to_wire(found, None).status),
        Kind::Authorization => word(&authorizations::to_wire(found, None).status),
    };
    let (tone, meaning) = match &found.state {
        State::Pending { .. } => (Tone::Wait, "Somebody has to log in at the org before the time is up."),
        State::Live(_) => (Tone::Good, "It works: the org accepts what is stored."),
        State::Dead { .. } => (Tone::Bad, "The org ended the grant. Somebody has to log in again."),
        State::Failed { .. } => (Tone::Bad, "It never came about. Try again."),
        State::Disconnecting(_) => (Tone::Wait, "It is out of use; its grant is being revoked at the org."),
        State::Disconnected { .. } => (Tone::Quiet, "It was deleted. The entry disappears after a while."),
    };
    Badge { tone, word, meaning }
}

fn word(status: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(status).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
