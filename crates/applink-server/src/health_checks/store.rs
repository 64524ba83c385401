//! The table `health_checks`: when each live grant is looked at next. Its id is the credential's.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{FromQueryResult, IntoActiveModel as _, Statement};

use crate::db::claim::Due;
use crate::db::{RowId, StoreError};

/// Looks that are due.
pub const DUE: Due = Due { table: "health_checks", condition: "due_at <= {now}", order_by: "due_at" };

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "health_checks")]
pub struct Model {
    /// The credential.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant.
    pub addon_id: RowId,
    /// See [`crate::db::claim`].
    pub lease_owner: Option<String>,
    /// See [`crate::db::claim`].
    pub lease_until: Option<i64>,
    /// See [`crate::db::claim`].
    pub fence: i64,
    /// When it is looked at next.
    pub due_at: i64,
    /// When it was looked at.
    pub checked_at: Option<i64>,
    /// What was found, in a word.
    pub outcome: Option<String>,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A credential that has a live grant and is not on the list.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Missing {
    /// The credential.
    pub credential_id: RowId,
    /// The tenant.
    pub addon_id: RowId,
}

/// Some that are not on the list.
pub async fn missing(connection: &impl ConnectionTrait) -> Result<Vec<Missing>, StoreError> {
    let sql = "SELECT grants.credential_id, grants.addon_id FROM grants \
        JOIN credentials ON credentials.id = grants.credential_id \
        LEFT JOIN health_checks ON health_checks.id = grants.credential_id \
        WHERE grants.state = 'live' AND health_checks.id IS NULL LIMIT 500";
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    Ok(Missing::find_by_statement(statement).all(connection).await?)
}

/// Puts one on the list, unless another process did.
pub async fn enlist(
    connection: &impl ConnectionTrait,
    missing: Missing,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    let row = Model {
        id: missing.credential_id,
        addon_id: missing.addon_id,
        lease_owner: None,
        lease_until: None,
        fence: 0,
        due_at: due_at.as_micros(),
        checked_at: None,
        outcome: None,
    };
    let insert = Entity::insert(row.into_active_model());
    insert
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Writes what was found and when to look again, when the lease is still ours.
pub async fn settle(
    connection: &impl ConnectionTrait,
    row: &Model,
    outcome: &str,
    (now, due_at): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let columns = ActiveModel {
        lease_until: sea_orm::Set(None),
        due_at: sea_orm::Set(due_at.as_micros()),
        checked_at: sea_orm::Set(Some(now.as_micros())),
        outcome: sea_orm::Set(Some(outcome.to_owned())),
        ..Default::default()
    };
    let update =
        Entity::update_many().set(columns).filter(Column::Id.eq(row.id)).filter(Column::Fence.eq(row.fence));
    update.exec(connection).await?;
    Ok(())
}

/// Takes one off the list: its grant is gone.
pub async fn drop_from_list(connection: &impl ConnectionTrait, row: &Model) -> Result<(), StoreError> {
    Entity::delete_by_id(row.id).exec(connection).await?;
    Ok(())
}

/// What the last look at a credential found.
pub async fn last(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    credential: Uuid,
) -> Result<Option<Model>, StoreError> {
    let query = Entity::find_by_id(RowId(credential)).filter(Column::AddonId.eq(RowId::from(addon)));
    Ok(query.one(connection).await?)
}
