//! Rotating master and data keys while everything is served.
//!
//! **Master key** (seals data keys):
//!
//! 1. The operator gives every process the new key beside the one in use. Each says which keys it has (a *beat*, in
//!    `vault_processes`), when it starts and with every run of the reconciler.
//! 2. A rotation is asked for. It *waits* until every process that lives has the new key; then, in one commit, the new
//!    key is the one that seals.
//! 3. Data keys are *rewrapped*, a few per step: each opens under either key all the time.
//! 4. When none is left, and no commit from before can still be under way, it is *done*, and the old key may go.
//!
//! **Data keys** (seal rows):
//!
//! 1. Every data key in use is marked, and *replaced* by a new one, a few per step. From that commit on, new secrets
//!    are sealed with the new one; the old one still opens.
//! 2. A walk over every sealed column seals old rows anew (*resealing*), each only if it is still what was read: a
//!    row that changes meanwhile is sealed with the new key already, or found by the next walk.
//! 3. Walks are repeated until one that began after step 1 had *settled* finds nothing; then the old keys are erased.
//!
//! Every step is claimed with a lease and commits where it is, so another process goes on after a kill. What is
//! committed is never undone: a row is sealed the old way or the new way, and both open.
//!
//! Times that one process writes and another compares with are the database's, as for leases: the clocks of two
//! machines need not agree.

use std::collections::HashMap;
use std::time::Duration;

use applink_api::time::Timestamp;
use uuid::Uuid;

use super::rotations::{self, Model};
use super::sealed::{AnyPlace, COLUMNS, SealedColumn, SealedRow};
use super::store::{self, kept};
use super::{Vault, VaultError, data_key_place, kept_place, read_header};
use crate::audit::{Actor, Entry};
use crate::db::claim::Claim;
use crate::db::{RowId, Store, StoreError, Tx};

/// A commit that began before a key was replaced is over after this: longer than any lease and its retries.
pub const SETTLE: Duration = Duration::from_secs(60);
/// A process that was not seen for this long is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(30);
/// How long a step may take.
const LEASE: Duration = Duration::from_secs(30);
/// Keys per step.
const KEYS: u64 = 50;
/// Rows per step.
const ROWS: u64 = 100;
/// How long a rotation waits before it looks at processes again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Due whatever the time: the database's clock, which leases go by, may be a little behind this one.
const AT_ONCE: Option<i64> = Some(0);

/// Kinds of rotations, as stored.
pub const MASTER: &str = "master";
/// See [`MASTER`].
pub const DATA: &str = "data";

/// Where a rotation stands, as stored.
pub mod phase {
    /// Not every process has the new master key.
    pub const WAITING: &str = "waiting";
    /// Data keys are sealed under the new master key.
    pub const REWRAPPING: &str = "rewrapping";
    /// Data keys are replaced.
    pub const REPLACING: &str = "replacing";
    /// Rows are sealed anew.
    pub const RESEALING: &str = "resealing";
    /// Over.
    pub const DONE: &str = "done";
}

