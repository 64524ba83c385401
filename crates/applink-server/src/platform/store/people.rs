//! The tables `platform_users` and `platform_keys`.

use applink_api::time::Timestamp;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _,
};
use uuid::Uuid;

use crate::db::{RowId, StoreError};
use crate::platform::people::Person;

/// `platform_users`
pub mod users {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A person.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_users")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Unique, in lower case.
        pub email: String,
        /// As shown.
        pub name: String,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `platform_keys`
pub mod keys {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A platform API key.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "platform_keys")]
    pub struct Model {
        /// Its uuid.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// Whose it is.
        pub user_id: RowId,
        /// The first characters, to tell keys apart by eye.
        pub shown_prefix: String,
        /// SHA-256 of the key.
        pub key_hash: String,
        /// Microseconds UTC.
        pub created_at: i64,
        /// Microseconds UTC.
        pub revoked_at: Option<i64>,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<users::Model> for Person {
    fn from(row: users::Model) -> Self {
        Self { id: row.id.0, email: row.email, name: row.name }
    }
}

/// Adds a person.
pub async fn insert(
    connection: &impl ConnectionTrait,
    person: &Person,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = users::Model {
        id: person.id.into(),
        email: person.email.clone(),
        name: person.name.clone(),
        created_at: now.as_micros(),
    };
    users::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The person with this e-mail.
pub async fn find_by_email(
    connection: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<Person>, StoreError> {
    let query = users::Entity::find().filter(users::Column::Email.eq(email));
    Ok(query.one(connection).await?.map(Person::from))
}

/// The person with this id.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Person>, StoreError> {
    Ok(users::Entity::find_by_id(RowId(id)).one(connection).await?.map(Person::from))
}

/// The person whose live key has this hash.
pub async fn find_by_key(
    connection: &impl ConnectionTrait,
    key_hash: &str,
) -> Result<Option<Person>, StoreError> {
    let query = keys::Entity::find()
        .filter(keys::Column::KeyHash.eq(key_hash))
        .filter(keys::Column::RevokedAt.is_null());
    match query.one(connection).await? {
        Some(key) => find(connection, key.user_id.0).await,
        None => Ok(None),
    }
}

/// Adds a key.
pub async fn insert_key(connection: &impl ConnectionTrait, key: keys::Model) -> Result<(), StoreError> {
    keys::Entity::insert(key.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// How many live keys a person has.
pub async fn count_keys(connection: &impl ConnectionTrait, user: Uuid) -> Result<u64, StoreError> {
    let query = keys::Entity::find()
        .filter(keys::Column::UserId.eq(RowId(user)))
        .filter(keys::Column::RevokedAt.is_null());
    Ok(query.count(connection).await?)
}

/// Revokes a live key; `false` when there is none with this id.
pub async fn revoke_key(
    connection: &impl ConnectionTrait,
    id: Uuid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let columns = keys::ActiveModel { revoked_at: sea_orm::Set(Some(now.as_micros())), ..Default::default() };
    let update = keys::Entity::update_many()
        .set(columns)
        .filter(keys::Column::Id.eq(RowId(id)))
        .filter(keys::Column::RevokedAt.is_null());
    Ok(update.exec(connection).await?.rows_affected == 1)
}
