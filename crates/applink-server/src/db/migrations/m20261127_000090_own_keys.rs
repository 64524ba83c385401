//! Whose rights an API key has, and when it was used first.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const KEYS: &str = "api_keys";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Keys of before don't tell.
        for column in [text_null("person_id"), big_integer_null("first_used_at")] {
            manager.alter_table(Table::alter().table(KEYS).add_column(column).to_owned()).await?;
        }
        let mut index = Index::create();
        index.name("api_keys_by_person").table(KEYS).col("person_id");
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("api_keys_by_person").table(KEYS).to_owned()).await?;
        for column in ["first_used_at", "person_id"] {
            manager.alter_table(Table::alter().table(KEYS).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
