//! The Platform API stand-in: people and their keys, teams, who may work on which app, config vars, releases, and what
//! an add-on has on top of its tenant.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, boolean, text, text_null};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in people().into_iter().chain(resources()) {
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

const TABLES: [&str; 10] = [
    "platform_users",
    "platform_keys",
    "platform_teams",
    "platform_members",
    "platform_apps",
    "platform_collaborators",
    "platform_addons",
    "platform_tokens",
    "platform_config_vars",
    "platform_releases",
];

fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("id").primary_key());
    table
}

fn reference(
    table: &mut TableCreateStatement,
    from: &'static str,
    column: &'static str,
    to: &'static str,
) -> &'static str {
    table.foreign_key(
        ForeignKey::create().from(from, column).to(to, "id").on_delete(ForeignKeyAction::Cascade),
    );
    column
}

/// A column that names a row which takes this one along when it goes.
fn of(table: &mut TableCreateStatement, name: &'static str, column: &'static str, to: &'static str) {
    table.col(text(column));
    reference(table, name, column, to);
}

fn people() -> Vec<TableCreateStatement> {
    let mut users = table("platform_users");
    users.col(text("email").unique_key()).col(text("name")).col(big_integer("created_at"));
    let mut keys = table("platform_keys");
    of(&mut keys, "platform_keys", "user_id", "platform_users");
    keys.col(text("shown_prefix"))
        .col(text("key_hash").unique_key())
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"));
    let mut teams = table("platform_teams");
    teams.col(text("name").unique_key()).col(text_null("parent_id")).col(big_integer("created_at"));
    let mut members = table("platform_members");
    of(&mut members, "platform_members", "team_id", "platform_teams");
    of(&mut members, "platform_members", "user_id", "platform_users");
    members.col(boolean("admin")).col(big_integer("created_at"));
    vec![users, keys, teams, members]
}

fn resources() -> Vec<TableCreateStatement> {
    let mut apps = table("platform_apps");
    reference(&mut apps, "platform_apps", "id", "apps");
    of(&mut apps, "platform_apps", "owner_id", "platform_users");
    apps.col(text_null("team_id")).col(big_integer("created_at"));
    let mut collaborators = table("platform_collaborators");
    of(&mut collaborators, "platform_collaborators", "app_id", "platform_apps");
    of(&mut collaborators, "platform_collaborators", "user_id", "platform_users");
    collaborators.col(text("permissions")).col(big_integer("created_at"));
    let mut addons = table("platform_addons");
    reference(&mut addons, "platform_addons", "id", "addons");
    of(&mut addons, "platform_addons", "app_id", "platform_apps");
    addons
        .col(text_null("lease_owner"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0))
        .col(text("state"))
        .col(big_integer_null("due_at"))
        .col(text("requested_by"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"));
    let mut tokens = table("platform_tokens");
    reference(&mut tokens, "platform_tokens", "id", "attachments");
    tokens.col(blob("token"));
    let mut config_vars = table("platform_config_vars");
    of(&mut config_vars, "platform_config_vars", "app_id", "platform_apps");
    config_vars.col(text("name")).col(blob("value"));
    let mut releases = table("platform_releases");
    of(&mut releases, "platform_releases", "app_id", "platform_apps");
    releases
        .col(big_integer("version"))
        .col(text("description"))
        .col(text("by_email"))
        .col(big_integer("created_at"));
    vec![apps, collaborators, addons, tokens, config_vars, releases]
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
        index("platform_keys_by_user", "platform_keys", &["user_id"], false),
        index("platform_members_by_user", "platform_members", &["user_id", "team_id"], true),
        index("platform_collaborators_by_app", "platform_collaborators", &["app_id", "user_id"], true),
        index("platform_addons_by_due", "platform_addons", &["due_at"], false),
        index("platform_config_vars_by_name", "platform_config_vars", &["app_id", "name"], true),
        index("platform_releases_by_version", "platform_releases", &["app_id", "version"], true),
    ]
}
