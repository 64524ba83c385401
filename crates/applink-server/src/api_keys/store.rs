//! The table `api_keys`.

use applink_api::ids::AddonId;
use applink_api::operator::Scope;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel as _, QueryOrder as _};

use super::ApiKey;
use crate::db::{RowId, StoreError};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The one add-on it reaches.
    pub addon_id: Option<RowId>,
    /// The first characters, to tell keys apart by eye.
    pub shown_prefix: String,
    /// SHA-256 of the key.
    pub key_hash: String,
    /// `manage` or `operate`.
    pub scope: String,
    /// Whose it is.
    pub owner: String,
    /// Microseconds UTC.
    pub created_at: i64,
    /// Microseconds UTC.
    pub expires_at: Option<i64>,
    /// Microseconds UTC.
    pub revoked_at: Option<i64>,
    /// The person of our own Platform API whose rights it has.
    pub person_id: Option<RowId>,
    /// Microseconds UTC.
    pub first_used_at: Option<i64>,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds a key.
pub async fn insert(
    connection: &impl ConnectionTrait,
    key: &ApiKey,
    shown_prefix: String,
    key_hash: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Model {
        id: key.id.into(),
        addon_id: key.addon.map(RowId::from),
        shown_prefix,
        key_hash,
        scope: scope_word(key.scope).to_owned(),
        owner: key.owner.clone(),
        created_at: now.as_micros(),
        expires_at: key.expires_at.map(Timestamp::as_micros),
        revoked_at: None,
        person_id: key.person.map(RowId),
        first_used_at: None,
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The live key with this hash.
pub async fn find_live(
    connection: &impl ConnectionTrait,
    key_hash: &str,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let query = Entity::find()
        .filter(Column::KeyHash.eq(key_hash))
        .filter(Column::RevokedAt.is_null())
        .filter(unexpired(now));
    query.one(connection).await?.map(ApiKey::try_from).transpose()
}

/// The live key with this id.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let query = Entity::find_by_id(RowId(id)).filter(Column::RevokedAt.is_null()).filter(unexpired(now));
    query.one(connection).await?.map(ApiKey::try_from).transpose()
}

/// The live keys that have this person's rights.
pub async fn list_live_of_person(
    connection: &impl ConnectionTrait,
    person: Uuid,
    now: Timestamp,
) -> Result<Vec<ApiKey>, StoreError> {
    let query = Entity::find()
        .filter(Column::PersonId.eq(RowId(person)))
        .filter(Column::RevokedAt.is_null())
        .filter(unexpired(now));
    query.all(connection).await?.into_iter().map(ApiKey::try_from).collect()
}

/// Notes that a key is in use; only the first time counts.
pub async fn note_first_use(
    connection: &impl ConnectionTrait,
    id: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel { first_used_at: sea_orm::Set(Some(now.as_micros())), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(RowId(id)))
        .filter(Column::FirstUsedAt.is_null());
    update.exec(connection).await?;
    Ok(())
}

fn unexpired(now: Timestamp) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now.as_micros()))
}

/// Live keys of one owner with one scope.
pub async fn count_live(
    connection: &impl ConnectionTrait,
    owner: &str,
    scope: Scope,
    addon: Option<AddonId>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let of_addon = match addon {
        Some(addon) => Column::AddonId.eq(RowId::from(addon)),
        None => Column::AddonId.is_null(),
    };
    let query = Entity::find()
        .filter(Column::Owner.eq(owner))
        .filter(Column::Scope.eq(scope_word(scope)))
        .filter(of_addon)
        .filter(unexpired(now))
        .filter(Column::RevokedAt.is_null());
    Ok(query.count(connection).await?)
}

/// Revokes a live key; `false` when there is none with this id.
pub async fn revoke(connection: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
    let columns = ActiveModel { revoked_at: sea_orm::Set(Some(now.as_micros())), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(RowId(id)))
        .filter(Column::RevokedAt.is_null());
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Revokes a live key of an add-on; `false` when it has none with this id.
pub async fn revoke_one_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let columns = ActiveModel { revoked_at: sea_orm::Set(Some(now.as_micros())), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(RowId(id)))
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(unexpired(now))
        .filter(Column::RevokedAt.is_null());
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Revokes every live key of an add-on.
pub async fn revoke_of_addon(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel { revoked_at: sea_orm::Set(Some(now.as_micros())), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::RevokedAt.is_null());
    update.exec(connection).await?;
    Ok(())
}

/// Keys that count, oldest first, with their visible prefix and age.
pub async fn list_live(
    connection: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<(ApiKey, String, Timestamp)>, StoreError> {
    listed(connection, Condition::all(), now).await
}

/// The same of one add-on.
pub async fn list_live_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    now: Timestamp,
) -> Result<Vec<(ApiKey, String, Timestamp)>, StoreError> {
    listed(connection, Condition::all().add(Column::AddonId.eq(RowId::from(addon))), now).await
}

async fn listed(
    connection: &impl ConnectionTrait,
    which: Condition,
    now: Timestamp,
) -> Result<Vec<(ApiKey, String, Timestamp)>, StoreError> {
    let rows = Entity::find()
        .filter(which)
        .filter(Column::RevokedAt.is_null())
        .filter(unexpired(now))
        .order_by_asc(Column::CreatedAt)
        .all(connection)
        .await?;
    let shown = rows.into_iter().map(|row| {
        let (prefix, at) = (row.shown_prefix.clone(), Timestamp::from_micros(row.created_at));
        Ok((ApiKey::try_from(row)?, prefix, at))
    });
    shown.collect()
}

/// As stored.
pub(super) fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Manage => "manage",
        Scope::Operate => "operate",
    }
}

impl TryFrom<Model> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let scope = match row.scope.as_str() {
            "manage" => Scope::Manage,
            "operate" => Scope::Operate,
            _ => {
                return Err(StoreError::Inconsistent {
                    table: "api_keys",
                    column: "scope",
                    row: row.id.to_string(),
                });
            }
        };
        Ok(Self {
            id: row.id.0,
            scope,
            addon: row.addon_id.map(AddonId::from),
            owner: row.owner,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            person: row.person_id.map(|id| id.0),
            first_used_at: row.first_used_at.map(Timestamp::from_micros),
        })
    }
}
