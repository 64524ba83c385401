//! Tokens of Data Cloud tenants, data action targets, and when a signing key stops to count.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const TOKENS: &str = "data_cloud_tokens";
const TARGETS: &str = "data_action_targets";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(tokens()).await?;
        manager.create_table(targets()).await?;
        let mut index = Index::create();
        index
            .name("data_action_targets_by_name")
            .table(TARGETS)
            .col("connection_id")
            .col("name_key")
            .unique();
        manager.create_index(index).await?;
        let mut index = Index::create();
        index.name("data_action_targets_due").table(TARGETS).col("due_at");
        manager.create_index(index).await?;
        let mut keys = Table::alter();
        keys.table("data_action_keys").add_column(big_integer_null("expires_at"));
        manager.alter_table(keys).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut keys = Table::alter();
        keys.table("data_action_keys").drop_column("expires_at");
        manager.alter_table(keys).await?;
        manager.drop_table(Table::drop().table(TARGETS).if_exists().to_owned()).await?;
        manager.drop_table(Table::drop().table(TOKENS).if_exists().to_owned()).await
    }
}

/// One of each grant, under the grant's id.
fn tokens() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table(TOKENS)
        .col(text("id").primary_key())
        .foreign_key(
            ForeignKey::create().from(TOKENS, "id").to("grants", "id").on_delete(ForeignKeyAction::Cascade),
        )
        .col(text("addon_id"))
        .col(text("tenant_url"))
        .col(blob("access_token"))
        .col(big_integer("issued_at"))
        .col(big_integer("expires_at"));
    table
}

fn targets() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table(TARGETS)
        .col(text("id").primary_key())
        .col(text("addon_id"))
        .foreign_key(
            ForeignKey::create()
                .from(TARGETS, "addon_id")
                .to("addons", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0))
        .col(text("connection_id"))
        .foreign_key(
            ForeignKey::create()
                .from(TARGETS, "connection_id")
                .to("credentials", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .col(text("app_id"))
        .col(text("app_name"))
        .col(text_null("app_url"))
        .col(text("org_id"))
        .col(text("api_name"))
        .col(text("name_key"))
        .col(text("label"))
        .col(text("path"))
        .col(text("endpoint"))
        .col(text("state"))
        .col(text_null("error_id"))
        .col(text_null("error_message"))
        .col(big_integer_null("key_made_at"))
        .col(big_integer("failures").default(0))
        .col(big_integer_null("due_at"))
        .col(big_integer("state_since"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer("last_modified_at"));
    table
}
