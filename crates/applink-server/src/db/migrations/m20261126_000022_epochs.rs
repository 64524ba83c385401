//! A number that grows whenever a key, a token or an attachment is changed, whoever changes it, so that every process
//! notices within a second what it may not remember any longer. The database itself counts.

use sea_orm::{ConnectionTrait as _, DbBackend};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

#[derive(DeriveMigrationName, Debug)]
pub(super) struct Migration;

/// Tables and the columns that matter; rows that are deleted always matter.
const COUNTED: [(&str, &str); 4] = [
    ("apps", "name, url"),
    ("addons", "name"),
    ("attachments", "addon_id, app_id, prefix, token_hash"),
    ("api_keys", "addon_id, key_hash, scope, owner, expires_at, revoked_at"),
];

const COUNT: &str = "UPDATE epochs SET value = value + 1 WHERE id = 'callers'";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut epochs = Table::create();
        epochs.table("epochs").col(text("id").primary_key()).col(big_integer("value"));
        manager.create_table(epochs).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared("INSERT INTO epochs (id, value) VALUES ('callers', 0)").await?;
        if connection.get_database_backend() == DbBackend::Postgres {
            let function = format!(
                "CREATE FUNCTION callers_changed() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN {COUNT}; RETURN NULL; END $$"
            );
            connection.execute_unprepared(&function).await?;
        }
        for (table, columns) in COUNTED {
            for sql in triggers(connection.get_database_backend(), table, columns) {
                connection.execute_unprepared(&sql).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let postgres = connection.get_database_backend() == DbBackend::Postgres;
        for (table, _) in COUNTED {
            for event in ["updated", "deleted"] {
                let on = if postgres { format!(" ON {table}") } else { String::new() };
                connection.execute_unprepared(&format!("DROP TRIGGER {table}_{event}{on}")).await?;
            }
        }
        if postgres {
            connection.execute_unprepared("DROP FUNCTION callers_changed").await?;
        }
        manager.drop_table(Table::drop().table("epochs").if_exists().to_owned()).await
    }
}

fn triggers(backend: DbBackend, table: &str, columns: &str) -> [String; 2] {
    let body = match backend {
        DbBackend::Postgres => "FOR EACH STATEMENT EXECUTE FUNCTION callers_changed()".to_owned(),
        _ => format!("BEGIN {COUNT}; END"),
    };
    [
        format!("CREATE TRIGGER {table}_updated AFTER UPDATE OF {columns} ON {table} {body}"),
        format!("CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} {body}"),
    ]
}
