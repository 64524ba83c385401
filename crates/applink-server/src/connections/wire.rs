//! A row in the official words.

use applink_api::connection::{Connection, ConnectionStatus};
use applink_api::org::Org;

use crate::credentials::{Credential, State};

/// The answer for a connection. `redirect_uri` is the start link, known only to the request that made it.
pub fn to_wire(credential: &Credential, redirect_uri: Option<String>) -> Connection {
    let org = credential
        .org()
        .filter(|_| !matches!(credential.state, State::Pending { .. } | State::Failed { .. }));
    Connection {
        id: credential.id.into(),
        addon_id: Some(credential.addon),
        status: status(credential),
        redirect_uri,
        org: Org {
            id: org.map(|org| org.org_id.clone()).unwrap_or_default(),
            instance_url: org.map(|org| org.instance_url.clone()).unwrap_or_default(),
            kind: credential.org_type,
            connection_name: Some(credential.name.clone()),
            developer_name: None,
            api_version: org.map(|org| org.api_version.clone()),
            user_id: org.map(|org| org.user_id.clone()),
            username: org.map(|org| org.username.clone()),
            user_auth: None,
        },
        connection_method: Some(credential.method),
        error: credential.error().cloned(),
        created_at: credential.created_at,
        created_by: credential.created_by.clone(),
        created_via_app: credential.app_name.clone(),
        last_modified_at: credential.last_modified_at,
        last_modified_by: Some(credential.last_modified_by.clone()),
    }
}

/// The official word for where it stands.
pub fn status(credential: &Credential) -> ConnectionStatus {
    match &credential.state {
        State::Pending { .. } => ConnectionStatus::Connecting,
        State::Live(_) => ConnectionStatus::Connected,
        State::Failed { .. } => ConnectionStatus::Failed,
        State::Disconnecting(_) => ConnectionStatus::Disconnecting,
        State::Dead { .. } | State::Disconnected { .. } => ConnectionStatus::Disconnected,
    }
}
