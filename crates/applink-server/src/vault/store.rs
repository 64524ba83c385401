//! The table `data_keys`.

use applink_api::ids::AddonId;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, QuerySelect as _};

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
}

/// None: a data key belongs to an add-on by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Ids of every master key that some data key needs.
pub async fn master_key_ids(connection: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    let query = Entity::find().select_only().column(Column::MasterKeyId).distinct();
    Ok(query.into_tuple().all(connection).await?)
}

/// The key without an add-on.
pub async fn server_key(connection: &impl ConnectionTrait) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::AddonId.is_null()).one(connection).await?)
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
    row.into_active_model().insert(connection).await?;
    Ok(())
}
