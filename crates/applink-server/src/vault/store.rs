//! The tables of the vault.

use applink_api::ids::AddonId;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _, Set};

use crate::db::{RowId, StoreError};

/// A sealed data key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_keys")]
pub struct Model {
    /// Its id, part of every ciphertext it made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant; none for the server's own.
    pub addon_id: Option<RowId>,
    /// The master key it is sealed under.
    pub master_key_id: String,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
    /// Whether new secrets are sealed with it.
    pub active: bool,
    /// Microseconds UTC.
    pub created_at: i64,
    /// The rotation that is to replace it.
    pub replaced_by: Option<RowId>,
}

/// None: a data key belongs to an add-on by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// `vault_state`: one row.
pub mod state {
    use sea_orm::entity::prelude::*;

    /// Which master key seals.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "vault_state")]
    pub struct Model {
        /// Always `one`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// The master key data keys are sealed under from now on.
        pub master_key_id: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `vault_processes`
pub mod processes {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A process and the master keys it has.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "vault_processes")]
    pub struct Model {
        /// New at every start.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// For people.
        pub name: String,
        /// Separated by spaces.
        pub master_key_ids: String,
        /// When it last said so, by the database's clock.
        pub seen_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `vault_kept_keys`
pub mod kept {
    use sea_orm::entity::prelude::*;

    /// A key that was derived from a master key and outlives it: what it signed or sealed stays readable when the
    /// master key is gone.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "vault_kept_keys")]
    pub struct Model {
        /// Purpose and origin.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// What it is for.
        pub purpose: String,
        /// The master key it was derived from.
        pub origin: String,
        /// The master key it is sealed under.
        pub master_key_id: String,
        /// Nonce, ciphertext and tag.
        pub sealed: Vec<u8>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `vault_wrapped_masters`
pub mod wrapped {
    use sea_orm::entity::prelude::*;

