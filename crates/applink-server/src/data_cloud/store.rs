//! The table `data_cloud_tokens`: one row per grant, under the grant's id; it goes with the grant.

use applink_api::ids::AddonId;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{IntoActiveModel as _, Iterable as _};

use crate::db::{RowId, StoreError};
use crate::vault::{Place, SealedToken};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "data_cloud_tokens";

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_cloud_tokens")]
pub struct Model {
    /// The grant it was traded for.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant of ours.
    pub addon_id: RowId,
    /// The Data Cloud tenant, with its scheme.
    pub tenant_url: String,
    /// Sealed.
    pub access_token: SealedToken,
    /// Microseconds UTC.
    pub issued_at: i64,
    /// Microseconds UTC.
    pub expires_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Where the sealed token lives.
    pub fn place(&self) -> Place {
        Place { addon: self.addon_id.into(), table: TABLE, row: self.id.0, column: "access_token" }
    }
}

/// The token of a grant.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    grant: RowId,
) -> Result<Option<Model>, StoreError> {
    let query = Entity::find_by_id(grant).filter(Column::AddonId.eq(RowId::from(addon)));
    Ok(query.one(connection).await?)
}

/// Writes the token of a grant, in the place of the one there was.
pub async fn put(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    let replaced = Column::iter().filter(|column| !matches!(column, Column::Id));
    let conflict = OnConflict::column(Column::Id).update_columns(replaced).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(conflict).exec_without_returning(connection).await?;
    Ok(())
}
