//! Secrets at rest.
//!
//! 1. The *master key* comes from outside (environment or file) and is never stored. Without one nothing starts.
//! 2. Each add-on has a *data key*, random, sealed under the master key in the table `data_keys`. One more, without
//!    an add-on, is made at the first start, so that a wrong master key is noticed at every later one.
//! 3. A secret is sealed with AES-256-GCM under its add-on's data key, with a random 96-bit nonce.
//! 4. The associated data names add-on, table, row, column and data key: a ciphertext that is copied to another row
//!    does not open there.
//!
//! A row can only hold a [`SealedToken`]; plaintext is a `SecretString` and lives as short as it can.

mod keys;
pub mod store;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::ids::AddonId;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DeriveValueType};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::db::{Database, RowId, StoreError};
pub(crate) use keys::hex;
pub use keys::{MasterKey, MasterKeyError, MasterKeys};

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
    masters: MasterKeys,
    clock: Clock,
    entropy: Entropy,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<RowId, Arc<LessSafeKey>>,
    active: HashMap<AddonId, RowId>,
}

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
        let vault = Self(Arc::new(Inner { database, masters, clock, entropy, known: RwLock::default() }));
        vault.check_masters().await?;
        vault.ensure_server_key().await?;
        Ok(vault)
    }

    /// The master keys, for what else is derived from them.
    pub fn masters(&self) -> &MasterKeys {
        &self.0.masters
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
        let (id, key) = self.active_key(self.0.database.reader(), place.addon).await?;
        self.seal_with(id, &key, place.associated_data(id), secret)
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
        let row = store::server_key(self.0.database.reader()).await?;
        let row = row.ok_or_else(|| VaultError::NoDataKey("the server".to_owned()))?;
        let key = self.remember(&row)?;
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
        let missing: Vec<String> = used.into_iter().filter(|id| self.0.masters.get(id).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(VaultError::WrongMasterKey { needed: missing.join(", "), given: self.0.masters.ids().join(", ") })
    }

    /// The key without an add-on proves at every start that the master key is right.
    async fn ensure_server_key(&self) -> Result<(), VaultError> {
        if let Some(row) = store::server_key(self.0.database.reader()).await? {
            return self.unseal(&row).map(drop);
        }
        let tx = self.0.database.begin().await.map_err(StoreError::from)?;
        // Processes that start at once make one key.
        self.0.database.lock_for_start(&tx).await.map_err(StoreError::from)?;
        if store::server_key(&tx).await?.is_none() {
            self.insert_data_key(&tx, None).await?;
        }
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    async fn insert_data_key(
        &self,
        tx: &DatabaseTransaction,
        addon: Option<AddonId>,
    ) -> Result<(), VaultError> {
        let id = RowId(self.0.entropy.uuid());
        let bytes = Zeroizing::new(self.0.entropy.bytes::<32>());
        let master = self.0.masters.current();
        let nonce = self.0.entropy.bytes();
        let sealed = master.seal(&bytes, nonce, &data_key_place(id, addon)).ok_or(VaultError::Seal)?;
        let row = store::Model {
            id,
            addon_id: addon.map(RowId::from),
            master_key_id: master.id().to_owned(),
            sealed,
            active: true,
            created_at: self.0.clock.now().as_micros(),
        };
        Ok(store::insert(tx, row).await?)
    }

    async fn active_key(
        &self,
        connection: &impl ConnectionTrait,
        addon: AddonId,
    ) -> Result<(RowId, Arc<LessSafeKey>), VaultError> {
        let known = self.known(|known| {
            let id = known.active.get(&addon)?;
            Some((*id, Arc::clone(known.keys.get(id)?)))
        });
        if let Some(found) = known {
            return Ok(found);
        }
        let row = store::active_key(connection, addon).await?;
        let row = row.ok_or_else(|| VaultError::NoDataKey(format!("add-on {addon}")))?;
        let key = self.remember(&row)?;
        self.change(|known| known.active.insert(addon, row.id));
        Ok((row.id, key))
    }

    async fn key(
        &self,
        connection: &impl ConnectionTrait,
        id: RowId,
    ) -> Result<Arc<LessSafeKey>, VaultError> {
        if let Some(key) = self.known(|known| known.keys.get(&id).cloned()) {
            return Ok(key);
        }
        let row = store::find(connection, id).await?;
        self.remember(&row.ok_or_else(|| VaultError::NoDataKey(format!("key id {id}")))?)
    }

    fn remember(&self, row: &store::Model) -> Result<Arc<LessSafeKey>, VaultError> {
        let key = Arc::new(self.unseal(row)?);
        self.change(|known| known.keys.insert(row.id, Arc::clone(&key)));
        Ok(key)
    }

    fn unseal(&self, row: &store::Model) -> Result<LessSafeKey, VaultError> {
        let masters = &self.0.masters;
        let master = masters.get(&row.master_key_id).ok_or_else(|| VaultError::WrongMasterKey {
            needed: row.master_key_id.clone(),
            given: masters.ids().join(", "),
        })?;
        let place = data_key_place(row.id, row.addon_id.map(AddonId::from));
        let bytes = master.open(&row.sealed, &place).ok_or(VaultError::DamagedDataKey(row.id))?;
        keys::cipher(&bytes).ok_or(VaultError::DamagedDataKey(row.id))
    }

    fn known<R>(&self, read: impl FnOnce(&Known) -> R) -> R {
        read(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<R>(&self, write: impl FnOnce(&mut Known) -> R) -> R {
        write(&mut self.0.known.write().unwrap_or_else(PoisonError::into_inner))
    }
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
