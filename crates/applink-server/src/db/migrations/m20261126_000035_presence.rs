//! When a publication is looked for in its org, and since when it isn't there.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const COLUMNS: [&str; 5] = ["lease_owner", "lease_until", "fence", "check_due_at", "removed_at"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            text_null("lease_owner"),
            big_integer_null("lease_until"),
            big_integer("fence").default(0).take(),
            // Rows of an older version are looked for at once.
            big_integer_null("check_due_at"),
            big_integer_null("removed_at"),
        ] {
            manager.alter_table(Table::alter().table("publications").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            manager.alter_table(Table::alter().table("publications").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
