//! Webhooks: endpoints, the versions of what they are told about, events and their deliveries. And when a live grant
//! is looked at next.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, blob_null, boolean, integer, integer_null, text, text_null,
};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

const TABLES: [&str; 6] = [
    "webhook_endpoints",
    "webhook_subjects",
    "webhook_events",
    "webhook_deliveries",
    "webhook_attempts",
    "health_checks",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [endpoints(), subjects(), events(), deliveries(), attempts(), health_checks()] {
            manager.create_table(table).await?;
        }
        for (name, table, columns) in [
            ("webhook_endpoints_by_addon", "webhook_endpoints", &["addon_id"][..]),
            ("webhook_events_by_age", "webhook_events", &["created_at"]),
            ("webhook_deliveries_by_due", "webhook_deliveries", &["due_at"]),
            ("webhook_deliveries_by_endpoint", "webhook_deliveries", &["endpoint_id", "created_at"]),
            ("webhook_attempts_by_delivery", "webhook_attempts", &["delivery_id", "number"]),
            ("health_checks_by_due", "health_checks", &["due_at"]),
        ] {
            let mut index = Index::create();
            index.name(name).table(table);
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(*table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

/// A table of an add-on's rows, which go with it.
fn of_addon(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key()).col(text("addon_id")).foreign_key(
        ForeignKey::create().from(name, "addon_id").to("addons", "id").on_delete(ForeignKeyAction::Cascade),
    );
    table
}

/// See `db/claim.rs`.
fn leased(table: &mut TableCreateStatement) {
    table
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0));
}

fn endpoints() -> TableCreateStatement {
    let mut table = of_addon("webhook_endpoints");
    table
        .col(text("url"))
        .col(text("event_types"))
        .col(text_null("description"))
        .col(blob("secret"))
        .col(blob_null("former_secret"))
        .col(big_integer_null("former_secret_until"))
        .col(boolean("enabled"))
        .col(text_null("disabled_reason"))
        .col(big_integer_null("failing_since"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer("last_modified_at"))
        .col(text("last_modified_by"));
    table
}

fn subjects() -> TableCreateStatement {
    let mut table = of_addon("webhook_subjects");
    table.col(big_integer("version")).col(boolean("failing").default(false));
    table
}

fn events() -> TableCreateStatement {
    let mut table = of_addon("webhook_events");
    table.col(text("kind")).col(text("body")).col(big_integer("created_at"));
    table
}

fn deliveries() -> TableCreateStatement {
    let mut table = of_addon("webhook_deliveries");
    leased(&mut table);
    table
        .col(text("endpoint_id"))
        .col(text("event_id"))
        .col(text("kind"))
        .col(text("state"))
        .col(integer("attempts").default(0))
        .col(big_integer_null("due_at"))
        .col(big_integer("created_at"))
        .foreign_key(
            ForeignKey::create()
                .from("webhook_deliveries", "endpoint_id")
                .to("webhook_endpoints", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .from("webhook_deliveries", "event_id")
                .to("webhook_events", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    table
}

fn attempts() -> TableCreateStatement {
    let mut table = of_addon("webhook_attempts");
    table
        .col(text("delivery_id"))
        .col(integer("number"))
        .col(big_integer("at"))
        .col(integer_null("status"))
        .col(text("outcome"))
        .col(big_integer("milliseconds"))
        .foreign_key(
            ForeignKey::create()
                .from("webhook_attempts", "delivery_id")
                .to("webhook_deliveries", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    table
}

/// Its id is the credential's.
fn health_checks() -> TableCreateStatement {
    let mut table = of_addon("health_checks");
    leased(&mut table);
    table
        .col(big_integer("due_at"))
        .col(big_integer_null("checked_at"))
        .col(text_null("outcome"))
        .foreign_key(
            ForeignKey::create()
                .from("health_checks", "id")
                .to("credentials", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    table
}
