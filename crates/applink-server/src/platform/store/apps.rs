//! The table `platform_apps`.

use applink_api::ids::AppUuid;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel as _, QueryOrder as _};

use super::{people, teams};
use crate::addons::{self, AttachedApp};
use crate::db::{RowId, StoreError};
use crate::platform::apps::PlatformApp;

/// What the stand-in knows of an app.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform_apps")]
pub struct Model {
    /// The app's uuid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// Who made it; its owner, unless a team is.
    pub owner_id: RowId,
    /// The team that owns it.
    pub team_id: Option<RowId>,
    /// Microseconds UTC.
    pub created_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds what the stand-in knows of an app.
pub async fn insert(connection: &impl ConnectionTrait, app: &PlatformApp) -> Result<(), StoreError> {
    let row = Model {
        id: app.app.id.into(),
        owner_id: app.owner.id.into(),
        team_id: app.team.as_ref().map(|team| RowId(team.id)),
        created_at: app.created_at.as_micros(),
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Serialises changes of one app, on both engines, until the transaction ends.
pub async fn lock(connection: &impl ConnectionTrait, app: AppUuid) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::CreatedAt, Expr::col(Column::CreatedAt))
        .filter(Column::Id.eq(RowId::from(app)));
    update.exec(connection).await?;
    Ok(())
}

/// The app with this name or uuid.
pub async fn find(connection: &impl ConnectionTrait, named: &str) -> Result<Option<PlatformApp>, StoreError> {
    let Some(app) = addons::store::find_app(connection, named).await? else { return Ok(None) };
    of(connection, app).await
}

/// What the stand-in knows of an app; none when it was made past it.
pub async fn of(
    connection: &impl ConnectionTrait,
    app: AttachedApp,
) -> Result<Option<PlatformApp>, StoreError> {
    match Entity::find_by_id(RowId::from(app.id)).one(connection).await? {
        Some(row) => loaded(connection, row, app).await,
        None => Ok(None),
    }
}

/// Every app, oldest first.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<PlatformApp>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::CreatedAt).all(connection).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let id = AppUuid::from(row.id).to_string();
        if let Some(app) = addons::store::find_app(connection, &id).await? {
            found.extend(loaded(connection, row, app).await?);
        }
    }
    Ok(found)
}

async fn loaded(
    connection: &impl ConnectionTrait,
    row: Model,
    app: AttachedApp,
) -> Result<Option<PlatformApp>, StoreError> {
    let owner = people::find(connection, row.owner_id.0).await?;
    let team = match row.team_id {
        Some(team) => teams::find(connection, team.0).await?,
        None => None,
    };
    let created_at = Timestamp::from_micros(row.created_at);
    Ok(owner.map(|owner| PlatformApp { app, owner, team, created_at }))
}
