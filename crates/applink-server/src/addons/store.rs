//! The tables `apps`, `addons` and `attachments`.

use applink_api::ids::{AddonId, AppUuid};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _};
use sea_orm::{QueryFilter as _, QueryOrder as _};
use uuid::Uuid;

use super::{Addon, AttachedApp, Attachment};
use crate::db::{RowId, StoreError};

/// `apps`
pub mod apps {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// An app.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "apps")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Unique.
        pub name: String,
        /// Where orgs call it.
        pub url: Option<String>,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `addons`
pub mod addons {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A tenant.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "addons")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Unique.
        pub name: String,
        /// Microseconds UTC.
        pub created_at: i64,
        /// Grows with every change of the add-on's rows; writing it locks the add-on.
        pub changes: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `attachments`
pub mod attachments {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// An add-on at an app.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "attachments")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The tenant.
        pub addon_id: RowId,
        /// The app.
        pub app_id: RowId,
        /// The config-var prefix, unique per app.
        pub prefix: String,
        /// SHA-256 of the token.
        pub token_hash: String,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Serialises changes of one add-on's rows, on both engines, until the transaction ends. `false` when there is no
/// such add-on (any more).
pub async fn lock(connection: &impl ConnectionTrait, addon: AddonId) -> Result<bool, StoreError> {
    let update = addons::Entity::update_many()
        .col_expr(addons::Column::Changes, Expr::col(addons::Column::Changes).add(1))
        .filter(addons::Column::Id.eq(RowId::from(addon)));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Adds an app.
pub async fn insert_app(
    connection: &impl ConnectionTrait,
    app: &AttachedApp,
    at: i64,
) -> Result<(), StoreError> {
    let row = apps::Model { id: app.id.into(), name: app.name.clone(), url: app.url.clone(), created_at: at };
    apps::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Sets where orgs call an app.
pub async fn set_app_url(
    connection: &impl ConnectionTrait,
    app: AppUuid,
    url: &str,
) -> Result<(), StoreError> {
    let columns = apps::ActiveModel { url: sea_orm::Set(Some(url.to_owned())), ..Default::default() };
    apps::Entity::update_many()
        .set(columns)
        .filter(apps::Column::Id.eq(RowId::from(app)))
        .exec(connection)
        .await?;
    Ok(())
}

/// Gives an app another name.
pub async fn rename_app(
    connection: &impl ConnectionTrait,
    app: AppUuid,
    name: &str,
) -> Result<(), StoreError> {
    let columns = apps::ActiveModel { name: sea_orm::Set(name.to_owned()), ..Default::default() };
    apps::Entity::update_many()
        .set(columns)
        .filter(apps::Column::Id.eq(RowId::from(app)))
        .exec(connection)
        .await?;
    Ok(())
}

/// The app with this name or uuid.
pub async fn find_app(
    connection: &impl ConnectionTrait,
    named: &str,
) -> Result<Option<AttachedApp>, StoreError> {
    let mut matches = sea_orm::Condition::any().add(apps::Column::Name.eq(named));
    if let Ok(id) = named.parse::<RowId>() {
        matches = matches.add(apps::Column::Id.eq(id));
    }
    Ok(apps::Entity::find().filter(matches).one(connection).await?.map(AttachedApp::from))
}

/// Every app, by name.
pub async fn list_apps(connection: &impl ConnectionTrait) -> Result<Vec<AttachedApp>, StoreError> {
    let rows = apps::Entity::find().order_by_asc(apps::Column::Name).all(connection).await?;
    Ok(rows.into_iter().map(AttachedApp::from).collect())
}

/// Adds an add-on.
pub async fn insert_addon(
    connection: &impl ConnectionTrait,
    addon: &Addon,
    at: i64,
) -> Result<(), StoreError> {
    let row = addons::Model { id: addon.id.into(), name: addon.name.clone(), created_at: at, changes: 0 };
    addons::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The add-on with this id.
pub async fn find_addon(connection: &impl ConnectionTrait, id: AddonId) -> Result<Option<Addon>, StoreError> {
    Ok(addons::Entity::find_by_id(RowId::from(id)).one(connection).await?.map(Addon::from))
}

/// The add-on with this name or uuid.
pub async fn find_addon_named(
    connection: &impl ConnectionTrait,
    named: &str,
) -> Result<Option<Addon>, StoreError> {
    let mut matches = sea_orm::Condition::any().add(addons::Column::Name.eq(named));
    if let Ok(id) = named.parse::<RowId>() {
        matches = matches.add(addons::Column::Id.eq(id));
    }
    Ok(addons::Entity::find().filter(matches).one(connection).await?.map(Addon::from))
}

/// Whether another add-on has this name.
pub async fn is_addon_name_taken(
    connection: &impl ConnectionTrait,
    name: &str,
    except: AddonId,
) -> Result<bool, StoreError> {
    let query = addons::Entity::find()
        .filter(addons::Column::Name.eq(name))
        .filter(addons::Column::Id.ne(RowId::from(except)));
    Ok(query.one(connection).await?.is_some())
}

/// Every add-on, by name.
pub async fn list_addons(connection: &impl ConnectionTrait) -> Result<Vec<Addon>, StoreError> {
    let rows = addons::Entity::find().order_by_asc(addons::Column::Name).all(connection).await?;
    Ok(rows.into_iter().map(Addon::from).collect())
}

/// Removes an add-on; the database removes everything that belongs to it.
pub async fn delete_addon(connection: &impl ConnectionTrait, id: AddonId) -> Result<bool, StoreError> {
    Ok(addons::Entity::delete_by_id(RowId::from(id)).exec(connection).await?.rows_affected == 1)
}

/// Adds an attachment with the hash of its token.
pub async fn insert_attachment(
    connection: &impl ConnectionTrait,
    attachment: &Attachment,
    token_hash: String,
    at: i64,
) -> Result<(), StoreError> {
    let row = attachments::Model {
        id: attachment.id.into(),
        addon_id: attachment.addon.id.into(),
        app_id: attachment.app.id.into(),
        prefix: attachment.prefix.clone(),
        token_hash,
        created_at: at,
    };
    attachments::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Removes an attachment; its token is void at once.
pub async fn delete_attachment(connection: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    attachments::Entity::delete_by_id(RowId(id)).exec(connection).await?;
    Ok(())
}

/// Removes every attachment of an add-on; their tokens are void at once.
pub async fn delete_attachments(connection: &impl ConnectionTrait, addon: AddonId) -> Result<(), StoreError> {
    let delete =
        attachments::Entity::delete_many().filter(attachments::Column::AddonId.eq(RowId::from(addon)));
    delete.exec(connection).await?;
    Ok(())
}

/// Gives an attachment another token.
pub async fn set_token_hash(
    connection: &impl ConnectionTrait,
    attachment: Uuid,
    token_hash: String,
) -> Result<(), StoreError> {
    let columns = attachments::ActiveModel { token_hash: sea_orm::Set(token_hash), ..Default::default() };
    let update =
        attachments::Entity::update_many().set(columns).filter(attachments::Column::Id.eq(RowId(attachment)));
    update.exec(connection).await?;
    Ok(())
}

/// The attachment whose token has this hash.
pub async fn attachment_by_token(
    connection: &impl ConnectionTrait,
    token_hash: &str,
) -> Result<Option<Attachment>, StoreError> {
    let found = attachments::Entity::find()
        .filter(attachments::Column::TokenHash.eq(token_hash))
        .one(connection)
        .await?;
    match found {
        Some(row) => loaded(connection, row).await,
        None => Ok(None),
    }
}

/// Every attachment of an add-on, oldest first.
pub async fn attachments_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = attachments::Entity::find()
        .filter(attachments::Column::AddonId.eq(RowId::from(addon)))
        .order_by_asc(attachments::Column::CreatedAt)
        .all(connection)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.extend(loaded(connection, row).await?);
    }
    Ok(found)
}

async fn loaded(
    connection: &impl ConnectionTrait,
    row: attachments::Model,
) -> Result<Option<Attachment>, StoreError> {
    let addon = find_addon(connection, row.addon_id.into()).await?;
    let app = apps::Entity::find_by_id(row.app_id).one(connection).await?;
    let both = addon.zip(app.map(AttachedApp::from));
    Ok(both.map(|(addon, app)| Attachment { id: row.id.0, addon, app, prefix: row.prefix }))
}

impl From<apps::Model> for AttachedApp {
    fn from(row: apps::Model) -> Self {
        Self { id: row.id.into(), name: row.name, url: row.url }
    }
}

impl From<addons::Model> for Addon {
    fn from(row: addons::Model) -> Self {
        Self { id: row.id.into(), name: row.name }
    }
}
