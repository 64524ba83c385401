//! Rotation of master and data keys: who runs with which keys, what is being rotated, what former master keys left
//! behind, and master keys that a key service wrapped.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [state(), processes(), rotations(), kept_keys(), wrapped_masters()] {
            manager.create_table(table).await?;
        }
        let replaced_by = Table::alter().table("data_keys").add_column(text_null("replaced_by")).to_owned();
        manager.alter_table(replaced_by).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("data_keys").drop_column("replaced_by").to_owned()).await
    }
}

const TABLES: [&str; 5] =
    ["vault_state", "vault_processes", "vault_rotations", "vault_kept_keys", "vault_wrapped_masters"];

fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key());
    table
}

fn state() -> TableCreateStatement {
    let mut state = table("vault_state");
    state.col(text("master_key_id"));
    state
}

fn processes() -> TableCreateStatement {
    let mut processes = table("vault_processes");
    processes.col(text("name")).col(text("master_key_ids")).col(big_integer("seen_at"));
    processes
}

fn rotations() -> TableCreateStatement {
    let mut rotations = table("vault_rotations");
    rotations
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0))
        .col(text("kind"))
        .col(text("phase"))
        .col(text_null("master_key_id"))
        .col(big_integer_null("due_at"))
        .col(big_integer("settles_at"))
        .col(big_integer("pass_started_at"))
        .col(big_integer("place"))
        .col(text("after_row"))
        .col(big_integer("stale"))
        .col(big_integer("done"))
        .col(big_integer("damaged"))
        .col(text("requested_by"))
        .col(big_integer("requested_at"))
        .col(big_integer_null("finished_at"));
    rotations
}

fn kept_keys() -> TableCreateStatement {
    let mut kept = table("vault_kept_keys");
    kept.col(text("purpose")).col(text("origin")).col(text("master_key_id")).col(blob("sealed"));
    kept
}

fn wrapped_masters() -> TableCreateStatement {
    let mut wrapped = table("vault_wrapped_masters");
    wrapped.col(text("wrapped")).col(big_integer("created_at"));
    wrapped
}
