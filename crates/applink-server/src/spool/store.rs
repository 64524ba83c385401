//! The table `spool_progress`: how many records of a file are in the database already.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{IntoActiveModel as _, Set};

use crate::db::{RowId, StoreError};

/// A file that is being replayed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "spool_progress")]
pub struct Model {
    /// The file's id, which changes whenever the file is begun anew.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// Records that were replayed.
    pub records: i64,
}

/// None.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Records of a file that are in the database already.
pub async fn replayed(connection: &impl ConnectionTrait, file: Uuid) -> Result<u64, StoreError> {
    let found = Entity::find_by_id(RowId(file)).one(connection).await?;
    Ok(found.and_then(|found| u64::try_from(found.records).ok()).unwrap_or(0))
}

/// Remembers how far a file is replayed, with what was replayed. `false` when it was replayed beyond `from` already: by a
/// commit whose outcome was unknown.
pub async fn remember(
    connection: &impl ConnectionTrait,
    file: Uuid,
    from: u64,
    to: u64,
) -> Result<bool, StoreError> {
    let count = |records| i64::try_from(records).unwrap_or(i64::MAX);
    let row = Model { id: RowId(file), records: count(to) };
    let again = OnConflict::column(Column::Id)
        .update_column(Column::Records)
        .action_and_where(Expr::col((Entity, Column::Records)).eq(count(from)))
        .to_owned();
    let insert = Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(insert.exec_without_returning(connection).await? == 1)
}

/// Forgets a file that is empty again.
pub async fn forget(connection: &impl ConnectionTrait, file: Uuid) -> Result<(), StoreError> {
    Entity::delete_by_id(RowId(file)).exec(connection).await?;
    Ok(())
}

/// Proves that the database takes writes.
pub async fn probe(connection: &impl ConnectionTrait) -> Result<(), StoreError> {
    let row = ActiveModel { id: Set(RowId(Uuid::nil())), records: Set(0) };
    let again = OnConflict::column(Column::Id).update_column(Column::Records).to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(connection).await?;
    Ok(())
}
