//! The counts of `audit_tallies` once more, by org: none is ever put together with others, and one org's are found at once.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const TALLIES: &str = "audit_org_tallies";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(tallies()).await?;
        let mut index = Index::create();
        index.name("audit_org_tallies_by_slot").table(TALLIES).col("slot");
        manager.create_index(index).await?;
        // What was counted before is counted again, into both.
        for sql in [
            "DELETE FROM audit_tallies",
            "DELETE FROM audit_tally_progress WHERE name <> 'merged'",
            "UPDATE audit_tally_progress SET upto = 0",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TALLIES).if_exists().to_owned()).await
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
        .col(text("org_id"))
        .col(big_integer("slot"))
        .col(text("action"))
        .col(text("actor"))
        .col(big_integer("number"))
        .primary_key(Index::create().col("addon_id").col("org_id").col("slot").col("action").col("actor"));
    table
}
