//! The tables `platform_teams`, `platform_members` and `platform_collaborators`: who may work where.

use std::collections::{HashMap, HashSet};

use applink_api::ids::AppUuid;
use applink_api::time::Timestamp;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _};
use sea_orm::{QueryFilter as _, QueryOrder as _};
use uuid::Uuid;

use super::people;
use crate::db::{RowId, StoreError};
use crate::platform::access::{Permissions, Reach};
use crate::platform::people::Person;
use crate::platform::teams::Team;

/// `platform_teams`
pub mod rows {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A team, or an enterprise account.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_teams")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Unique.
        pub name: String,
        /// The enterprise account it belongs to.
        pub parent_id: Option<RowId>,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `platform_members`
pub mod members {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A person in a team.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_members")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The team.
        pub team_id: RowId,
        /// The person.
        pub user_id: RowId,
        /// Whether they administer it.
        pub admin: bool,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `platform_collaborators`
pub mod collaborators {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A person who may work on an app.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_collaborators")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The app.
        pub app_id: RowId,
        /// The person.
        pub user_id: RowId,
        /// `deploy,operate`
        pub permissions: String,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A person who may work on an app, and since when.
#[derive(Clone, Debug)]
pub struct Collaborator {
    /// The row.
    pub id: Uuid,
    /// Who.
    pub person: Person,
    /// What they may do.
    pub permissions: Permissions,
    /// Since when.
    pub created_at: Timestamp,
}

impl From<rows::Model> for Team {
    fn from(row: rows::Model) -> Self {
        Self { id: row.id.0, name: row.name, parent: row.parent_id.map(|id| id.0) }
    }
}

/// Adds a team.
pub async fn insert(
    connection: &impl ConnectionTrait,
    team: &Team,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = rows::Model {
        id: team.id.into(),
        name: team.name.clone(),
        parent_id: team.parent.map(RowId),
        created_at: now.as_micros(),
    };
    rows::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The team with this name.
pub async fn find_by_name(connection: &impl ConnectionTrait, name: &str) -> Result<Option<Team>, StoreError> {
    let query = rows::Entity::find().filter(rows::Column::Name.eq(name));
    Ok(query.one(connection).await?.map(Team::from))
}

/// The team with this id.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Team>, StoreError> {
    Ok(rows::Entity::find_by_id(RowId(id)).one(connection).await?.map(Team::from))
}

/// Puts a person into a team, or changes what they are there.
pub async fn set_member(
    connection: &impl ConnectionTrait,
    row: Uuid,
    team: Uuid,
    user: Uuid,
    admin: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    members::Entity::delete_many()
        .filter(members::Column::TeamId.eq(RowId(team)))
        .filter(members::Column::UserId.eq(RowId(user)))
        .exec(connection)
        .await?;
    let row = members::Model {
        id: RowId(row),
        team_id: RowId(team),
        user_id: RowId(user),
        admin,
        created_at: now.as_micros(),
    };
    members::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Lets a person work on an app, or changes what they may do there.
pub async fn set_collaborator(
    connection: &impl ConnectionTrait,
    row: Uuid,
    app: AppUuid,
    user: Uuid,
    permissions: Permissions,
    now: Timestamp,
) -> Result<(), StoreError> {
    remove_collaborator(connection, app, user).await?;
    let row = collaborators::Model {
        id: RowId(row),
        app_id: app.into(),
        user_id: RowId(user),
        permissions: permissions.words().join(","),
        created_at: now.as_micros(),
    };
    collaborators::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Takes a person off an app; `false` when they were not on it.
pub async fn remove_collaborator(
    connection: &impl ConnectionTrait,
    app: AppUuid,
    user: Uuid,
) -> Result<bool, StoreError> {
    let delete = collaborators::Entity::delete_many()
        .filter(collaborators::Column::AppId.eq(RowId::from(app)))
        .filter(collaborators::Column::UserId.eq(RowId(user)));
    Ok(delete.exec(connection).await?.rows_affected > 0)
}

/// Who may work on an app, oldest first; its owner is not among them.
pub async fn collaborators_of(
    connection: &impl ConnectionTrait,
    app: AppUuid,
) -> Result<Vec<Collaborator>, StoreError> {
    let rows = collaborators::Entity::find()
        .filter(collaborators::Column::AppId.eq(RowId::from(app)))
        .order_by_asc(collaborators::Column::CreatedAt)
        .all(connection)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(person) = people::find(connection, row.user_id.0).await? {
            found.push(Collaborator {
                id: row.id.0,
                person,
                permissions: permissions_in(&row)?,
                created_at: Timestamp::from_micros(row.created_at),
            });
        }
    }
    Ok(found)
}

/// Everything that decides what a person may do.
pub async fn reach_of(connection: &impl ConnectionTrait, user: Uuid) -> Result<Reach, StoreError> {
    let memberships =
        members::Entity::find().filter(members::Column::UserId.eq(RowId(user))).all(connection).await?;
    let (admin, member): (Vec<_>, Vec<_>) = memberships.into_iter().partition(|row| row.admin);
    let mut administered: HashSet<Uuid> = admin.iter().map(|row| row.team_id.0).collect();
    let parents: Vec<RowId> = admin.iter().map(|row| row.team_id).collect();
    let below = rows::Entity::find().filter(rows::Column::ParentId.is_in(parents)).all(connection).await?;
    administered.extend(below.into_iter().map(|team| team.id.0));
    let rows = collaborators::Entity::find()
        .filter(collaborators::Column::UserId.eq(RowId(user)))
        .all(connection)
        .await?;
    let granted = rows.iter().map(|row| Ok((AppUuid(row.app_id.0), permissions_in(row)?)));
    Ok(Reach {
        user,
        administered,
        joined: member.iter().map(|row| row.team_id.0).collect(),
        granted: granted.collect::<Result<HashMap<_, _>, StoreError>>()?,
    })
}

fn permissions_in(row: &collaborators::Model) -> Result<Permissions, StoreError> {
    let words = row.permissions.split(',').filter(|word| !word.is_empty());
    Permissions::from_words(words).map_err(|_| StoreError::Inconsistent {
        table: "platform_collaborators",
        column: "permissions",
        row: row.id.to_string(),
    })
}
