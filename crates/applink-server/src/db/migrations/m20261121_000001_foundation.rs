//! Apps, add-ons and their keys; connections, authorizations and their grants; pending logins; data keys; audit.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, blob_null, boolean, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in
            addon_tables().into_iter().chain([credentials(), grants(), oauth_states()]).chain(ledger_tables())
        {
            manager.create_table(table).await?;
        }
        for index in indexes() {
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

const TABLES: [&str; 12] = [
    "apps",
    "addons",
    "attachments",
    "api_keys",
    "data_keys",
    "credentials",
    "grants",
    "oauth_states",
    "audit_segments",
    "audit_rows",
    "audit_anchors",
    "audit_actors",
];

fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key());
    table
}

/// Every column of the tenant's tables that names the tenant.
fn of_addon(table: &mut TableCreateStatement, name: &'static str) {
    table.col(text("addon_id")).foreign_key(
        ForeignKey::create().from(name, "addon_id").to("addons", "id").on_delete(ForeignKeyAction::Cascade),
    );
}

/// See `db/claim.rs`.
fn leased(table: &mut TableCreateStatement) {
    table
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0));
}

fn addon_tables() -> Vec<TableCreateStatement> {
    let mut apps = table("apps");
    apps.col(text("name").unique_key()).col(text_null("url")).col(big_integer("created_at"));
    let mut addons = table("addons");
    addons
        .col(text("name").unique_key())
        .col(big_integer("created_at"))
        .col(big_integer("changes").default(0));
    let mut attachments = table("attachments");
    of_addon(&mut attachments, "attachments");
    attachments
        .col(text("app_id"))
        .col(text("prefix"))
        .col(text("token_hash").unique_key())
        .col(big_integer("created_at"))
        .foreign_key(
            ForeignKey::create()
                .from("attachments", "app_id")
                .to("apps", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    let mut api_keys = table("api_keys");
    api_keys
        .col(text_null("addon_id"))
        .col(text("shown_prefix"))
        .col(text("key_hash").unique_key())
        .col(text("scope"))
        .col(text("owner"))
        .col(big_integer("created_at"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("revoked_at"));
    vec![apps, addons, attachments, api_keys]
}

/// Connections and authorizations: a name that stands for a user of an org.
fn credentials() -> TableCreateStatement {
    let mut credentials = table("credentials");
    of_addon(&mut credentials, "credentials");
    leased(&mut credentials);
    credentials
        .col(text("kind"))
        .col(text("name"))
        .col(text("name_key"))
        .col(text_null("alias"))
        .col(text_null("alias_key"))
        .col(text("org_type"))
        .col(text("state"))
        .col(text("method"))
        .col(text("login_url"))
        .col(text_null("org_id"))
        .col(text_null("instance_url"))
        .col(text_null("user_id"))
        .col(text_null("username"))
        .col(text_null("api_version"))
        .col(text_null("error_id"))
        .col(text_null("error_message"))
        .col(text_null("app_name"))
        .col(big_integer_null("due_at"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer("last_modified_at"))
        .col(text("last_modified_by"));
    credentials
}

fn grants() -> TableCreateStatement {
    let mut grants = table("grants");
    of_addon(&mut grants, "grants");
    leased(&mut grants);
    grants
        .col(text("credential_id"))
        .col(text("state"))
        .col(text("method"))
        .col(text("login_origin"))
        .col(text("client_id"))
        .col(text("org_id"))
        .col(text("instance_url"))
        .col(text("user_id"))
        .col(text("username"))
        .col(blob_null("access_token"))
        .col(blob_null("refresh_token"))
        .col(blob_null("private_key"))
        .col(big_integer("token_version"))
        .col(big_integer("issued_at"))
        .col(big_integer("expires_at"))
        .col(text("rotation"))
        .col(big_integer("unrotated_answers").default(0))
        .col(big_integer_null("intent_at"))
        .col(big_integer_null("uncertain_at"))
        .col(boolean("last_chance_spent").default(false))
        .col(big_integer_null("not_before"))
        .col(big_integer("failures").default(0))
        .col(big_integer("created_at"));
    grants
}

fn oauth_states() -> TableCreateStatement {
    let mut states = table("oauth_states");
    of_addon(&mut states, "oauth_states");
    states
        .col(text("credential_id"))
        .col(text("stage"))
        .col(text("start_hash").unique_key())
        .col(text_null("state_hash").unique_key())
        .col(text_null("cookie_hash"))
        .col(text_null("confirm_hash"))
        .col(blob("verifier"))
        .col(blob_null("code"))
        .col(text("login_origin"))
        .col(text("client_id"))
        .col(text("started_by"))
        .col(text_null("app_name"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"));
    states
}

fn ledger_tables() -> Vec<TableCreateStatement> {
    let mut data_keys = table("data_keys");
    data_keys
        .col(text_null("addon_id"))
        .col(text("master_key_id"))
        .col(blob("sealed"))
        .col(boolean("active"))
        .col(big_integer("created_at"))
        .foreign_key(
            ForeignKey::create()
                .from("data_keys", "addon_id")
                .to("addons", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    let mut segments = table("audit_segments");
    segments
        .col(text("process"))
        .col(text("master_key_id"))
        .col(big_integer("opened_at"))
        .col(big_integer_null("closed_at"));
    let mut rows = Table::create();
    rows.table("audit_rows")
        .col(text("segment"))
        .col(big_integer("seq"))
        .col(big_integer("at"))
        .col(text("actor"))
        .col(text("action"))
        .col(text_null("addon_id"))
        .col(text_null("subject"))
        .col(text("detail"))
        .col(text("prev_mac"))
        .col(text("mac"))
        .primary_key(Index::create().col("segment").col("seq"));
    let mut anchors = Table::create();
    anchors
        .table("audit_anchors")
        .col(big_integer("number").primary_key())
        .col(big_integer("at"))
        .col(text("segment"))
        .col(big_integer("seq"))
        .col(text("row_mac"))
        .col(text("prev_mac"))
        .col(text("mac"));
    let mut actors = table("audit_actors");
    actors.col(text("kind")).col(text_null("name")).col(text_null("lookup").unique_key());
    vec![data_keys, segments, rows, anchors, actors]
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
        index("attachments_by_prefix", "attachments", &["app_id", "prefix"], true),
        index("attachments_by_addon", "attachments", &["addon_id"], false),
        index("credentials_by_name", "credentials", &["addon_id", "kind", "name_key"], true),
        index("credentials_by_alias", "credentials", &["addon_id", "alias_key"], true),
        index("credentials_by_due", "credentials", &["due_at"], false),
        index("credentials_by_org", "credentials", &["addon_id", "org_id"], false),
        index("grants_by_credential", "grants", &["credential_id", "state"], false),
        index("grants_by_state", "grants", &["state", "not_before"], false),
        index("grants_by_user", "grants", &["client_id", "user_id"], false),
        index("oauth_states_by_credential", "oauth_states", &["credential_id"], false),
        index("oauth_states_by_expiry", "oauth_states", &["expires_at"], false),
        index("data_keys_by_addon", "data_keys", &["addon_id"], false),
        index("audit_rows_by_addon", "audit_rows", &["addon_id", "at"], false),
    ]
}
