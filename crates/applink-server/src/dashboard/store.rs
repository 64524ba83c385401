//! The tables `web_sessions` and `used_sign_ons`.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _, QueryFilter as _};
use uuid::Uuid;

use super::links;
use super::session::{Basis, Session};
use crate::db::{RowId, StoreError};

/// `web_sessions`
pub mod sessions {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A browser that is signed in to an add-on.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "web_sessions")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The add-on.
        pub addon_id: RowId,
        /// SHA-256 of the cookie.
        pub token_hash: String,
        /// Who, as shown.
        pub person: String,
        /// Who, when our own stand-in signed them on.
        pub user_id: Option<RowId>,
        /// What it rests on.
        pub basis: String,
        /// Of that.
        pub basis_id: Option<RowId>,
        /// Whether it may change things.
        pub may_change: bool,
        /// Microseconds UTC.
        pub created_at: i64,
        /// Microseconds UTC.
        pub expires_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `used_sign_ons`
pub mod used {
    use sea_orm::entity::prelude::*;

    /// A sign-on that was used up.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "used_sign_ons")]
    pub struct Model {
        /// SHA-256 of what stands for it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// From when on it is refused for its age, microseconds UTC.
        pub expires_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Uses a sign-on up. `false` when it was before; the transaction is of no use then.
pub async fn use_up(
    connection: &impl ConnectionTrait,
    id: String,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let row = used::Model { id, expires_at: expires_at.as_micros() };
    let inserted = used::Entity::insert(row.into_active_model()).exec_without_returning(connection).await;
    match inserted.map_err(StoreError::from) {
        Ok(_) => Ok(true),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes that back: what it stood for was not done.
pub async fn forget_use(connection: &impl ConnectionTrait, id: &str) -> Result<(), StoreError> {
    used::Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}

/// Adds a session.
pub async fn insert(
    connection: &impl ConnectionTrait,
    session: &Session,
    token_hash: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (basis, basis_id, user) = session.basis.columns();
    let row = sessions::Model {
        id: session.id.into(),
        addon_id: session.addon.into(),
        token_hash,
        person: session.person.clone(),
        user_id: user.map(RowId),
        basis: basis.to_owned(),
        basis_id: basis_id.map(RowId),
        may_change: session.may_change,
        created_at: now.as_micros(),
        expires_at: session.expires_at.as_micros(),
    };
    sessions::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The live session whose cookie has this hash.
pub async fn find_live(
    connection: &impl ConnectionTrait,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let query = sessions::Entity::find()
        .filter(sessions::Column::TokenHash.eq(token_hash))
        .filter(sessions::Column::ExpiresAt.gt(now.as_micros()));
    query.one(connection).await?.map(Session::try_from).transpose()
}

impl TryFrom<sessions::Model> for Session {
    type Error = StoreError;

    fn try_from(row: sessions::Model) -> Result<Self, StoreError> {
        let ids = (row.basis_id.map(|id| id.0), row.user_id.map(|id| id.0));
        let basis = Basis::of_columns(&row.basis, ids).ok_or_else(|| StoreError::Inconsistent {
            table: "web_sessions",
            column: "basis",
            row: row.id.to_string(),
        })?;
        Ok(Self {
            id: row.id.0,
            addon: AddonId::from(row.addon_id),
            person: row.person,
            basis,
            may_change: row.may_change,
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

/// Ends a session.
pub async fn delete(connection: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    sessions::Entity::delete_by_id(RowId(id)).exec(connection).await?;
    Ok(())
}

/// Drops what is too old to matter.
pub async fn forget_expired(connection: &impl ConnectionTrait, now: Timestamp) -> Result<u64, StoreError> {
    let links = links::store::forget_expired(connection, now).await?;
    let now = now.as_micros();
    let old = sessions::Entity::delete_many().filter(sessions::Column::ExpiresAt.lte(now));
    let sessions = old.exec(connection).await?.rows_affected;
    let old = used::Entity::delete_many().filter(used::Column::ExpiresAt.lte(now));
    Ok(links + sessions + old.exec(connection).await?.rows_affected)
}
