//! The table `platform_config_vars`: what people set. What attachments set is not stored here.

use applink_api::ids::AppUuid;
use sea_orm::IntoActiveModel as _;
use sea_orm::entity::prelude::*;

use crate::db::{RowId, StoreError};
use crate::vault::{SealedToken, ServerPlace};

/// A config var.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform_config_vars")]
pub struct Model {
    /// Its uuid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The app.
    pub app_id: RowId,
    /// Unique per app.
    pub name: String,
    /// Sealed under the server's data key: an app can have secrets without any add-on.
    pub value: SealedToken,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where the value of a row is sealed.
pub fn place(row: Uuid) -> ServerPlace {
    ServerPlace { table: "platform_config_vars", row, column: "value" }
}

/// What people have set on an app.
pub async fn list(connection: &impl ConnectionTrait, app: AppUuid) -> Result<Vec<Model>, StoreError> {
    Ok(Entity::find().filter(Column::AppId.eq(RowId::from(app))).all(connection).await?)
}

/// Removes one.
pub async fn remove(connection: &impl ConnectionTrait, app: AppUuid, name: &str) -> Result<(), StoreError> {
    let delete =
        Entity::delete_many().filter(Column::AppId.eq(RowId::from(app))).filter(Column::Name.eq(name));
    delete.exec(connection).await?;
    Ok(())
}

/// Adds one.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}
