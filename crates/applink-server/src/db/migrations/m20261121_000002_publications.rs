//! Publications, and every deploy that was asked for.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, blob_null, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(publications()).await?;
        manager.create_table(deploys()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["publication_deploys", "publications"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

fn reference(from: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.from(from, column).to(to, "id").on_delete(ForeignKeyAction::Cascade);
    key
}

fn publications() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("publications")
        .col(text("id").primary_key())
        .col(text("addon_id"))
        .col(text("connection_id"))
        .col(text("app_id"))
        .col(text("client"))
        .col(text("client_key"))
        .col(text("org_id"))
        .col(text_null("registration_id"))
        .col(text_null("published_hash"))
        .col(text("components"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer("last_modified_at"))
        .col(text("last_modified_by"))
        .foreign_key(&mut reference("publications", "addon_id", "addons"))
        .foreign_key(&mut reference("publications", "connection_id", "credentials"))
        .foreign_key(&mut reference("publications", "app_id", "apps"));
    table
}

fn deploys() -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("publication_deploys")
        .col(text("id").primary_key())
        .col(text("addon_id"))
        .col(text("publication_id"))
        .col(text("connection_id"))
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0))
        .col(big_integer("number"))
        .col(text("state"))
        .col(big_integer_null("due_at"))
        .col(big_integer("attempts").default(0))
        .col(big_integer_null("intent_at"))
        .col(text_null("deploy_id"))
        .col(text("hash"))
        .col(blob_null("package"))
        .col(text("document_format"))
        .col(blob("document"))
        .col(text("origins"))
        .col(text("outcome"))
        .col(big_integer("requested_at"))
        .col(text("requested_by"))
        .col(big_integer_null("finished_at"))
        .foreign_key(&mut reference("publication_deploys", "addon_id", "addons"))
        .foreign_key(&mut reference("publication_deploys", "publication_id", "publications"));
    table
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str, columns: &[&'static str], unique: bool| {
        let mut index = Index::create();
        index.name(name).table(table);
        for column in columns {
            index.col(*column);
        }
        if unique {
            index.unique();
        }
        index
    };
    vec![
        index(
            "publications_by_client",
            "publications",
            &["addon_id", "connection_id", "org_id", "client_key"],
            true,
        ),
        index("publications_by_app", "publications", &["addon_id", "app_id"], false),
        index("deploys_by_due", "publication_deploys", &["due_at"], false),
        index("deploys_by_turn", "publication_deploys", &["connection_id", "number"], true),
        index("deploys_by_publication", "publication_deploys", &["publication_id", "number"], false),
    ]
}
