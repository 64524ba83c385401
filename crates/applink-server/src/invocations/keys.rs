//! Step 3: public keys of connected orgs. Asked for at the stored instance URL only, kept for an hour, asked for again
//! when a token names an unknown key, at most every 30 seconds; when the org is away, the old ones are used on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use applink_api::time::Timestamp;
use applink_salesforce::keys::{SigningPublicKey, signing_keys};
use applink_salesforce::{OrgError, OrgOrigin};
use jsonwebtoken::DecodingKey;

use crate::app::App;
use crate::error::chain;
use crate::trust;

/// How long keys are used without asking again.
const KEPT: Duration = Duration::from_secs(3600);
/// How often an org is asked at most.
const PAUSE: Duration = Duration::from_secs(30);
/// Orgs whose keys are remembered; beyond that all are asked for again.
const REMEMBERED: usize = 10_000;

/// The keys known so far.
#[derive(Debug, Default)]
pub struct KeyRing {
    orgs: Mutex<HashMap<String, Arc<tokio::sync::Mutex<OrgKeys>>>>,
}

#[derive(Default)]
struct OrgKeys {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl std::fmt::Debug for OrgKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrgKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The org's key with this id.
    ///
    /// # Errors
    /// [`OrgError`] when the org had to be asked, can't be, and no key of it is known.
    pub async fn find(
        &self,
        app: &App,
        org: &OrgOrigin,
        kid: &str,
    ) -> Result<Option<Arc<DecodingKey>>, OrgError> {
        let slot = self.slot(org);
        // One question per org at a time; whoever waited finds the answer here.
        let mut known = slot.lock().await;
        let now = app.clock.now();
        if let Some(key) = known.keys.get(kid)
            && known.fetched_at.is_some_and(|at| now.since(at) < KEPT)
        {
            return Ok(Some(Arc::clone(key)));
        }
        if known.asked_at.is_none_or(|at| now.since(at) >= PAUSE) {
            known.asked_at = Some(now);
            match signing_keys(&app.egress, org).await {
                Ok(keys) => {
                    remember(app, org, &keys).await;
                    known.replace(keys, now);
                }
                Err(error) if known.keys.is_empty() => {
                    // Nothing is known yet: the next call may ask again at once.
                    known.asked_at = None;
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%org, error = %chain(&error), "an org's keys can't be fetched; the old ones are used on");
                }
            }
        }
        Ok(known.keys.get(kid).cloned())
    }

    fn slot(&self, org: &OrgOrigin) -> Arc<tokio::sync::Mutex<OrgKeys>> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        if orgs.len() >= REMEMBERED {
            orgs.clear();
        }
        Arc::clone(orgs.entry(org.as_str().to_owned()).or_default())
    }
}

/// So that meshes learn them with their next poll. This call goes on either way.
async fn remember(app: &App, org: &OrgOrigin, keys: &[SigningPublicKey]) {
    if let Err(error) = trust::reconcile::remember(app, org.as_str(), keys).await {
        tracing::warn!(%org, error = %chain(&error), "an org's keys can't be kept for the meshes");
    }
}

impl OrgKeys {
    fn replace(&mut self, keys: Vec<SigningPublicKey>, now: Timestamp) {
        self.keys = keys
            .into_iter()
            .filter_map(|key| {
                let parsed = DecodingKey::from_rsa_components(&key.n, &key.e).ok()?;
                Some((key.kid, Arc::new(parsed)))
            })
            .collect();
        self.fetched_at = Some(now);
    }
}
