//! What rows have to remember besides: why an org refuses a refresh, whether the person who started a log-in is
//! known, and since when a deploy is tried in vain.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, boolean, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("grants", text_null("refusal")),
            // Rows of an older version don't tell: unknown counts as not verified.
            ("oauth_states", boolean("started_by_verified").default(false).take()),
            ("publication_deploys", big_integer_null("trying_since")),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("grants", "refusal"),
            ("oauth_states", "started_by_verified"),
            ("publication_deploys", "trying_since"),
        ] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
