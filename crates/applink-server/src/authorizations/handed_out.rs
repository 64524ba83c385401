//! What was handed out lately, in memory: while the database is away it is handed out again, as long as the token lives
//! and the [spool](crate::spool) takes the audit rows. It is forgotten when this process removes or replaces its grant, or
//! reads that there is none any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::names::look_up_key;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::credentials::Credential;
use crate::tokens::FreshToken;

/// Hand-outs remembered; beyond that all are forgotten.
const REMEMBERED: usize = 10_000;
/// A dead token's hand-out is kept for so long: its successor may come by way of the spool.
const KEPT_DEAD: Duration = Duration::from_secs(300);

/// A record with the token it was handed out with.
#[derive(Clone, Debug)]
pub(super) struct HandOut {
    pub(super) credential: Arc<Credential>,
    pub(super) token: FreshToken,
}

type ByName = HashMap<(AddonId, String), Arc<HandOut>>;

/// The hand-outs a process remembers.
#[derive(Debug, Default)]
pub struct HandedOut {
    by_name: RwLock<ByName>,
    /// Raised with everything that is forgotten: what was read before is not remembered any more.
    forgotten: AtomicU64,
    read_failed: AtomicBool,
}

impl HandedOut {
    /// How much was forgotten until now, to be asked before a hand-out is read.
    pub(super) fn generation(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Remembers a hand-out under the name it was asked for by, unless something was forgotten since it was read: that may
    /// have been its grant.
    pub(super) fn remember(&self, named: &str, credential: &Arc<Credential>, token: &FreshToken, since: u64) {
        let key = (credential.addon, look_up_key(named));
        if self.with(|known| known.get(&key).is_some_and(|known| known.is(credential, token))) {
            return;
        }
        let hand_out = Arc::new(HandOut { credential: Arc::clone(credential), token: token.clone() });
        let mut known = self.known();
        if self.generation() != since {
            return;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, hand_out);
    }

    /// What was handed out under this name, when its token lives.
    pub(super) fn find(&self, addon: AddonId, named: &str, now: Timestamp) -> Option<Arc<HandOut>> {
        let found = self.with(|known| known.get(&(addon, look_up_key(named))).cloned())?;
        (now < found.token.expires_at).then_some(found)
    }

    /// A grant was renewed and its tokens are in the spool: they take the place of the dead ones. (What is handed out for
    /// Data Cloud is its tenant's token, which lives by itself.)
    pub(crate) fn renewed(&self, credential: Uuid, token: &FreshToken) {
        let is_its = |known: &&mut Arc<HandOut>| {
            known.credential.id == credential && known.credential.org_type == OrgType::SalesforceOrg
        };
        let mut known = self.known();
        for hand_out in known.values_mut().filter(is_its) {
            *hand_out =
                Arc::new(HandOut { credential: Arc::clone(&hand_out.credential), token: token.clone() });
        }
    }

    /// There is nothing live under this name.
    pub(super) fn forget_name(&self, addon: AddonId, named: &str) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        let key = (addon, look_up_key(named));
        if self.with(|known| known.contains_key(&key)) {
            self.known().remove(&key);
        }
    }

