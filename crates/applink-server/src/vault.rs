//! Secrets at rest.
//!
//! 1. The *master key* comes from outside (environment, file, or wrapped by a key service) and is never stored in the
//!    clear. Without one nothing starts. Which of several seals is written in `vault_state`.
//! 2. Each add-on has a *data key*, random, sealed under the master key in the table `data_keys`. One more, without
//!    an add-on, is made at the first start, so that a wrong master key is noticed at every later one.
//! 3. A secret is sealed with AES-256-GCM under its add-on's data key, with a random 96-bit nonce.
//! 4. The associated data names add-on, table, row, column and data key: a ciphertext that is copied to another row
//!    does not open there.
//!
//! Both kinds of keys are rotated while everything is served: [`rotation`]. Keys derived from a master key for other
//! purposes (the audit chain, the spool) are kept, sealed, so that they outlive it.
//!
//! A row can only hold a [`SealedToken`]; plaintext is a `SecretString` and lives as short as it can.

pub mod api;
mod keys;
pub mod reconcile;
pub mod rotation;
pub mod rotations;
mod sealed;
mod source;
pub mod status;
pub mod store;
mod transit;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DeriveValueType};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::audit::ChainKeys;
use crate::config::Config;
use crate::db::{Database, RowId, StoreError};
pub use keys::{DerivedKeys, MasterKey, MasterKeyError, MasterKeys};
pub(crate) use keys::{cipher, hex};
pub use sealed::sealed_columns;
pub use source::{KeySource, KeySourceError};
pub use transit::Transit;

/// First byte of every ciphertext: the layout `version, data key id (16), nonce (12), ciphertext and tag`.
const LAYOUT: u8 = 1;
/// Layout, data key id and nonce.
const HEADER: usize = 1 + 16 + NONCE_LEN;

/// A sealed secret: the only form in which a row holds one.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct SealedToken(Vec<u8>);

impl fmt::Debug for SealedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedToken({} bytes)", self.0.len())
    }
}

/// Where a secret lives; part of its associated data.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The tenant.
    pub addon: AddonId,
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
}

impl Place {
    fn associated_data(&self, key: RowId) -> String {
        let Self { addon, table, row, column } = self;
        format!("{addon}|{table}|{row}|{column}|{key}")
    }
}

/// Where a secret lives that belongs to no add-on; part of its associated data.
#[derive(Clone, Copy, Debug)]
pub struct ServerPlace {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
}

impl ServerPlace {
    fn associated_data(&self, key: RowId) -> String {
        let Self { table, row, column } = self;
        format!("server|{table}|{row}|{column}|{key}")
    }
}

