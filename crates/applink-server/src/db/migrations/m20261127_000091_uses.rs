//! Who fetched the token of which authorization, and when last; and how far the log is read for it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const USES: &str = "audit_uses";
const PROGRESS: &str = "audit_use_progress";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut uses = Table::create();
        uses.table(USES)
            .col(text("subject"))
            .col(text("actor"))
            .col(big_integer("last"))
            .primary_key(Index::create().col("subject").col("actor"))
            .foreign_key(
                ForeignKey::create()
                    .from(USES, "subject")
                    .to("credentials", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            );
        manager.create_table(uses).await?;
        let mut progress = Table::create();
        progress.table(PROGRESS).col(text("segment").primary_key()).col(big_integer("upto"));
        manager.create_table(progress).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [USES, PROGRESS] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
