//! The table `platform_releases`.

use applink_api::ids::AppUuid;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use crate::db::{RowId, StoreError};

/// A release: something about an app changed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform_releases")]
pub struct Model {
    /// Its uuid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The app.
    pub app_id: RowId,
    /// From 1, without gaps.
    pub version: i64,
    /// What changed; names, never values.
    pub description: String,
    /// Who did it.
    pub by_email: String,
    /// Microseconds UTC.
    pub created_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds a release.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The newest version of an app, 0 when it has none.
pub async fn newest_version(connection: &impl ConnectionTrait, app: AppUuid) -> Result<i64, StoreError> {
    let query = Entity::find()
        .select_only()
        .column(Column::Version)
        .filter(Column::AppId.eq(RowId::from(app)))
        .order_by_desc(Column::Version);
    Ok(query.into_tuple::<i64>().one(connection).await?.unwrap_or(0))
}

/// An app's releases by version.
pub async fn list(
    connection: &impl ConnectionTrait,
    app: AppUuid,
    newest_first: bool,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let order = if newest_first { sea_orm::Order::Desc } else { sea_orm::Order::Asc };
    let query = Entity::find()
        .filter(Column::AppId.eq(RowId::from(app)))
        .order_by(Column::Version, order)
        .limit(limit);
    Ok(query.all(connection).await?)
}
