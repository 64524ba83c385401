//! Being a Heroku add-on: resources Heroku asked for; add-ons that are being taken apart, whoever asked for that;
//! people's browser sessions, and the sign-ons that were used up for one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob_null, boolean, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [resources(), removals(), sessions(), sign_ons()] {
            manager.create_table(table).await?;
        }
        for (name, table, column) in [
            ("provider_resources_by_due", "provider_resources", "due_at"),
            ("removals_by_due", "removals", "due_at"),
            ("web_sessions_by_expiry", "web_sessions", "expires_at"),
            ("used_sign_ons_by_expiry", "used_sign_ons", "expires_at"),
        ] {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["used_sign_ons", "web_sessions", "removals", "provider_resources"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key());
    table
}

/// See `db/claim.rs`.
fn leased(table: &mut TableCreateStatement) {
    table
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0));
}

/// The rows outlive their add-ons: Heroku may ask about one that is gone.
fn resources() -> TableCreateStatement {
    let mut table = table("provider_resources");
    leased(&mut table);
    table
        .col(text("name"))
        .col(text("plan"))
        .col(text_null("region"))
        .col(text("state"))
        .col(big_integer_null("due_at"))
        .col(big_integer("attempts").default(0))
        .col(text_null("trouble"))
        .col(text("token_hash"))
        .col(blob_null("addon_token"))
        .col(blob_null("grant_code"))
        .col(big_integer_null("grant_expires_at"))
        .col(blob_null("access_token"))
        .col(blob_null("refresh_token"))
        .col(big_integer_null("token_expires_at"))
        .col(boolean("configured").default(false))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"));
    table
}

/// The rows outlive their add-ons: they tell what could not be undone.
fn removals() -> TableCreateStatement {
    let mut table = table("removals");
    leased(&mut table);
    table
        .col(text("name"))
        .col(text("stage"))
        .col(big_integer("stage_since"))
        .col(big_integer_null("due_at"))
        .col(text("requested_by"))
        .col(big_integer("requested_at"))
        .col(big_integer_null("finished_at"))
        .col(text("report"));
    table
}

fn sessions() -> TableCreateStatement {
    let mut table = table("web_sessions");
    table
        .col(text("addon_id"))
        .col(text("token_hash").unique_key())
        .col(text("person"))
        .col(text_null("user_id"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .foreign_key(
            ForeignKey::create()
                .from("web_sessions", "addon_id")
                .to("addons", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    table
}

fn sign_ons() -> TableCreateStatement {
    let mut table = table("used_sign_ons");
    table.col(big_integer("expires_at"));
    table
}