/// A secret can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no master key.
    #[error("there is no master key: {}", crate::config::MASTER_KEY_ADVICE)]
    NoMasterKey,
    /// The key service or the key file can't be used.
    #[error("the master keys can't be had")]
    Source(#[source] KeySourceError),
    /// A key that a former master key left behind does not open.
    #[error("the kept key {0} does not open: the row was altered")]
    DamagedKeptKey(String),
    /// Data keys are sealed under master keys that were not given.
    #[error(
        "the master key is not the one this database was sealed with: it needs {needed}, and {given} was given"
    )]
    WrongMasterKey {
        /// Ids of the keys that are needed.
        needed: String,
        /// Ids of the keys that were given.
        given: String,
    },
    /// A sealed data key does not open, though its master key's id fits.
    #[error("data key {0} does not open: the row was altered")]
    DamagedDataKey(RowId),
    /// No data key.
    #[error("there is no data key for {0}")]
    NoDataKey(String),
    /// Cut short, or of another layout.
    #[error("a sealed value in {table}.{column} has an unknown layout")]
    Layout {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Altered, or copied from another place.
    #[error("a sealed value in {table}.{column} does not open: it was altered or belongs to another row")]
    Altered {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The cipher refused; it never does for values of our sizes.
    #[error("a secret could not be sealed")]
    Seal,
    /// The database failed.
    #[error("the data keys can't be read")]
    Store(#[source] StoreError),
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    database: Database,
    masters: RwLock<MasterKeys>,
    source: KeySource,
    /// New at every start, and its name for people.
    process: (RowId, String),
    clock: Clock,
    entropy: Entropy,
    /// Data keys that were opened. Which of them is in use is always asked for, so that processes agree.
    known: RwLock<HashMap<RowId, Arc<LessSafeKey>>>,
}

/// What is derived from master keys and must outlive them.
const KEPT: [&str; 2] = [crate::audit::CHAIN_PURPOSE, crate::spool::FILE_PURPOSE];

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the vault of a database; refuses master keys that don't open it.
    ///
    /// # Errors
    /// [`VaultError::WrongMasterKey`] naming the key ids; nothing is written then.
    pub async fn open(
        database: Database,
        masters: MasterKeys,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, VaultError> {
        Self::open_from(database, masters, KeySource::Fixed, "a process", clock, entropy).await
    }

    /// The same with a source from which further master keys come while it runs, and the process's name.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_from(
        database: Database,
        masters: MasterKeys,
        source: KeySource,
        process: &str,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, VaultError> {
        if masters.preferred().is_none() {
            return Err(VaultError::NoMasterKey);
        }
        let process = (RowId(entropy.uuid()), process.to_owned());
        let (masters, known) = (RwLock::new(masters), RwLock::default());
        let vault = Self(Arc::new(Inner { database, masters, source, process, clock, entropy, known }));
        vault.check_masters().await?;
        // First said, then looked once more: a rotation that does not wait for this process shows in the second look.
        vault.beat().await?;
        vault.check_masters().await?;
        vault.ensure_server_key().await?;
        vault.keep_derived().await?;
        Ok(vault)
    }

    /// The master keys this process has.
    pub fn masters(&self) -> MasterKeys {
        self.0.masters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that this process lives, and which master keys it has.
    pub(crate) async fn beat(&self) -> Result<(), VaultError> {
        let (id, name) = self.0.process.clone();
        let master_key_ids = self.masters().ids().join(" ");
        let tx = self.0.database.begin().await.map_err(StoreError::from)?;
        // Whoever changes over to another master key sees this, or this process sees the change.
        self.0.database.lock_for_start(&tx).await.map_err(StoreError::from)?;
        let seen_at = self.0.database.lease_now(&tx).await?;
        store::beat(&tx, store::processes::Model { id, name, master_key_ids, seen_at }).await?;
        let gone = Timestamp::from_micros(seen_at).minus(rotation::GONE_AFTER * 10).as_micros();
        store::forget_processes(&tx, None, gone).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// This process ends: no rotation waits for it.
    pub(crate) async fn say_goodbye(&self) -> Result<(), StoreError> {
        let tx = self.0.database.begin().await?;
        store::forget_processes(&tx, Some(self.0.process.0), 0).await?;
        Ok(tx.commit().await?)
    }

    /// Reads the source of master keys again. What it holds is preferred; what is known stays known. Whether anything
    /// is new.
    pub(crate) async fn reload_masters(&self) -> Result<bool, VaultError> {
        let known = self.masters();
        let read = self.0.source.read(&self.0.database, &known).await;
        let Some(mut read) = read.map_err(VaultError::Source)? else { return Ok(false) };
        let changed = read.ids().iter().any(|id| known.get(id).is_none())
            || read.preferred().map(MasterKey::id) != known.preferred().map(MasterKey::id);
        if !changed {
            return Ok(false);
        }
        read.add(known.all().to_vec());
        tracing::info!(master_keys = ?read.ids(), "the master keys were read again");
        *self.0.masters.write().unwrap_or_else(PoisonError::into_inner) = read;
        self.keep_derived().await?;
        Ok(true)
    }

    /// Where a key service makes the master keys: makes the next one, unless it is there already.
    pub(crate) async fn make_next_master(&self) -> Result<(), VaultError> {
        let in_use = store::current_master(self.0.database.reader()).await?;
        let preferred = self.masters().preferred().map(|key| key.id().to_owned());
        if in_use != preferred {
            return Ok(());
        }
        let Inner { source, database, clock, entropy, .. } = &*self.0;
        source.make(database, clock, entropy).await.map_err(VaultError::Source)?;
        self.reload_masters().await.map(drop)
    }

    /// A key service's former master keys go.
    pub(crate) async fn forget_wrapped_masters(
        &self,
        tx: &DatabaseTransaction,
        except: &str,
    ) -> Result<(), StoreError> {
        for wrapped in store::wrapped_masters(tx).await? {
            if wrapped.id != except {
                store::erase_wrapped(tx, &wrapped.id).await?;
            }
        }
        Ok(())
    }

    /// Keys for one purpose, from every master key there is or was.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn derived(&self, purpose: &str) -> Result<DerivedKeys, VaultError> {
        read_derived(self.0.database.reader(), &self.masters(), purpose).await
    }

    /// Keeps what is derived from the master keys of this process, so that it outlives them.
    async fn keep_derived(&self) -> Result<(), VaultError> {
        let kept = store::kept_keys(self.0.database.reader()).await?;
        let masters = self.masters();
        for master in masters.all() {
            for purpose in KEPT {
                let id = format!("{purpose}|{}", master.id());
                if !kept.iter().any(|kept| kept.id == id) {
                    self.keep_key(id, purpose, master).await?;
                }
            }
        }
        Ok(())
    }

    async fn keep_key(&self, id: String, purpose: &str, origin: &MasterKey) -> Result<(), VaultError> {
        let tx = self.0.database.begin().await.map_err(StoreError::from)?;
        let master = self.sealing_master(&tx).await?;
        let derived = origin.derive(purpose.as_bytes());
        let sealed =
            master.seal(&derived, self.0.entropy.bytes(), &kept_place(&id)).ok_or(VaultError::Seal)?;
        let (purpose, origin) = (purpose.to_owned(), origin.id().to_owned());
        let row = store::kept::Model { id, purpose, origin, master_key_id: master.id().to_owned(), sealed };
        store::keep_key(&tx, row).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// The master key that seals, by what the database says.
    async fn sealing_master(&self, connection: &impl ConnectionTrait) -> Result<MasterKey, VaultError> {
        let masters = self.masters();
        match store::current_master(connection).await? {
            Some(id) => masters.get(&id).cloned().ok_or_else(|| wrong_master(id, &masters)),
            None => masters.preferred().cloned().ok_or(VaultError::NoMasterKey),
        }
    }

    /// What was sealed under one master key, sealed under another; none when it does not open.
    fn rewrapped(
        &self,
        from: &str,
        sealed: &[u8],
        place: &str,
        to: &str,
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let masters = self.masters();
        let from = masters.get(from).ok_or_else(|| wrong_master(from.to_owned(), &masters))?;
        let to = masters.get(to).ok_or_else(|| wrong_master(to.to_owned(), &masters))?;
        let Some(bytes) = from.open(sealed, place) else { return Ok(None) };
        Ok(Some(to.seal(&bytes, self.0.entropy.bytes(), place).ok_or(VaultError::Seal)?))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn new_id(&self) -> Uuid {
        self.0.entropy.uuid()
    }

    fn forget_keys(&self) {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Makes the data key of a new add-on, in the transaction that makes the add-on.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn create_data_key(&self, tx: &DatabaseTransaction, addon: AddonId) -> Result<(), VaultError> {
        self.insert_data_key(tx, Some(addon)).await
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal(&self, place: Place, secret: &SecretString) -> Result<SealedToken, VaultError> {
        self.seal_in(self.0.database.reader(), place, secret).await
    }

    async fn seal_in(
        &self,
        connection: &impl ConnectionTrait,
        place: Place,
        secret: &SecretString,
    ) -> Result<SealedToken, VaultError> {
        let row = store::active_key(connection, place.addon).await?;
        let row = row.ok_or_else(|| VaultError::NoDataKey(format!("add-on {}", place.addon)))?;
        let key = self.opened(&row)?;
        self.seal_with(row.id, &key, place.associated_data(row.id), secret)
    }

    /// Seals a secret that belongs to no add-on, under the server's own data key.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal_for_server(
        &self,
        place: ServerPlace,
        secret: &SecretString,
    ) -> Result<SealedToken, VaultError> {
        self.seal_for_server_in(self.0.database.reader(), place, secret).await
    }

    async fn seal_for_server_in(
        &self,
        connection: &impl ConnectionTrait,
        place: ServerPlace,
        secret: &SecretString,
    ) -> Result<SealedToken, VaultError> {
        let row = store::server_key(connection).await?;
        let row = row.ok_or_else(|| VaultError::NoDataKey("the server".to_owned()))?;
        let key = self.opened(&row)?;
        self.seal_with(row.id, &key, place.associated_data(row.id), secret)
    }

    /// Opens a secret that belongs to no add-on.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open_for_server(
        &self,
        place: ServerPlace,
        sealed: &SealedToken,
    ) -> Result<SecretString, VaultError> {
        let ServerPlace { table, column, .. } = place;
        self.open_at(sealed, table, column, |key| place.associated_data(key)).await
    }

    fn seal_with(
        &self,
        id: RowId,
        key: &LessSafeKey,
        associated_data: String,
        secret: &SecretString,
    ) -> Result<SealedToken, VaultError> {
        let nonce: [u8; NONCE_LEN] = self.0.entropy.bytes();
        let mut ciphertext = secret.expose_secret().as_bytes().to_vec();
        let aad = Aad::from(associated_data);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut ciphertext)
            .map_err(|_| VaultError::Seal)?;
        let mut sealed = Vec::with_capacity(HEADER + ciphertext.len());
        sealed.push(LAYOUT);
        sealed.extend_from_slice(id.0.as_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut ciphertext);
        Ok(SealedToken(sealed))
    }

    /// Opens a secret of its place.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open_sealed(&self, place: Place, sealed: &SealedToken) -> Result<SecretString, VaultError> {
        let Place { table, column, .. } = place;
        self.open_at(sealed, table, column, |key| place.associated_data(key)).await
    }

    async fn open_at(
        &self,
        sealed: &SealedToken,
        table: &'static str,
        column: &'static str,
        associated_data: impl Fn(RowId) -> String,
    ) -> Result<SecretString, VaultError> {
        let layout = VaultError::Layout { table, column };
        let Some((header, ciphertext)) = sealed.0.split_at_checked(HEADER) else { return Err(layout) };
        let Some((id, nonce)) = read_header(header) else { return Err(layout) };
        let key = self.key(self.0.database.reader(), id).await?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let altered = || VaultError::Altered { table, column };
        let aad = Aad::from(associated_data(id));
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut buffer)
            .map_err(|_| altered())?;
        let text = std::str::from_utf8(plain).map_err(|_| altered())?;
        Ok(SecretString::from(text))
    }

    async fn check_masters(&self) -> Result<(), VaultError> {
        let used = store::master_key_ids(self.0.database.reader()).await?;
        let masters = self.masters();
        let missing: Vec<String> = used.into_iter().filter(|id| masters.get(id).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(wrong_master(missing.join(", "), &masters)) }
    }

    /// The key without an add-on proves at every start that the master key is right.
    async fn ensure_server_key(&self) -> Result<(), VaultError> {
        let reader = self.0.database.reader();
        if let Some(row) = store::server_key(reader).await?
            && store::current_master(reader).await?.is_some()
        {
            return self.unseal(&row).map(drop);
        }
        let tx = self.0.database.begin().await.map_err(StoreError::from)?;
        // Processes that start at once make one key.
        self.0.database.lock_for_start(&tx).await.map_err(StoreError::from)?;
        if store::current_master(&tx).await?.is_none() {
            let masters = self.masters();
            let first = masters.preferred().ok_or(VaultError::NoMasterKey)?;
            store::set_current_master(&tx, first.id()).await?;
        }
        if store::server_key(&tx).await?.is_none() {
            self.insert_data_key(&tx, None).await?;
        }
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    pub(crate) async fn insert_data_key(
        &self,
        tx: &DatabaseTransaction,
        addon: Option<AddonId>,
    ) -> Result<(), VaultError> {
        let id = RowId(self.0.entropy.uuid());
        let bytes = Zeroizing::new(self.0.entropy.bytes::<32>());
        let master = self.sealing_master(tx).await?;
        let nonce = self.0.entropy.bytes();
        let sealed = master.seal(&bytes, nonce, &data_key_place(id, addon)).ok_or(VaultError::Seal)?;
        let row = store::Model {
            id,
            addon_id: addon.map(RowId::from),
            master_key_id: master.id().to_owned(),
            sealed,
            active: true,
            created_at: self.0.clock.now().as_micros(),
            replaced_by: None,
        };
        Ok(store::insert(tx, row).await?)
    }

    async fn key(
        &self,
        connection: &impl ConnectionTrait,
        id: RowId,
    ) -> Result<Arc<LessSafeKey>, VaultError> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let row = store::find(connection, id).await?;
        self.opened(&row.ok_or_else(|| VaultError::NoDataKey(format!("key id {id}")))?)
    }

    fn opened(&self, row: &store::Model) -> Result<Arc<LessSafeKey>, VaultError> {
        if let Some(key) = self.known(row.id) {
            return Ok(key);
        }
        let key = Arc::new(self.unseal(row)?);
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).insert(row.id, Arc::clone(&key));
        Ok(key)
    }

    fn unseal(&self, row: &store::Model) -> Result<LessSafeKey, VaultError> {
        let masters = self.masters();
        let master = masters
            .get(&row.master_key_id)
            .ok_or_else(|| wrong_master(row.master_key_id.clone(), &masters))?;
        let place = data_key_place(row.id, row.addon_id.map(AddonId::from));
        let bytes = master.open(&row.sealed, &place).ok_or(VaultError::DamagedDataKey(row.id))?;
        keys::cipher(&bytes).ok_or(VaultError::DamagedDataKey(row.id))
    }

    fn known(&self, id: RowId) -> Option<Arc<LessSafeKey>> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// The keys of the audit chain, for verifying it beside a server; nothing is written.
///
/// # Errors
/// [`VaultError`].
pub async fn chain_keys(config: &Config, database: &Database) -> Result<ChainKeys, VaultError> {
    let Config { key_source, master_keys, clock, entropy, .. } = config;
    let masters =
        key_source.first(database, master_keys, clock, entropy).await.map_err(VaultError::Source)?;
    Ok(ChainKeys::of(&read_derived(database.reader(), &masters, crate::audit::CHAIN_PURPOSE).await?))
}

/// Keys for one purpose, from the given master keys and from those that left one behind.
///
/// # Errors
/// [`VaultError`].
pub async fn read_derived(
    connection: &impl ConnectionTrait,
    masters: &MasterKeys,
    purpose: &str,
) -> Result<DerivedKeys, VaultError> {
    let mut derived = masters.derive_all(purpose);
    for kept in store::kept_keys(connection).await? {
        if kept.purpose != purpose || derived.all.contains_key(&kept.origin) {
            continue;
        }
        let master = masters.get(&kept.master_key_id);
        let master = master.ok_or_else(|| wrong_master(kept.master_key_id.clone(), masters))?;
        let key = master
            .open(&kept.sealed, &kept_place(&kept.id))
            .ok_or_else(|| VaultError::DamagedKeptKey(kept.id.clone()))?;
        derived.all.insert(kept.origin, key);
    }
    Ok(derived)
}

fn wrong_master(needed: String, given: &MasterKeys) -> VaultError {
    VaultError::WrongMasterKey { needed, given: given.ids().join(", ") }
}

fn kept_place(id: &str) -> String {
    format!("server|vault_kept_keys|{id}|sealed")
}

fn data_key_place(id: RowId, addon: Option<AddonId>) -> String {
    let addon = addon.map_or_else(|| "server".to_owned(), |addon| addon.to_string());
    format!("{addon}|data_keys|{id}|sealed")
}

fn read_header(header: &[u8]) -> Option<(RowId, [u8; NONCE_LEN])> {
    let (layout, rest) = header.split_first()?;
    let (id, nonce) = rest.split_at_checked(16)?;
    let id = Uuid::from_slice(id).ok()?;
    (*layout == LAYOUT).then_some((RowId(id), nonce.try_into().ok()?))
}
