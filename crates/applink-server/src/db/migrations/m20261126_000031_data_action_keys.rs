//! Signing keys of data action targets, sealed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, blob, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const TABLE: &str = "data_action_keys";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut keys = Table::create();
        keys.table(TABLE)
            .col(text("id").primary_key())
            .col(text("addon_id"))
            .foreign_key(
                ForeignKey::create()
                    .from(TABLE, "addon_id")
                    .to("addons", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .col(text("org_id"))
            .col(text("api_name"))
            .col(blob("signing_key"))
            .col(big_integer("created_at"));
        manager.create_table(keys).await?;
        let mut index = Index::create();
        index.name("data_action_keys_by_target").table(TABLE).col("addon_id").col("org_id").col("api_name");
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).if_exists().to_owned()).await
    }
}
