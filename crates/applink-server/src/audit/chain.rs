//! The MACs that chain rows and anchors.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;

use super::Actor;
use super::store::{anchors, rows};
use crate::vault::{MasterKey, MasterKeys};

/// What an audit key is derived for.
const PURPOSE: &[u8] = b"applink audit chain v1";

/// The key of one chain, derived from one master key.
#[derive(Clone)]
pub struct ChainKey {
    master_key_id: String,
    key: hmac::Key,
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainKey({})", self.master_key_id)
    }
}

/// The keys of every master key that is known.
#[derive(Clone, Debug)]
pub struct ChainKeys {
    current: ChainKey,
    all: HashMap<String, ChainKey>,
}

impl ChainKeys {
    /// Derives them.
    pub fn new(masters: &MasterKeys) -> Self {
        let derived = masters.ids().into_iter().filter_map(|id| masters.get(&id).map(ChainKey::of));
        let all = derived.map(|key| (key.master_key_id.clone(), key)).collect();
        Self { current: ChainKey::of(masters.current()), all }
    }

    /// The key of new rows.
    pub fn current(&self) -> &ChainKey {
        &self.current
    }

    /// Whether one of the keys made this anchor: the chain of anchors goes on when the master key changes.
    pub(super) fn made(&self, anchor: &anchors::Model) -> bool {
        self.all.values().any(|key| key.anchor_mac(anchor) == anchor.mac)
    }

    /// The key of an older segment.
    pub fn get(&self, master_key_id: &str) -> Option<&ChainKey> {
        self.all.get(master_key_id)
    }
}

impl ChainKey {
    fn of(master: &MasterKey) -> Self {
        let derived = master.derive(PURPOSE);
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_slice());
        Self { master_key_id: master.id().to_owned(), key }
    }

    /// The master key it comes from.
    pub fn master_key_id(&self) -> &str {
        &self.master_key_id
    }

    /// The MAC of a row: over its place in the chain and everything it says.
    pub(super) fn row_mac(&self, row: &rows::Model) -> String {
        self.mac(&[
            "row",
            &row.segment.to_string(),
            &row.seq.to_string(),
            &row.prev_mac,
            &row.at.to_string(),
            &row.actor,
            &row.action,
            row.addon_id.as_deref().unwrap_or_default(),
            row.subject.as_deref().unwrap_or_default(),
            &row.detail,
        ])
    }

    /// The MAC of an anchor.
    pub(super) fn anchor_mac(&self, anchor: &anchors::Model) -> String {
        self.mac(&[
            "anchor",
            &anchor.number.to_string(),
            &anchor.prev_mac,
            &anchor.at.to_string(),
            &anchor.segment.to_string(),
            &anchor.seq.to_string(),
            &anchor.row_mac,
        ])
    }

    /// Finds an actor again without telling the name.
    pub(super) fn actor_lookup(&self, actor: &Actor) -> String {
        self.mac(&["actor", actor.kind.as_str(), &actor.name])
    }

    /// Every part is preceded by its length, so that no two lists of parts are the same bytes.
    fn mac(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        crate::vault::hex(context.sign().as_ref())
    }
}
