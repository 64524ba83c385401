//! Public keys of connected orgs and what their tokens must say; used token ids; what meshes report.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (name, table, column) in INDEXES {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

const TABLES: [&str; 6] =
    ["invocations", "invocation_counts", "meshes", "used_tokens", "token_policies", "org_keys"];

const INDEXES: [(&str, &str, &str); 3] = [
    ("used_tokens_by_expiry", "used_tokens", "expires_at"),
    ("invocations_by_time", "invocations", "at"),
    ("invocation_counts_by_minute", "invocation_counts", "minute"),
];

fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key());
    table
}

fn of_addon(table: &mut TableCreateStatement, name: &'static str) {
    table.col(text("addon_id")).foreign_key(
        ForeignKey::create().from(name, "addon_id").to("addons", "id").on_delete(ForeignKeyAction::Cascade),
    );
}

fn tables() -> Vec<TableCreateStatement> {
    let mut org_keys = table("org_keys");
    org_keys.col(text("keys")).col(big_integer_null("fetched_at")).col(big_integer("due_at"));
    let mut policies = table("token_policies");
    of_addon(&mut policies, "token_policies");
    policies.col(text("policy"));
    let mut used = table("used_tokens");
    of_addon(&mut used, "used_tokens");
    used.col(big_integer("expires_at"));
    vec![org_keys, policies, used, meshes(), invocation_counts(), invocations()]
}

/// One run of one mesh.
fn meshes() -> TableCreateStatement {
    let mut meshes = table("meshes");
    of_addon(&mut meshes, "meshes");
    meshes
        .col(text("app_id"))
        .col(text("version"))
        .col(boolean("bypass_all"))
        .col(big_integer("last_sequence"))
        .col(big_integer("first_seen_at"))
        .col(big_integer("last_seen_at"));
    meshes
}

fn invocation_counts() -> TableCreateStatement {
    let mut counts = Table::create();
    counts.table("invocation_counts");
    of_addon(&mut counts, "invocation_counts");
    counts
        .col(text("app_id"))
        .col(big_integer("minute"))
        .col(text("verdict"))
        .col(big_integer("status"))
        .col(big_integer("count"))
        .primary_key(
            Index::create().col("addon_id").col("app_id").col("minute").col("verdict").col("status"),
        );
    counts
}

fn invocations() -> TableCreateStatement {
    let mut invocations = table("invocations");
    of_addon(&mut invocations, "invocations");
    invocations
        .col(text("app_id"))
        .col(big_integer("at"))
        .col(text("request_id"))
        .col(text("org_id"))
        .col(text("user_id"))
        .col(text("operation"))
        .col(text("verdict"))
        .col(big_integer("status"))
        .col(big_integer("mesh_micros"))
        .col(big_integer("app_micros"));
    invocations
}
