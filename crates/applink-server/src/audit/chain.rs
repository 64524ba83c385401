//! The MACs that chain rows and anchors.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::Actor;
use super::store::{actors, anchors, rows};
use crate::vault::{DerivedKeys, MasterKeys};

/// What an audit key is derived for.
pub const CHAIN_PURPOSE: &str = "applink audit chain v1";

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
    /// Of the master keys alone; see [`ChainKeys::of`] for those of former ones too.
    pub fn new(masters: &MasterKeys) -> Self {
        Self::of(&masters.derive_all(CHAIN_PURPOSE))
    }

    /// Of keys derived for [`CHAIN_PURPOSE`].
    pub fn of(derived: &DerivedKeys) -> Self {
        let all: HashMap<String, ChainKey> =
            derived.all.iter().map(|(id, key)| (id.clone(), ChainKey::of(id, key))).collect();
        // Without any key nothing starts; what this would sign, nothing verifies.
        let none = || ChainKey::of("", &Zeroizing::new([0; 32]));
        Self { current: all.get(&derived.current).cloned().unwrap_or_else(none), all }
    }

    /// The key of new rows.
    pub fn current(&self) -> &ChainKey {
        &self.current
    }

    /// Whether one of the keys made this anchor: the chain of anchors goes on when the master key changes.
    pub(super) fn made(&self, anchor: &anchors::Model) -> bool {
        self.all.values().any(|key| key.anchor_mac(anchor) == anchor.mac)
    }

    /// Whether one of the keys made the look-up of this name, or it is erased.
    pub(super) fn named(&self, actor: &actors::Model) -> bool {
        match (&actor.name, &actor.lookup) {
            (None, None) => true,
            (Some(name), Some(lookup)) => {
                self.all.values().any(|key| key.name_lookup(&actor.kind, name) == *lookup)
            }
            _ => false,
        }
    }

    /// The key of an older segment.
    pub fn get(&self, master_key_id: &str) -> Option<&ChainKey> {
        self.all.get(master_key_id)
    }
}

impl ChainKey {
    fn of(master_key_id: &str, derived: &Zeroizing<[u8; 32]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_slice());
        Self { master_key_id: master_key_id.to_owned(), key }
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
        self.name_lookup(actor.kind.as_str(), &actor.name)
    }

    fn name_lookup(&self, kind: &str, name: &str) -> String {
        self.mac(&["actor", kind, name])
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
