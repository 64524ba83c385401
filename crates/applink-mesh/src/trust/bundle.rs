//! The control plane's bundle, compiled for look-ups.

use std::collections::{HashMap, HashSet};

use applink_api::connection::ConnectionStatus;
use applink_api::ids::{AppUuid, RecordId};
use applink_api::trust::{TokenPolicy, TrustBundle, TrustedOrg};

use crate::trust::key::VerifyingKey;

/// Whom to trust.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// As the control plane names it.
    pub(crate) version: String,
    /// The app that calls must be meant for.
    pub(crate) app: AppUuid,
    orgs: HashMap<String, OrgTrust>,
}

/// What is known of an org.
#[derive(Debug)]
pub(crate) struct OrgTrust {
    pub(crate) id: RecordId,
    pub(crate) instance_url: String,
    pub(crate) connected: bool,
    /// This app is published there.
    pub(crate) published: bool,
    pub(crate) policy: TokenPolicy,
    pub(crate) keys: HashMap<String, VerifyingKey>,
}

impl Bundle {
    /// Entries that can't be read are left out, so their orgs are not trusted.
    pub(crate) fn compile(bundle: TrustBundle) -> Self {
        let published: HashSet<&str> =
            bundle.publications.iter().map(|publication| publication.org_id.as_str()).collect();
        let orgs = bundle.orgs.iter().filter_map(|org| {
            let id: RecordId = org.org_id.parse().ok()?;
            let published = published.contains(org.org_id.as_str());
            Some((id.to_string(), compile_org(org, id, published)))
        });
        let orgs = orgs.collect();
        Self { version: bundle.version, app: bundle.app_uuid, orgs }
    }

    /// The org with this id.
    pub(crate) fn org(&self, id: &RecordId) -> Option<&OrgTrust> {
        self.orgs.get(id.as_str())
    }
}

fn compile_org(org: &TrustedOrg, id: RecordId, published: bool) -> OrgTrust {
    let connected = org.state == ConnectionStatus::Connected;
    let keys = org.keys.iter().filter(|_| connected).filter_map(|key| {
        let parsed = VerifyingKey::parse(&key.n, &key.e);
        if parsed.is_none() {
            tracing::warn!(
                org = org.org_id,
                kid = key.kid,
                "a key of this org is no RSA key of 2048 to 8192 bits"
            );
        }
        Some((key.kid.clone(), parsed?))
    });
    OrgTrust {
        id,
        instance_url: org.instance_url.trim_end_matches('/').to_owned(),
        connected,
        published,
        policy: org.policy,
        keys: keys.collect(),
    }
}
