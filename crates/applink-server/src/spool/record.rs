//! What the spool holds.

use applink_api::ids::AddonId;
use applink_api::secret::wire;
use applink_api::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::SpoolError;
use crate::audit::{Actor, ActorKind, Entry};

/// One record. In the clear only between here and the cipher.
#[derive(Serialize, Deserialize)]
pub(super) enum Record {
    Audit(AuditRow),
    Refresh(RefreshAnswer),
}

/// An audit entry with its time.
#[derive(Serialize, Deserialize)]
pub(super) struct AuditRow {
    at: Timestamp,
    kind: String,
    name: String,
    action: String,
    addon: Option<AddonId>,
    subject: Option<Uuid>,
    detail: String,
}

/// What an org answered to a refresh, and to which one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefreshAnswer {
    /// The grant's id.
    pub grant: Uuid,
    /// Its add-on.
    pub addon: AddonId,
    /// Its credential.
    pub credential: Uuid,
    /// The version of the tokens that were replaced.
    pub replaced: i64,
    /// When the org answered.
    pub at: Timestamp,
    /// When the access token ends, as far as known.
    pub expires_at: Timestamp,
    /// The new access token.
    #[serde(with = "wire")]
    pub access_token: SecretString,
    /// The new refresh token, when there was one.
    pub refresh_token: Option<Kept>,
    /// The org's own origin now.
    pub instance_url: String,
}

/// A secret that may be absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept(#[serde(with = "wire")] pub SecretString);

impl Record {
    pub(super) fn of_entry(entry: &Entry, now: Timestamp) -> Self {
        Self::Audit(AuditRow {
            at: now,
            kind: entry.actor.kind.as_str().to_owned(),
            name: entry.actor.name.clone(),
            action: entry.action.to_owned(),
            addon: entry.addon,
            subject: entry.subject,
            detail: entry.detail.clone(),
        })
    }

    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SpoolError> {
        // Enough for any record, so that no half-grown buffer with a secret in it is freed unwiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(32 * 1024));
        serde_json::to_writer(&mut *bytes, self).map_err(|_| SpoolError::Seal)?;
        Ok(bytes)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, SpoolError> {
        serde_json::from_slice(bytes).map_err(|_| SpoolError::Seal)
    }
}

impl AuditRow {
    /// The entry as it is written into the ledger, which has its own time; the true one is told beside it.
    pub(super) fn into_entry(self) -> Entry {
        let separator = if self.detail.is_empty() { "" } else { " " };
        Entry {
            actor: Actor::new(ActorKind::of(&self.kind), self.name),
            action: action(self.action),
            addon: self.addon,
            subject: self.subject,
            detail: format!("{}{separator}(at {}, while the database was away)", self.detail, self.at),
        }
    }
}

/// Actions are constants of ours; what only goes through the recorder is listed, anything else keeps its words without
/// being one.
fn action(text: String) -> &'static str {
    use std::collections::HashSet;
    use std::sync::{Mutex, PoisonError};
    static KNOWN: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(found) = known.get(text.as_str()) {
        return found;
    }
    // Records are sealed, so these are words of an AppLink: a handful, however often a process replays.
    let leaked: &'static str = Box::leak(text.into_boxed_str());
    known.insert(leaked);
    leaked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_with_the_time_it_happened() {
        let actor = Actor::new(ActorKind::App, "my-app");
        let addon = Uuid::from_u128(7).into();
        let entry =
            Entry::new(&actor, "authorization.handed_out", addon, Uuid::from_u128(8)).with_detail("worker");
        let bytes = Record::of_entry(&entry, Timestamp::from_seconds(0)).to_bytes().unwrap();
        let Record::Audit(row) = Record::of_bytes(&bytes).unwrap() else { panic!("an audit row") };
        let back = row.into_entry();
        assert_eq!(
            (back.actor, back.action, back.addon, back.subject),
            (actor, entry.action, entry.addon, entry.subject)
        );
        assert_eq!(back.detail, "worker (at 1970-01-01T00:00:00.000000Z, while the database was away)");
    }

    #[test]
    fn a_refresh_answer_is_readable_only_as_bytes() {
        let answer = RefreshAnswer {
            grant: Uuid::from_u128(1),
            addon: Uuid::from_u128(2).into(),
            credential: Uuid::from_u128(3),
            replaced: 4,
            at: Timestamp::from_seconds(5),
            expires_at: Timestamp::from_seconds(6),
            access_token: "canary-access".into(),
            refresh_token: Some(Kept("canary-refresh".into())),
            instance_url: "https://acme.my.salesforce.com".to_owned(),
        };
        assert!(!format!("{answer:?}").contains("canary"));
        let bytes = Record::Refresh(answer).to_bytes().unwrap();
        let Record::Refresh(back) = Record::of_bytes(&bytes).unwrap() else { panic!("an answer") };
        use secrecy::ExposeSecret as _;
        assert_eq!(back.access_token.expose_secret(), "canary-access");
        assert_eq!(back.refresh_token.unwrap().0.expose_secret(), "canary-refresh");
    }
}
