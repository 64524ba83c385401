//! The tables `platform_addons` and `platform_tokens`.

use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, IntoActiveModel as _};
use sea_orm::{QueryFilter as _, QueryOrder as _};
use uuid::Uuid;

use crate::addons::store as tenants;
use crate::addons::{Addon, Attachment};
use crate::db::claim::Due;
use crate::db::{RowId, StoreError};
use crate::platform::addons::{PlatformAddon, State};
use crate::vault::{Place, SealedToken};

/// `platform_addons`
pub mod rows {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// What the stand-in knows of an add-on.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_addons")]
    pub struct Model {
        /// The add-on's uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The app that owns it.
        pub app_id: RowId,
        /// See `db/claim.rs`.
        pub lease_owner: Option<String>,
        /// See `db/claim.rs`.
        pub lease_until: Option<i64>,
        /// See `db/claim.rs`.
        pub fence: i64,
        /// `provisioning`, `provisioned` or `deprovisioning`.
        pub state: String,
        /// When work on it is due, microseconds UTC.
        pub due_at: Option<i64>,
        /// E-mail of who asked for what is under way.
        pub requested_by: String,
        /// Microseconds UTC.
        pub created_at: i64,
        /// Microseconds UTC.
        pub updated_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `platform_tokens`
pub mod tokens {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;
    use crate::vault::SealedToken;

    /// The token of an attachment, for its config var.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_tokens")]
    pub struct Model {
        /// The attachment's uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Sealed under the add-on's data key.
        pub token: SealedToken,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What the reconciler takes.
pub const DUE: Due =
    Due { table: "platform_addons", condition: "due_at IS NOT NULL AND due_at <= {now}", order_by: "due_at" };

/// Where an attachment's token is sealed.
pub fn token_place(attachment: &Attachment) -> Place {
    Place { addon: attachment.addon.id, table: "platform_tokens", row: attachment.id, column: "token" }
}

/// Adds what the stand-in knows of an add-on.
pub async fn insert(connection: &impl ConnectionTrait, row: rows::Model) -> Result<(), StoreError> {
    rows::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The row of an add-on.
pub async fn row(connection: &impl ConnectionTrait, id: AddonId) -> Result<Option<rows::Model>, StoreError> {
    Ok(rows::Entity::find_by_id(RowId::from(id)).one(connection).await?)
}

/// Writes a state and when work is due next; the lease ends.
pub async fn set_state(
    connection: &impl ConnectionTrait,
    id: AddonId,
    state: State,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = rows::ActiveModel {
        state: sea_orm::Set(state.as_str().to_owned()),
        due_at: sea_orm::Set(due_at.map(Timestamp::as_micros)),
        updated_at: sea_orm::Set(now.as_micros()),
        lease_owner: sea_orm::Set(None),
        lease_until: sea_orm::Set(None),
        ..Default::default()
    };
    rows::Entity::update_many()
        .set(columns)
        .filter(rows::Column::Id.eq(RowId::from(id)))
        .exec(connection)
        .await?;
    Ok(())
}

/// The add-on with this name or uuid.
pub async fn find(
    connection: &impl ConnectionTrait,
    named: &str,
) -> Result<Option<PlatformAddon>, StoreError> {
    let mut matches = Condition::any().add(tenants::addons::Column::Name.eq(named));
    if let Ok(id) = named.parse::<RowId>() {
        matches = matches.add(tenants::addons::Column::Id.eq(id));
    }
    match tenants::addons::Entity::find().filter(matches).one(connection).await? {
        Some(found) => of(connection, found.into()).await,
        None => Ok(None),
    }
}

/// What the stand-in knows of an add-on; none when it was made past it.
pub async fn of(
    connection: &impl ConnectionTrait,
    addon: Addon,
) -> Result<Option<PlatformAddon>, StoreError> {
    let Some(row) = row(connection, addon.id).await? else { return Ok(None) };
    let app = tenants::find_app(connection, &row.app_id.to_string()).await?;
    let attachments = tenants::attachments_of(connection, addon.id).await?;
    let Some(app) = app else { return Ok(None) };
    Ok(Some(PlatformAddon {
        state: state_of(&row)?,
        addon,
        app,
        attachments,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    }))
}

fn state_of(row: &rows::Model) -> Result<State, StoreError> {
    State::from_word(&row.state).ok_or_else(|| StoreError::Inconsistent {
        table: "platform_addons",
        column: "state",
        row: row.id.to_string(),
    })
}

/// Every add-on, by name.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<PlatformAddon>, StoreError> {
    let mut found = Vec::new();
    for addon in tenants::list_addons(connection).await? {
        found.extend(of(connection, addon).await?);
    }
    Ok(found)
}

/// When an attachment was made.
pub async fn attached_at(
    connection: &impl ConnectionTrait,
    attachment: Uuid,
) -> Result<Option<Timestamp>, StoreError> {
    let row = tenants::attachments::Entity::find_by_id(RowId(attachment)).one(connection).await?;
    Ok(row.map(|row| Timestamp::from_micros(row.created_at)))
}

/// Every attachment of an app, oldest first.
pub async fn attachments_of_app(
    connection: &impl ConnectionTrait,
    app: AppUuid,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = tenants::attachments::Entity::find()
        .filter(tenants::attachments::Column::AppId.eq(RowId::from(app)))
        .order_by_asc(tenants::attachments::Column::CreatedAt)
        .all(connection)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let all = tenants::attachments_of(connection, row.addon_id.into()).await?;
        found.extend(all.into_iter().filter(|attachment| attachment.id == row.id.0));
    }
    Ok(found)
}

/// Keeps an attachment's token for its config var.
pub async fn save_token(
    connection: &impl ConnectionTrait,
    attachment: Uuid,
    token: SealedToken,
) -> Result<(), StoreError> {
    tokens::Entity::delete_by_id(RowId(attachment)).exec(connection).await?;
    let row = tokens::Model { id: RowId(attachment), token };
    tokens::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// An attachment's token, once it is provisioned.
pub async fn token_of(
    connection: &impl ConnectionTrait,
    attachment: Uuid,
) -> Result<Option<SealedToken>, StoreError> {
    let row = tokens::Entity::find_by_id(RowId(attachment)).one(connection).await?;
    Ok(row.map(|row| row.token))
}
