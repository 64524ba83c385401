//! A row in the official words.

use applink_api::authorization::{Authorization, AuthorizationStatus};
use applink_api::org::Org;

use crate::credentials::{Credential, State};

/// The answer for an authorization, without its token.
pub fn to_wire(credential: &Credential, redirect_uri: Option<String>) -> Authorization {
    let org = credential
        .org()
        .filter(|_| !matches!(credential.state, State::Pending { .. } | State::Failed { .. }));
    Authorization {
        id: credential.id.into(),
        addon_id: Some(credential.addon),
        status: status(&credential.state),
        redirect_uri,
        org: Org {
            id: org.map(|org| org.org_id.clone()).unwrap_or_default(),
            instance_url: org.map(|org| org.instance_url.clone()).unwrap_or_default(),
            kind: credential.org_type,
            connection_name: None,
            developer_name: Some(credential.name.clone()),
            api_version: org.map(|org| org.api_version.clone()),
            user_id: org.map(|org| org.user_id.clone()),
            username: org.map(|org| org.username.clone()),
            user_auth: None,
        },
        app_name: credential.app_name.clone(),
        connection_method: Some(credential.method),
        alias: credential.alias.clone(),
        error: credential.error().cloned(),
        created_at: credential.created_at,
        created_by: credential.created_by.clone(),
        created_via_app: credential.app_name.clone(),
        last_modified_at: credential.last_modified_at,
        last_modified_by: Some(credential.last_modified_by.clone()),
    }
}

fn status(state: &State) -> AuthorizationStatus {
    match state {
        State::Pending { .. } => AuthorizationStatus::Authorizing,
        State::Live(_) => AuthorizationStatus::Authorized,
        State::Disconnecting(_) => AuthorizationStatus::Disconnecting,
        State::Disconnected { .. } => AuthorizationStatus::Disconnected,
        State::Failed { .. } | State::Dead { .. } => AuthorizationStatus::Failed,
    }
}
