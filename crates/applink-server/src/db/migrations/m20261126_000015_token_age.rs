//! What keeping tokens alive has to remember: how long an org's sessions last, how often a client had a token renewed,
//! whether a person insists on one more grant for a user; and the indexes for finding idle grants and counting a user's.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("grants", big_integer_null("session_seconds")),
            ("grants", big_integer("forced").default(0).take()),
            ("oauth_states", boolean("force").default(false).take()),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("grants").to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("grants").to_owned()).await?;
        }
        for (table, column) in
            [("grants", "session_seconds"), ("grants", "forced"), ("oauth_states", "force")]
        {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

const INDEXES: [(&str, &[&str]); 2] =
    [("grants_idle", &["state", "issued_at"]), ("grants_of_user", &["client_id", "org_id", "user_id"])];