/// A rotation that can't be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanNotRotate {
    /// One at a time.
    #[error("a rotation is under way already")]
    UnderWay,
    /// There is nothing to rotate to.
    #[error(
        "there is no other master key to rotate to: give every process the new one first (a second line in the key file, put first; or APPLINK_MASTER_KEY with the old one in APPLINK_PREVIOUS_MASTER_KEYS)"
    )]
    NoNewMaster,
    /// The database failed.
    #[error("the rotation could not be recorded")]
    Store(#[source] StoreError),
    /// The key service failed.
    #[error("no new master key could be made")]
    Vault(#[source] VaultError),
}

impl From<StoreError> for CanNotRotate {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Asks for a rotation of the master key, to the one this process prefers.
///
/// # Errors
/// [`CanNotRotate`].
pub async fn begin_master(store: &Store, vault: &Vault, actor: &Actor) -> Result<Model, CanNotRotate> {
    vault.make_next_master().await.map_err(CanNotRotate::Vault)?;
    let wanted = vault.masters().preferred().map(|key| key.id().to_owned());
    let in_use = store::current_master(store.reader()).await?;
    let target = wanted.filter(|wanted| in_use.as_ref() != Some(wanted)).ok_or(CanNotRotate::NoNewMaster)?;
    begin(store, vault, actor, MASTER, phase::WAITING, Some(target)).await
}

/// Asks for a rotation of every data key.
///
/// # Errors
/// [`CanNotRotate`].
pub async fn begin_data(store: &Store, vault: &Vault, actor: &Actor) -> Result<Model, CanNotRotate> {
    begin(store, vault, actor, DATA, phase::REPLACING, None).await
}

async fn begin(
    store: &Store,
    vault: &Vault,
    actor: &Actor,
    kind: &str,
    phase: &str,
    master_key_id: Option<String>,
) -> Result<Model, CanNotRotate> {
    let now = vault.now();
    let rotation = Model {
        id: RowId(vault.new_id()),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        kind: kind.to_owned(),
        phase: phase.to_owned(),
        master_key_id,
        due_at: AT_ONCE,
        settles_at: now.as_micros(),
        pass_started_at: 0,
        place: 0,
        after_row: String::new(),
        stale: 0,
        done: 0,
        damaged: 0,
        requested_by: actor.name.clone(),
        requested_at: now.as_micros(),
        finished_at: None,
    };
    let mut tx = store.begin().await?;
    store.database().lock_for_start(&tx).await.map_err(StoreError::from)?;
    if rotations::under_way(&*tx).await?.is_some() {
        return Err(CanNotRotate::UnderWay);
    }
    rotations::insert(&*tx, rotation.clone()).await?;
    if kind == DATA {
        store::mark_for(&*tx, rotation.id).await?;
    }
    tx.audit(entry(actor, "vault.rotation_started", &rotation));
    tx.commit().await?;
    Ok(rotation)
}

fn entry(actor: &Actor, action: &'static str, rotation: &Model) -> Entry {
    let detail = match &rotation.master_key_id {
        Some(id) => format!("master key, to {id}"),
        None => format!("data keys, {} rows sealed anew", rotation.done),
    };
    Entry { actor: actor.clone(), action, addon: None, subject: Some(rotation.id.0), detail }
}

/// One step of the rotation that is due. `None` when none is; else how many keys or rows were sealed anew.
///
/// # Errors
/// [`VaultError`]; the next step tries again.
pub async fn step(store: &Store, vault: &Vault) -> Result<Option<u64>, VaultError> {
    let claim = Claim { owner: store.journal().process(), lease: LEASE, limit: 1 };
    let claimed: Vec<Model> = store.database().claim_due(rotations::DUE, claim).await?;
    let Some(mut rotation) = claimed.into_iter().next() else { return Ok(None) };
    let done = match rotation.phase.as_str() {
        phase::WAITING => wait(store, vault, &mut rotation).await?,
        phase::REWRAPPING => rewrap(store, vault, &mut rotation).await?,
        phase::REPLACING => replace(store, vault, &mut rotation).await?,
        _ => reseal(store, vault, &mut rotation).await?,
    };
    Ok(Some(done))
}

/// Writes where the rotation is, gives the lease back, and commits.
async fn save(mut tx: Tx, rotation: &mut Model) -> Result<(), StoreError> {
    rotation.lease_until = None;
    if rotation.phase == phase::DONE {
        rotation.due_at = None;
        tx.audit(entry(&Actor::system(), "vault.rotation_finished", rotation));
    }
    // Lost lease: another process goes on from where the row says, and what this one sealed is sealed.
    rotations::save(&*tx, rotation).await?;
    tx.commit().await
}

fn finish(rotation: &mut Model, now: Timestamp) {
    phase::DONE.clone_into(&mut rotation.phase);
    rotation.finished_at = Some(now.as_micros());
}

/// Step 2 of the master key's rotation.
async fn wait(store: &Store, vault: &Vault, rotation: &mut Model) -> Result<u64, VaultError> {
    let target = rotation.master_key_id.clone().unwrap_or_default();
    let tx = store.begin().await?;
    store.database().lock_for_start(&tx).await.map_err(StoreError::from)?;
    let now = database_time(store, &tx).await?;
    let lacking = processes_without(store, &tx, &target).await?;
    if lacking.is_empty() && vault.masters().get(&target).is_some() {
        store::set_current_master(&*tx, &target).await?;
        phase::REWRAPPING.clone_into(&mut rotation.phase);
        rotation.settles_at = now.plus(SETTLE).as_micros();
        rotation.due_at = AT_ONCE;
        tracing::info!(master_key = target, "a new master key seals from now on; data keys follow");
    } else {
        tracing::info!(master_key = target, processes = ?lacking, "the new master key waits for processes that lack it");
        rotation.due_at = Some(now.plus(LOOK_AGAIN).as_micros());
    }
    save(tx, rotation).await?;
    Ok(0)
}

/// The time all processes agree on.
async fn database_time(store: &Store, tx: &Tx) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_micros(store.database().lease_now(&**tx).await?))
}