    /// A master key that a key service wrapped.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "vault_wrapped_masters")]
    pub struct Model {
        /// The master key's id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// As the service gave it (`vault:v1:…`).
        pub wrapped: String,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const ONE: &str = "one";

/// Ids of every master key without which something can't be opened, and of the one in use.
pub async fn master_key_ids(connection: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    let data_keys = Entity::find().select_only().column(Column::MasterKeyId).distinct();
    let mut ids: Vec<String> = data_keys.into_tuple().all(connection).await?;
    let kept = kept::Entity::find().select_only().column(kept::Column::MasterKeyId).distinct();
    ids.extend(kept.into_tuple::<String>().all(connection).await?);
    ids.extend(current_master(connection).await?);
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// How many data keys and kept keys each master key seals.
pub async fn sealed_under(connection: &impl ConnectionTrait, master: &str) -> Result<u64, StoreError> {
    let data_keys = Entity::find().filter(Column::MasterKeyId.eq(master)).count(connection).await?;
    let kept = kept::Entity::find().filter(kept::Column::MasterKeyId.eq(master)).count(connection).await?;
    Ok(data_keys + kept)
}

/// The master key that seals.
pub async fn current_master(connection: &impl ConnectionTrait) -> Result<Option<String>, StoreError> {
    let found = state::Entity::find_by_id(ONE).one(connection).await?;
    Ok(found.map(|found| found.master_key_id))
}

/// From now on this master key seals.
pub async fn set_current_master(connection: &impl ConnectionTrait, id: &str) -> Result<(), StoreError> {
    let row = state::ActiveModel { id: Set(ONE.to_owned()), master_key_id: Set(id.to_owned()) };
    let again = OnConflict::column(state::Column::Id).update_column(state::Column::MasterKeyId).to_owned();
    state::Entity::insert(row).on_conflict(again).exec_without_returning(connection).await?;
    Ok(())
}

/// The key without an add-on.
pub async fn server_key(connection: &impl ConnectionTrait) -> Result<Option<Model>, StoreError> {
    let query = Entity::find().filter(Column::AddonId.is_null()).filter(Column::Active.eq(true));
    Ok(query.one(connection).await?)
}

/// The key an add-on's new secrets are sealed with.
pub async fn active_key(
    connection: &impl ConnectionTrait,
    addon: AddonId,
) -> Result<Option<Model>, StoreError> {
    let query = Entity::find().filter(Column::AddonId.eq(RowId::from(addon))).filter(Column::Active.eq(true));
    Ok(query.one(connection).await?)
}

/// Any key by id.
pub async fn find(connection: &impl ConnectionTrait, id: RowId) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(id).one(connection).await?)
}

/// Adds a key.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Some data keys that are not sealed under this master key.
pub async fn under_other_masters(
    connection: &impl ConnectionTrait,
    master: &str,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find().filter(Column::MasterKeyId.ne(master)).order_by_asc(Column::Id).limit(limit);
    Ok(query.all(connection).await?)
}

/// Writes a data key sealed anew, when it is still as it was.
pub async fn rewrap(
    connection: &impl ConnectionTrait,
    before: &Model,
    master: &str,
    sealed: Vec<u8>,
) -> Result<bool, StoreError> {
    let columns =
        ActiveModel { master_key_id: Set(master.to_owned()), sealed: Set(sealed), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(before.id))
        .filter(Column::MasterKeyId.eq(&before.master_key_id));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Marks every data key in use as to be replaced. How many there are.
pub async fn mark_for(connection: &impl ConnectionTrait, rotation: RowId) -> Result<u64, StoreError> {
    let columns = ActiveModel { replaced_by: Set(Some(rotation)), ..Default::default() };
    let update = Entity::update_many().set(columns).filter(Column::Active.eq(true));
    Ok(update.exec(connection).await?.rows_affected)
}

/// Some data keys in use that a rotation is to replace.
pub async fn marked_for(
    connection: &impl ConnectionTrait,
    rotation: RowId,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find()
        .filter(Column::ReplacedBy.eq(rotation))
        .filter(Column::Active.eq(true))
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(query.all(connection).await?)
}

/// Takes a key out of use. `false` when somebody else did.
pub async fn deactivate(connection: &impl ConnectionTrait, id: RowId) -> Result<bool, StoreError> {
    let columns = ActiveModel { active: Set(false), ..Default::default() };
    let update = Entity::update_many().set(columns).filter(Column::Id.eq(id)).filter(Column::Active.eq(true));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Erases the keys that are out of use.
pub async fn erase_inactive(connection: &impl ConnectionTrait) -> Result<u64, StoreError> {
    Ok(Entity::delete_many().filter(Column::Active.eq(false)).exec(connection).await?.rows_affected)
}

/// Keys in use, and keys that are not.
pub async fn count(connection: &impl ConnectionTrait) -> Result<(u64, u64), StoreError> {
    let active = Entity::find().filter(Column::Active.eq(true)).count(connection).await?;
    let inactive = Entity::find().filter(Column::Active.eq(false)).count(connection).await?;
    Ok((active, inactive))
}

/// A process says which master keys it has.
pub async fn beat(connection: &impl ConnectionTrait, process: processes::Model) -> Result<(), StoreError> {
    let again = OnConflict::column(processes::Column::Id)
        .update_columns([processes::Column::MasterKeyIds, processes::Column::SeenAt])
        .to_owned();
    let insert = processes::Entity::insert(process.into_active_model()).on_conflict(again);
    insert.exec_without_returning(connection).await?;
    Ok(())
}

/// Processes that were seen since; the others are forgotten.
pub async fn processes_since(
    connection: &impl ConnectionTrait,
    since: i64,
) -> Result<Vec<processes::Model>, StoreError> {
    let query = processes::Entity::find().filter(processes::Column::SeenAt.gte(since));
    Ok(query.order_by_asc(processes::Column::Name).all(connection).await?)
}

/// Forgets a process that ends, or those that were not seen since.
pub async fn forget_processes(
    connection: &impl ConnectionTrait,
    id: Option<RowId>,
    before: i64,
) -> Result<(), StoreError> {
    let mut gone = sea_orm::Condition::any().add(processes::Column::SeenAt.lt(before));
    if let Some(id) = id {
        gone = gone.add(processes::Column::Id.eq(id));
    }
    processes::Entity::delete_many().filter(gone).exec(connection).await?;
    Ok(())
}

/// Every kept key.
pub async fn kept_keys(connection: &impl ConnectionTrait) -> Result<Vec<kept::Model>, StoreError> {
    Ok(kept::Entity::find().order_by_asc(kept::Column::Id).all(connection).await?)
}

/// Adds a kept key unless it is there.
pub async fn keep_key(connection: &impl ConnectionTrait, row: kept::Model) -> Result<(), StoreError> {
    let unless_there = OnConflict::column(kept::Column::Id).do_nothing().to_owned();
    let insert = kept::Entity::insert(row.into_active_model()).on_conflict(unless_there);
    insert.try_insert().exec_without_returning(connection).await?;
    Ok(())
}

/// Writes a kept key sealed anew, when it is still as it was.
pub async fn rewrap_kept(
    connection: &impl ConnectionTrait,
    before: &kept::Model,
    master: &str,
    sealed: Vec<u8>,
) -> Result<bool, StoreError> {
    let columns = kept::ActiveModel {
        master_key_id: Set(master.to_owned()),
        sealed: Set(sealed),
        ..Default::default()
    };
    let update = kept::Entity::update_many()
        .set(columns)
        .filter(kept::Column::Id.eq(&before.id))
        .filter(kept::Column::MasterKeyId.eq(&before.master_key_id));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Master keys a key service wrapped, newest first.
pub async fn wrapped_masters(connection: &impl ConnectionTrait) -> Result<Vec<wrapped::Model>, StoreError> {
    let query = wrapped::Entity::find();
    Ok(query
        .order_by_desc(wrapped::Column::CreatedAt)
        .order_by_asc(wrapped::Column::Id)
        .all(connection)
        .await?)
}

/// Adds a wrapped master key.
pub async fn insert_wrapped(
    connection: &impl ConnectionTrait,
    row: wrapped::Model,
) -> Result<(), StoreError> {
    wrapped::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Erases a wrapped master key that nothing needs any more.
pub async fn erase_wrapped(connection: &impl ConnectionTrait, id: &str) -> Result<(), StoreError> {
    wrapped::Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}
