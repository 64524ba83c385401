//! The table `vault_rotations`.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use crate::db::claim::Due;
use crate::db::{RowId, StoreError};

/// A rotation with work to do.
pub const DUE: Due = Due {
    table: "vault_rotations",
    condition: "due_at IS NOT NULL AND due_at <= {now}",
    order_by: "requested_at",
};

/// A rotation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "vault_rotations")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// See [`crate::db::claim`].
    pub lease_owner: Option<String>,
    /// See [`crate::db::claim`].
    pub lease_until: Option<i64>,
    /// See [`crate::db::claim`].
    pub fence: i64,
    /// `master` or `data`.
    pub kind: String,
    /// See [`super::rotation`].
    pub phase: String,
    /// The master key it leads to.
    pub master_key_id: Option<String>,
    /// None once it is over.
    pub due_at: Option<i64>,
    /// Until then another process may still commit something sealed the old way.
    pub settles_at: i64,
    /// When the walk over all rows that is under way began.
    pub pass_started_at: i64,
    /// Where the walk is: which of [`super::sealed::COLUMNS`].
    pub place: i64,
    /// And after which row there.
    pub after_row: String,
    /// Rows this walk found sealed the old way.
    pub stale: i64,
    /// Rows sealed anew so far.
    pub done: i64,
    /// Rows that can't be opened.
    pub damaged: i64,
    /// Who asked for it.
    pub requested_by: String,
    /// Microseconds UTC.
    pub requested_at: i64,
    /// Microseconds UTC.
    pub finished_at: Option<i64>,
}

/// None.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds a rotation.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The rotation that is under way.
pub async fn under_way(connection: &impl ConnectionTrait) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::FinishedAt.is_null()).one(connection).await?)
}

/// The last rotations, newest first.
pub async fn latest(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find().order_by_desc(Column::RequestedAt).order_by_desc(Column::Id).limit(limit);
    Ok(query.all(connection).await?)
}

/// Writes a step, when the lease is still ours. `false` when it is not.
pub async fn save(connection: &impl ConnectionTrait, row: &Model) -> Result<bool, StoreError> {
    let mut columns = row.clone().into_active_model().reset_all();
    columns.id = sea_orm::NotSet;
    columns.fence = sea_orm::NotSet;
    let update =
        Entity::update_many().set(columns).filter(Column::Id.eq(row.id)).filter(Column::Fence.eq(row.fence));
    Ok(update.exec(connection).await?.rows_affected == 1)
}
