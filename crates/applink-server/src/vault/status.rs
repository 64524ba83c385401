//! How the vault stands, for operators.

use applink_api::time::Timestamp;

use super::rotation::GONE_AFTER;
use super::{rotations, store};
use crate::app::App;
use crate::db::StoreError;

/// Rotations that are told.
const ROTATIONS: u64 = 5;

/// What was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The master key that seals.
    pub master_key_id: String,
    /// Every master key that is known or needed, and how many keys it seals. One that seals nothing may go.
    pub master_keys: Vec<(String, u64)>,
    /// Data keys in use, and former ones.
    pub data_keys: (u64, u64),
    /// Processes that live.
    pub processes: Vec<store::processes::Model>,
    /// The last rotations, newest first.
    pub rotations: Vec<rotations::Model>,
}

/// Reads it.
///
/// # Errors
/// [`StoreError`].
pub async fn read(app: &App) -> Result<Read, StoreError> {
    let reader = app.store.reader();
    let mut ids = store::master_key_ids(reader).await?;
    ids.extend(app.vault.masters().ids());
    ids.sort_unstable();
    ids.dedup();
    let mut master_keys = Vec::with_capacity(ids.len());
    for id in ids {
        let seals = store::sealed_under(reader, &id).await?;
        master_keys.push((id, seals));
    }
    let since = Timestamp::from_micros(app.store.database().lease_now(reader).await?).minus(GONE_AFTER);
    Ok(Read {
        master_key_id: store::current_master(reader).await?.unwrap_or_default(),
        master_keys,
        data_keys: store::count(reader).await?,
        processes: store::processes_since(reader, since.as_micros()).await?,
        rotations: rotations::latest(reader, ROTATIONS).await?,
    })
}
