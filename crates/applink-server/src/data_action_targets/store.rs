//! The table `data_action_keys`: signing keys of data action targets, sealed. Every query takes the add-on first.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{Condition, IntoActiveModel as _};

use crate::db::{RowId, StoreError};
use crate::vault::{Place, SealedToken};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "data_action_keys";

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_action_keys")]
pub struct Model {
    /// Its id, which the sealed key is tied to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant.
    pub addon_id: RowId,
    /// The org, 18 characters.
    pub org_id: String,
    /// The target's API name.
    pub api_name: String,
    /// The signing key.
    pub signing_key: SealedToken,
    /// Microseconds UTC.
    pub created_at: i64,
    /// When it stops to count, once another took its place. Microseconds UTC.
    pub expires_at: Option<i64>,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Where the sealed key lives.
    pub fn place(&self) -> Place {
        place(self.addon_id.into(), self.id.0)
    }
}

/// Where the sealed key of a row lives.
pub fn place(addon: AddonId, row: Uuid) -> Place {
    Place { addon, table: TABLE, row, column: "signing_key" }
}

/// Adds a key of a target; those it had stay.
pub async fn insert(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (org_id, api_name): (&str, &str),
    (row, signing_key): (Uuid, SealedToken),
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Model {
        id: RowId(row),
        addon_id: addon.into(),
        org_id: org_id.to_owned(),
        api_name: api_name.to_owned(),
        signing_key,
        created_at: now.as_micros(),
        expires_at: None,
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The keys of a target count no longer than until then; a new one is about to be added.
pub async fn retire(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (org_id, api_name): (&str, &str),
    until: Timestamp,
) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(until.as_micros()))
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::ApiName.eq(api_name))
        .filter(Column::ExpiresAt.is_null());
    update.exec(connection).await?;
    Ok(())
}

/// Erases keys that count no more.
pub async fn delete_expired(connection: &impl ConnectionTrait, now: Timestamp) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::ExpiresAt.lte(now.as_micros())).exec(connection).await?;
    Ok(())
}

/// Erases the keys of a target.
pub async fn delete_keys(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (org_id, api_name): (&str, &str),
) -> Result<(), StoreError> {
    let delete = Entity::delete_many()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::ApiName.eq(api_name));
    delete.exec(connection).await?;
    Ok(())
}

/// The keys of a target that count now.
pub async fn keys(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    org_id: &str,
    api_name: &str,
    now: Timestamp,
) -> Result<Vec<Model>, StoreError> {
    let counts = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now.as_micros()));
    let query = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::ApiName.eq(api_name))
        .filter(counts);
    Ok(query.all(connection).await?)
}
