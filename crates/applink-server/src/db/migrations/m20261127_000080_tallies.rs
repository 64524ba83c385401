//! What charts show of the ledger, counted per half hour, and how far the counting has come.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const TALLIES: &str = "audit_tallies";
const PROGRESS: &str = "audit_tally_progress";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(tallies()).await?;
        let mut index = Index::create();
        index.name("audit_tallies_by_slot").table(TALLIES).col("slot");
        manager.create_index(index).await?;
        let mut progress = Table::create();
        progress.table(PROGRESS).col(text("name").primary_key()).col(big_integer("upto"));
        manager.create_table(progress).await?;
        // See `audit/tallies.rs`: always there, so that whoever counts can lock it.
        let sql = format!("INSERT INTO {PROGRESS} (name, upto) VALUES ('merged', 0)");
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [TALLIES, PROGRESS] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

fn tallies() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table(TALLIES)
        .col(text("addon_id"))
        .foreign_key(
            ForeignKey::create()
                .from(TALLIES, "addon_id")
                .to("addons", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .col(big_integer("slot"))
        .col(text("action"))
        .col(text("actor"))
        .col(text("org_id"))
        .col(big_integer("number"))
        .primary_key(Index::create().col("addon_id").col("slot").col("action").col("actor").col("org_id"));
    table
}