    /// A credential's grant was removed or replaced, or its name was.
    pub(crate) fn forget(&self, credential: Uuid) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        if self.with(|known| known.values().any(|known| known.credential.id == credential)) {
            self.known().retain(|_, known| known.credential.id != credential);
        }
    }

    /// Forgets tokens that are dead.
    pub(crate) fn forget_dead(&self, now: Timestamp) {
        self.known().retain(|_, known| now < known.token.expires_at.plus(KEPT_DEAD));
    }

    /// The database didn't answer a read.
    pub(super) fn read_failed(&self) {
        self.read_failed.store(true, Ordering::SeqCst);
    }

    /// Whether the database is to be left alone, until the outage is over. (The spool's replay finds that out.)
    pub(super) fn leaves_database_alone(&self, app: &App) -> bool {
        if !app.spool.outage().is_on() {
            self.read_failed.store(false, Ordering::SeqCst);
            return false;
        }
        self.read_failed.load(Ordering::SeqCst)
    }

    fn known(&self) -> RwLockWriteGuard<'_, ByName> {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, look: impl FnOnce(&ByName) -> R) -> R {
        look(&self.by_name.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HandOut {
    fn is(&self, credential: &Credential, token: &FreshToken) -> bool {
        self.token.version == token.version
            && self.token.expires_at == token.expires_at
            && self.credential.id == credential.id
            && self.credential.last_modified_at == credential.last_modified_at
    }
}

#[cfg(test)]
mod tests {
    use applink_api::connection::ConnectionMethod;
    use applink_salesforce::OrgOrigin;

    use super::*;
    use crate::credentials::{Kind, OrgUser, State};
    use crate::db::RowId;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn credential(id: u128) -> Arc<Credential> {
        let instance_url = "https://acme.my.salesforce.com".to_owned();
        let org = OrgUser {
            org_id: "00D".to_owned(),
            instance_url,
            user_id: "005".to_owned(),
            username: "a@acme.example".to_owned(),
            api_version: "66.0".to_owned(),
        };
        Arc::new(Credential {
            id: Uuid::from_u128(id),
            addon: Uuid::from_u128(1).into(),
            kind: Kind::Authorization,
            name: format!("user{id}"),
            alias: None,
            org_type: OrgType::SalesforceOrg,
            state: State::Live(org),
            method: ConnectionMethod::OAuth,
            login_url: "https://login.salesforce.com".to_owned(),
            app_name: None,
            created_at: NOW,
            created_by: "dev@acme.example".to_owned(),
            last_modified_at: NOW,
            last_modified_by: "dev@acme.example".to_owned(),
        })
    }

    fn token(lives: u64) -> FreshToken {
        FreshToken {
            access_token: "canary-access".into(),
            instance: OrgOrigin::vouched_for("https://acme.my.salesforce.com").unwrap(),
            org_id: "00D".to_owned(),
            grant: RowId(Uuid::from_u128(9)),
            version: 1,
            expires_at: NOW.plus(Duration::from_secs(lives)),
        }
    }

    #[test]
    fn what_is_removed_is_forgotten_under_each_name_and_others_are_not() {
        let handed_out = HandedOut::default();
        let (one, two) = (credential(7), credential(8));
        for named in ["user7", "alias", "USER-7"] {
            handed_out.remember(named, &one, &token(900), handed_out.generation());
        }
        handed_out.remember("user8", &two, &token(900), handed_out.generation());
        let knows = |named: &str| handed_out.find(one.addon, named, NOW).is_some();
        assert!(knows("user7") && knows("alias") && knows("user8"));
        handed_out.forget_name(one.addon, "alias");
        assert!(knows("user7") && !knows("alias"));
        handed_out.forget(one.id);
        assert!(!knows("user7") && !knows("USER-7") && knows("user8"));
    }

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_remembered() {
        let handed_out = HandedOut::default();
        let (one, read) = (credential(7), handed_out.generation());
        handed_out.forget(one.id);
        handed_out.remember("user7", &one, &token(900), read);
        assert!(handed_out.find(one.addon, "user7", NOW).is_none());
        handed_out.remember("user7", &one, &token(900), handed_out.generation());
        assert!(handed_out.find(one.addon, "user7", NOW).is_some());
    }

    #[test]
    fn dead_tokens_are_forgotten_after_a_while() {
        let handed_out = HandedOut::default();
        handed_out.remember("user7", &credential(7), &token(10), handed_out.generation());
        handed_out.remember("user8", &credential(8), &token(1000), handed_out.generation());
        let count = |seconds| {
            handed_out.forget_dead(NOW.plus(Duration::from_secs(seconds)));
            handed_out.with(|known| known.len())
        };
        assert_eq!((count(300), count(311)), (2, 1));
    }
}