/// Names of the processes that live and lack a master key.
async fn processes_without(store: &Store, tx: &Tx, master: &str) -> Result<Vec<String>, StoreError> {
    let since = database_time(store, tx).await?.minus(GONE_AFTER).as_micros();
    let alive = store::processes_since(&**tx, since).await?;
    let lacks = |process: &store::processes::Model| !process.master_key_ids.split(' ').any(|id| id == master);
    Ok(alive.into_iter().filter(lacks).map(|process| process.name).collect())
}

/// Steps 3 and 4 of the master key's rotation.
async fn rewrap(store: &Store, vault: &Vault, rotation: &mut Model) -> Result<u64, VaultError> {
    let target = rotation.master_key_id.clone().unwrap_or_default();
    let keys = store::under_other_masters(store.reader(), &target, KEYS).await?;
    let kept = store::kept_keys(store.reader()).await?;
    let kept: Vec<&kept::Model> = kept.iter().filter(|key| key.master_key_id != target).collect();
    let tx = store.begin().await?;
    let now = database_time(store, &tx).await?;
    let mut done = 0;
    for key in &keys {
        let place = data_key_place(key.id, key.addon_id.map(Into::into));
        let sealed = vault.rewrapped(&key.master_key_id, &key.sealed, &place, &target)?;
        let sealed = sealed.ok_or(VaultError::DamagedDataKey(key.id))?;
        done += u64::from(store::rewrap(&*tx, key, &target, sealed).await?);
    }
    for key in &kept {
        let place = kept_place(&key.id);
        let sealed = vault.rewrapped(&key.master_key_id, &key.sealed, &place, &target)?;
        let sealed = sealed.ok_or_else(|| VaultError::DamagedKeptKey(key.id.clone()))?;
        done += u64::from(store::rewrap_kept(&*tx, key, &target, sealed).await?);
    }
    rotation.done += i64::try_from(done).unwrap_or(0);
    let settles_at = Timestamp::from_micros(rotation.settles_at);
    let nothing_left = keys.is_empty() && kept.is_empty();
    rotation.due_at = if nothing_left { Some(now.max(settles_at).as_micros()) } else { AT_ONCE };
    if nothing_left && now >= settles_at {
        finish(rotation, now);
        vault.forget_wrapped_masters(&tx, &target).await?;
    }
    save(tx, rotation).await?;
    Ok(done)
}

/// Step 1 of the data keys' rotation.
async fn replace(store: &Store, vault: &Vault, rotation: &mut Model) -> Result<u64, VaultError> {
    let tx = store.begin().await?;
    let now = database_time(store, &tx).await?;
    let keys = store::marked_for(&*tx, rotation.id, KEYS).await?;
    for key in &keys {
        if store::deactivate(&*tx, key.id).await? {
            vault.insert_data_key(&tx, key.addon_id.map(Into::into)).await?;
        }
    }
    if keys.is_empty() {
        phase::RESEALING.clone_into(&mut rotation.phase);
        rotation.settles_at = now.plus(SETTLE).as_micros();
        rotation.pass_started_at = now.as_micros();
    }
    rotation.due_at = AT_ONCE;
    save(tx, rotation).await?;
    Ok(keys.len() as u64)
}

