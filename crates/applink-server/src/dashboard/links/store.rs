//! The table `sign_in_links`.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, IntoActiveModel as _};

use super::Visitor;
use crate::dashboard::session::Basis;
use crate::db::{RowId, StoreError};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_links")]
pub struct Model {
    /// SHA-256 of what stands in the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The add-on.
    pub addon_id: RowId,
    /// Who, as shown.
    pub person: String,
    /// Who, when our own stand-in knows them.
    pub user_id: Option<RowId>,
    /// See [`Basis`].
    pub basis: String,
    /// Of that.
    pub basis_id: Option<RowId>,
    /// Whether they may change things.
    pub may_change: bool,
    /// Microseconds UTC.
    pub expires_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds a link.
pub async fn insert(
    connection: &impl ConnectionTrait,
    hash: String,
    visitor: &Visitor,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let (basis, basis_id, user) = visitor.basis.columns();
    let row = Model {
        id: hash,
        addon_id: visitor.addon.into(),
        person: visitor.person.clone(),
        user_id: user.map(RowId),
        basis: basis.to_owned(),
        basis_id: basis_id.map(RowId),
        may_change: visitor.may_change,
        expires_at: expires_at.as_micros(),
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The link with this hash, as long as it is good.
pub async fn find(
    connection: &impl ConnectionTrait,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Visitor>, StoreError> {
    let query = Entity::find_by_id(hash).filter(Column::ExpiresAt.gt(now.as_micros()));
    query.one(connection).await?.map(Visitor::try_from).transpose()
}

/// Uses a link up. `false` when somebody else did in the meantime.
pub async fn use_up(connection: &impl ConnectionTrait, hash: &str) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(hash).exec(connection).await?.rows_affected == 1)
}

/// Drops those that are too old.
pub async fn forget_expired(connection: &impl ConnectionTrait, now: Timestamp) -> Result<u64, StoreError> {
    let old = Entity::delete_many().filter(Column::ExpiresAt.lte(now.as_micros()));
    Ok(old.exec(connection).await?.rows_affected)
}

impl TryFrom<Model> for Visitor {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let ids = (row.basis_id.map(|id| id.0), row.user_id.map(|id| id.0));
        let basis = Basis::of_columns(&row.basis, ids).ok_or(StoreError::Inconsistent {
            table: "sign_in_links",
            column: "basis",
            row: String::new(),
        })?;
        let (addon, person) = (AddonId::from(row.addon_id), row.person);
        Ok(Self { addon, person, basis, may_change: row.may_change })
    }
}
