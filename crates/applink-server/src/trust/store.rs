//! The tables `org_keys` (public keys by instance URL, of all tenants: they are public) and `token_policies`.

use std::collections::HashMap;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use applink_api::trust::{TokenPolicy, TrustedKey};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{FromQueryResult, IntoActiveModel as _, Statement};

use self::org_keys as keys;
use self::token_policies as policies;
use super::flow::FetchedKeys;
use crate::db::{RowId, StoreError};

/// At most this many orgs are asked in one run.
const BATCH: u32 = 50;

mod org_keys {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "org_keys")]
    pub(super) struct Model {
        /// The instance URL.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// JSON.
        pub keys: String,
        pub fetched_at: Option<i64>,
        pub due_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod token_policies {
    use crate::db::RowId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "token_policies")]
    pub(super) struct Model {
        /// The connection.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        pub addon_id: RowId,
        pub policy: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(FromQueryResult)]
struct DueUrl {
    instance_url: String,
}

/// Instance URLs of live connections whose keys are due, or were never fetched.
pub async fn due_urls(connection: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT credentials.instance_url AS instance_url FROM credentials \
         LEFT JOIN org_keys ON org_keys.id = credentials.instance_url \
         WHERE credentials.kind = 'connection' AND credentials.state = 'live' \
         AND credentials.instance_url IS NOT NULL \
         AND (org_keys.due_at IS NULL OR org_keys.due_at <= {}) LIMIT {BATCH}",
        now.as_micros()
    );
    let backend = connection.get_database_backend();
    let rows = DueUrl::find_by_statement(Statement::from_string(backend, sql)).all(connection).await?;
    Ok(rows.into_iter().map(|row| row.instance_url).collect())
}

/// Keys of these instance URLs, as far as they were ever fetched.
pub async fn keys_of(
    connection: &impl ConnectionTrait,
    urls: Vec<String>,
) -> Result<HashMap<String, FetchedKeys>, StoreError> {
    let rows = keys::Entity::find().filter(keys::Column::Id.is_in(urls)).all(connection).await?;
    let mut found = HashMap::new();
    for row in rows {
        let Some(fetched_at) = row.fetched_at.map(Timestamp::from_micros) else { continue };
        let impossible =
            |_| StoreError::Inconsistent { table: "org_keys", column: "keys", row: row.id.clone() };
        let keys = serde_json::from_str(&row.keys).map_err(impossible)?;
        found.insert(row.id, FetchedKeys { keys, fetched_at });
    }
    Ok(found)
}

/// Remembers fetched keys until `due_at`.
pub async fn put_keys(
    connection: &impl ConnectionTrait,
    url: &str,
    fetched: &[TrustedKey],
    (now, due_at): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let impossible = |_| StoreError::Inconsistent { table: "org_keys", column: "keys", row: url.to_owned() };
    let row = keys::Model {
        id: url.to_owned(),
        keys: serde_json::to_string(fetched).map_err(impossible)?,
        fetched_at: Some(now.as_micros()),
        due_at: due_at.as_micros(),
    };
    let all = [keys::Column::Keys, keys::Column::FetchedAt, keys::Column::DueAt];
    upsert_keys(connection, row, &all).await
}

/// The org can't be asked now: what is known stays, and it is asked again at `due_at`.
pub async fn put_off(
    connection: &impl ConnectionTrait,
    url: &str,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    let row = keys::Model {
        id: url.to_owned(),
        keys: "[]".to_owned(),
        fetched_at: None,
        due_at: due_at.as_micros(),
    };
    upsert_keys(connection, row, &[keys::Column::DueAt]).await
}

async fn upsert_keys(
    connection: &impl ConnectionTrait,
    row: keys::Model,
    columns: &[keys::Column],
) -> Result<(), StoreError> {
    let update = OnConflict::column(keys::Column::Id).update_columns(columns.iter().copied()).to_owned();
    keys::Entity::insert(row.into_active_model())
        .on_conflict(update)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// The policies that were set, by connection.
pub async fn policies(
    connection: &impl ConnectionTrait,
    addon: AddonId,
) -> Result<HashMap<Uuid, TokenPolicy>, StoreError> {
    let rows = policies::Entity::find()
        .filter(policies::Column::AddonId.eq(RowId::from(addon)))
        .all(connection)
        .await?;
    let parsed = rows.into_iter().map(|row| {
        let impossible = |_| StoreError::Inconsistent {
            table: "token_policies",
            column: "policy",
            row: row.id.to_string(),
        };
        Ok((row.id.0, row.policy.parse().map_err(impossible)?))
    });
    parsed.collect()
}

/// The policy of one connection.
pub async fn policy_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<TokenPolicy, StoreError> {
    Ok(policies(connection, addon).await?.get(&id).copied().unwrap_or_default())
}

/// Sets the policy of a connection.
pub async fn set_policy(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
    policy: TokenPolicy,
) -> Result<(), StoreError> {
    let row = policies::Model { id: RowId(id), addon_id: addon.into(), policy: policy.as_str().to_owned() };
    let update = OnConflict::column(policies::Column::Id).update_column(policies::Column::Policy).to_owned();
    policies::Entity::insert(row.into_active_model())
        .on_conflict(update)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
