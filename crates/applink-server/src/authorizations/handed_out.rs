//! What was handed out lately, in memory: while the database is away it is handed out again, as long as the token lives
//! and the [spool](crate::spool) takes the audit rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use applink_api::ids::AddonId;
use applink_api::names::look_up_key;
use applink_api::time::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::credentials::Credential;
use crate::tokens::FreshToken;

/// Hand-outs remembered; beyond that all are forgotten.
const REMEMBERED: usize = 10_000;

/// A record with the token it was handed out with.
#[derive(Clone, Debug)]
pub(super) struct HandOut {
    pub(super) credential: Credential,
    pub(super) token: FreshToken,
}

type ByName = HashMap<(AddonId, String), Arc<HandOut>>;

/// The hand-outs a process remembers.
#[derive(Debug, Default)]
pub struct HandedOut {
    by_name: RwLock<ByName>,
    read_failed: AtomicBool,
}

impl HandedOut {
    /// Remembers a hand-out under the name it was asked for by.
    pub(super) fn remember(&self, named: &str, credential: &Credential, token: &FreshToken) {
        let key = (credential.addon, look_up_key(named));
        if self.with(|known| known.get(&key).is_some_and(|known| known.is(credential, token))) {
            return;
        }
        let hand_out = Arc::new(HandOut { credential: credential.clone(), token: token.clone() });
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
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

    /// A grant was renewed and its tokens are in the spool: they take the place of the dead ones.
    pub(crate) fn renewed(&self, credential: Uuid, token: &FreshToken) {
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for hand_out in known.values_mut().filter(|known| known.credential.id == credential) {
            *hand_out = Arc::new(HandOut { credential: hand_out.credential.clone(), token: token.clone() });
        }
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
