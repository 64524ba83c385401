//! Rows of `webhook_subjects`: the version of each thing that something happened to.

use sea_orm::entity::prelude::*;

use crate::db::RowId;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_subjects")]
pub struct Model {
    /// The thing's own id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant.
    pub addon_id: RowId,
    /// Grows with everything that is told of it.
    pub version: i64,
    /// The last thing told was that it fails though it is there.
    pub failing: bool,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
