//! Rows in, bundle out. Pure.

use std::collections::{BTreeMap, HashMap};

use applink_api::connection::ConnectionStatus;
use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use applink_api::trust::{TokenPolicy, TrustBundle, TrustedKey, TrustedOrg, TrustedPublication};
use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

use crate::connections;
use crate::credentials::Credential;
use crate::publications::Publication;
use crate::vault::hex;

/// An org's keys, as last fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedKeys {
    /// The keys.
    pub keys: Vec<TrustedKey>,
    /// When.
    pub fetched_at: Timestamp,
}

/// Everything a bundle is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The tenant.
    pub addon: AddonId,
    /// The app that asks.
    pub app: AppUuid,
    /// The tenant's connections.
    pub connections: &'a [Credential],
    /// What is live of the app.
    pub publications: &'a [Publication],
    /// Keys by instance URL.
    pub keys: &'a HashMap<String, FetchedKeys>,
    /// Policies by connection; strict where there is none.
    pub policies: &'a HashMap<Uuid, TokenPolicy>,
}

/// Puts a bundle together.
///
/// # Errors
/// [`serde_json::Error`] never in practice: everything in it is text.
pub fn assemble(facts: Facts<'_>, now: Timestamp) -> Result<TrustBundle, serde_json::Error> {
    let orgs = orgs(facts);
    let publications: Vec<TrustedPublication> = facts
        .publications
        .iter()
        .map(|publication| TrustedPublication {
            org_id: publication.org_id.clone(),
            client_name: publication.client.clone(),
        })
        .collect();
    let version = version(&(facts.addon.to_string(), facts.app, &orgs, &publications))?;
    Ok(TrustBundle { version, issued_at: now, app_uuid: facts.app, orgs, publications })
}

/// Several names may stand for one org; a live one speaks for it.
fn orgs(facts: Facts<'_>) -> Vec<TrustedOrg> {
    let mut orgs: BTreeMap<&str, TrustedOrg> = BTreeMap::new();
    for connection in facts.connections {
        let Some(org) = connection.org() else { continue };
        let found = TrustedOrg {
            org_id: org.org_id.clone(),
            instance_url: org.instance_url.clone(),
            connection_name: connection.name.clone(),
            state: connections::status(connection),
            policy: facts.policies.get(&connection.id).copied().unwrap_or_default(),
            keys: Vec::new(),
            keys_fetched_at: None,
        };
        let speaks = orgs.get(org.org_id.as_str()).is_none_or(|known| {
            known.state != ConnectionStatus::Connected && found.state == ConnectionStatus::Connected
        });
        if speaks {
            orgs.insert(&org.org_id, found);
        }
    }
    let mut orgs: Vec<TrustedOrg> = orgs.into_values().collect();
    for org in orgs.iter_mut().filter(|org| org.state == ConnectionStatus::Connected) {
        if let Some(fetched) = facts.keys.get(&org.instance_url) {
            org.keys.clone_from(&fetched.keys);
            org.keys_fetched_at = Some(fetched.fetched_at);
        }
    }
    orgs
}

/// 128 bits of a digest over what a mesh acts on.
fn version(contents: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    let digest = digest(&SHA256, &serde_json::to_vec(contents)?);
    Ok(hex(digest.as_ref().get(..16).unwrap_or_default()))
}
