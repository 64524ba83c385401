//! Sign-in links, what a session rests on, and what a deploy was asked for about authorization.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const LINKS: &str = "sign_in_links";
const SESSIONS: &str = "web_sessions";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(links()).await?;
        let mut index = Index::create();
        index.name("sign_in_links_by_expiry").table(LINKS).col("expires_at");
        manager.create_index(index).await?;
        // Sessions of before were begun by a sign-on.
        for (table, column) in [
            (SESSIONS, text("basis").default("sign_on").take()),
            (SESSIONS, text_null("basis_id")),
            (SESSIONS, boolean("may_change").default(true).take()),
            // Deploys of before don't tell.
            ("publication_deploys", text_null("authorization_names")),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("publication_deploys", "authorization_names"),
            (SESSIONS, "may_change"),
            (SESSIONS, "basis_id"),
            (SESSIONS, "basis"),
        ] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        manager.drop_table(Table::drop().table(LINKS).if_exists().to_owned()).await
    }
}

/// The id is the hash of what stands in the link.
fn links() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table(LINKS)
        .col(text("id").primary_key())
        .col(text("addon_id"))
        .foreign_key(
            ForeignKey::create()
                .from(LINKS, "addon_id")
                .to("addons", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .col(text("person"))
        .col(text_null("user_id"))
        .col(text("basis"))
        .col(text_null("basis_id"))
        .col(boolean("may_change"))
        .col(big_integer("expires_at"));
    table
}
