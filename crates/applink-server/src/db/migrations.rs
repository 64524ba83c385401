//! The schema's history, the same for both engines.
//!
//! *Expand, then contract*: two versions may run side by side during a rollout, so a migration only adds (a table,
//! a column with a default, an index). What an older version still reads is removed one release later.
//! A migration that has been released is never edited.

mod m20261121_000001_foundation;
mod m20261121_000002_publications;
mod m20261122_000003_platform;
mod m20261122_000004_added_columns;
mod m20261126_000005_removals;
mod m20261126_000010_provider;
mod m20261126_000015_token_age;
mod m20261126_000020_spool;
mod m20261126_000021_vault;
mod m20261126_000022_epochs;
mod m20261126_000025_webhooks;
mod m20261126_000030_trust;
mod m20261126_000031_data_action_keys;
mod m20261126_000035_presence;
mod m20261126_000065_data_cloud;
mod m20261127_000070_sign_in;
mod m20261127_000080_tallies;
mod m20261127_000090_own_keys;
mod m20261127_000091_uses;
mod m20261127_000092_org_tallies;

use std::collections::HashSet;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::{Database, OpenError};

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_foundation::Migration),
            Box::new(m20261121_000002_publications::Migration),
            Box::new(m20261122_000003_platform::Migration),
            Box::new(m20261122_000004_added_columns::Migration),
            Box::new(m20261126_000005_removals::Migration),
            Box::new(m20261126_000030_trust::Migration),
            Box::new(m20261126_000020_spool::Migration),
            Box::new(m20261126_000021_vault::Migration),
            Box::new(m20261126_000022_epochs::Migration),
            Box::new(m20261126_000015_token_age::Migration),
            Box::new(m20261126_000025_webhooks::Migration),
            Box::new(m20261126_000031_data_action_keys::Migration),
            Box::new(m20261126_000010_provider::Migration),
            Box::new(m20261126_000035_presence::Migration),
            Box::new(m20261126_000065_data_cloud::Migration),
            Box::new(m20261127_000070_sign_in::Migration),
            Box::new(m20261127_000080_tallies::Migration),
            Box::new(m20261127_000090_own_keys::Migration),
            Box::new(m20261127_000091_uses::Migration),
            Box::new(m20261127_000092_org_tallies::Migration),
        ]
    }
}

/// Brings the schema up to date, in one transaction. Of several processes that start at once, one migrates and the
/// others wait; a schema that is newer than this version is refused.
pub(super) async fn run(database: &Database) -> Result<(), OpenError> {
    let tx = database.begin().await.map_err(OpenError::Connect)?;
    database.lock_for_start(&tx).await.map_err(OpenError::Migrate)?;
    refuse_newer(&tx).await?;
    Migrator::up(&tx, None).await.map_err(OpenError::Migrate)?;
    tx.commit().await.map_err(OpenError::Migrate)
}

#[derive(FromQueryResult)]
struct Applied {
    version: String,
}

async fn refuse_newer(tx: &DatabaseTransaction) -> Result<(), OpenError> {
    let known: HashSet<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = applied(tx).await.map_err(OpenError::Migrate)?;
    match applied.into_iter().find(|version| !known.contains(version)) {
        Some(unknown) => Err(OpenError::Newer { unknown }),
        None => Ok(()),
    }
}

async fn applied(tx: &DatabaseTransaction) -> Result<Vec<String>, DbErr> {
    let backend = tx.get_database_backend();
    if !sea_orm_migration::SchemaManager::new(tx).has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = Applied::find_by_statement(Statement::from_string(backend, sql)).all(tx).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