/// Steps 2 and 3 of the data keys' rotation.
async fn reseal(store: &Store, vault: &Vault, rotation: &mut Model) -> Result<u64, VaultError> {
    let column = usize::try_from(rotation.place).ok().and_then(|place| COLUMNS.get(place));
    let Some(column) = column else {
        end_of_walk(store, vault, rotation).await?;
        return Ok(0);
    };
    let rows = column.rows_after(store.reader(), &rotation.after_row, ROWS).await?;
    let tx = store.begin().await?;
    let mut active = HashMap::new();
    let mut done = 0;
    for row in &rows {
        match reseal_row(&tx, vault, column, row, &mut active).await? {
            Outcome::Fresh => {}
            Outcome::Resealed => (done, rotation.stale) = (done + 1, rotation.stale + 1),
            Outcome::Changed => rotation.stale += 1,
            Outcome::Damaged => rotation.damaged += 1,
        }
    }
    match rows.last() {
        Some(last) => rotation.after_row = last.id.to_string(),
        None => (rotation.place, rotation.after_row) = (rotation.place + 1, String::new()),
    }
    rotation.done += i64::try_from(done).unwrap_or(0);
    rotation.due_at = AT_ONCE;
    save(tx, rotation).await?;
    Ok(done)
}

enum Outcome {
    /// Sealed with a key in use.
    Fresh,
    Resealed,
    /// Somebody else wrote it meanwhile.
    Changed,
    /// It can't be opened; it stays as it is.
    Damaged,
}

async fn reseal_row(
    tx: &Tx,
    vault: &Vault,
    column: &SealedColumn,
    row: &SealedRow,
    active: &mut HashMap<Uuid, bool>,
) -> Result<Outcome, VaultError> {
    let (Some(place), Some(key)) = (column.place(row), key_of(row)) else { return Ok(Outcome::Damaged) };
    let in_use = match active.get(&key.0) {
        Some(known) => *known,
        None => {
            let found = store::find(&**tx, key).await?.is_some_and(|found| found.active);
            active.insert(key.0, found);
            found
        }
    };
    if in_use {
        return Ok(Outcome::Fresh);
    }
    let resealed = match resealed(tx, vault, place, row).await {
        Err(VaultError::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::error!(table = column.table, column = column.column, row = %row.id,
                error = %crate::error::chain(&error), "a sealed value can't be opened, so it can't be sealed anew");
            return Ok(Outcome::Damaged);
        }
        Ok(resealed) => resealed,
    };
    let replaced = column.replace(&**tx, row, resealed).await?;
    Ok(if replaced { Outcome::Resealed } else { Outcome::Changed })
}

fn key_of(row: &SealedRow) -> Option<RowId> {
    let (header, _) = row.value.0.split_at_checked(super::HEADER)?;
    read_header(header).map(|(id, _)| id)
}

async fn resealed(
    tx: &Tx,
    vault: &Vault,
    place: AnyPlace,
    row: &SealedRow,
) -> Result<super::SealedToken, VaultError> {
    match place {
        AnyPlace::Addon(place) => {
            let secret = vault.open_sealed(place, &row.value).await?;
            vault.seal_in(&**tx, place, &secret).await
        }
        AnyPlace::Server(place) => {
            let secret = vault.open_for_server(place, &row.value).await?;
            vault.seal_for_server_in(&**tx, place, &secret).await
        }
    }
}

/// Step 3: again, or done.
async fn end_of_walk(store: &Store, vault: &Vault, rotation: &mut Model) -> Result<(), VaultError> {
    let settles_at = Timestamp::from_micros(rotation.settles_at);
    let settled = rotation.pass_started_at >= rotation.settles_at;
    let tx = store.begin().await?;
    let now = database_time(store, &tx).await?;
    if rotation.stale == 0 && settled {
        finish(rotation, now);
        if rotation.damaged == 0 {
            store::erase_inactive(&*tx).await?;
            vault.forget_keys();
        }
    } else {
        let nothing_new = rotation.stale == 0;
        let next = if nothing_new { now.max(settles_at) } else { now };
        (rotation.place, rotation.after_row) = (0, String::new());
        (rotation.stale, rotation.damaged) = (0, 0);
        rotation.pass_started_at = next.as_micros();
        rotation.due_at = if next > now { Some(next.as_micros()) } else { AT_ONCE };
    }
    Ok(save(tx, rotation).await?)
}
