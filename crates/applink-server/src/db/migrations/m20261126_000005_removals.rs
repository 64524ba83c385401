//! Deploys that remove a publication from its org, and which of the org's things a publication relies on.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text;

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [text("kind").default("publish").take(), text("uses").default("[]").take()] {
            manager
                .alter_table(Table::alter().table("publication_deploys").add_column(column).to_owned())
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["kind", "uses"] {
            manager
                .alter_table(Table::alter().table("publication_deploys").drop_column(column).to_owned())
                .await?;
        }
        Ok(())
    }
}
