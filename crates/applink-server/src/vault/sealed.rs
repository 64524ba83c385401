//! Every column that holds sealed secrets, for walking over all of them. A test searches the whole database for a key
//! that was rotated out, so a column that is missing here shows.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::{Place, SealedToken, ServerPlace};
use crate::db::{RowId, StoreError};

/// A column with sealed secrets in a table whose key is `id`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedColumn {
    /// The table.
    pub(super) table: &'static str,
    /// The column.
    pub(super) column: &'static str,
    /// SQL for the add-on of a row of `t`; none when they are sealed under the server's key.
    addon: Option<&'static str>,
}

/// All of them. New ones go to the end: a rotation that is under way knows its place by number.
pub(super) const COLUMNS: &[SealedColumn] = &[
    SealedColumn { table: "grants", column: "access_token", addon: Some("t.addon_id") },
    SealedColumn { table: "grants", column: "refresh_token", addon: Some("t.addon_id") },
    SealedColumn { table: "grants", column: "private_key", addon: Some("t.addon_id") },
    SealedColumn { table: "oauth_states", column: "verifier", addon: Some("t.addon_id") },
    SealedColumn { table: "oauth_states", column: "code", addon: Some("t.addon_id") },
    SealedColumn {
        table: "platform_tokens",
        column: "token",
        addon: Some("(SELECT a.addon_id FROM attachments a WHERE a.id = t.id)"),
    },
    SealedColumn { table: "platform_config_vars", column: "value", addon: None },
    SealedColumn { table: "webhook_endpoints", column: "secret", addon: Some("t.addon_id") },
    SealedColumn { table: "webhook_endpoints", column: "former_secret", addon: Some("t.addon_id") },
    SealedColumn { table: "data_action_keys", column: "signing_key", addon: Some("t.addon_id") },
    SealedColumn { table: "provider_resources", column: "addon_token", addon: None },
    SealedColumn { table: "provider_resources", column: "grant_code", addon: None },
    SealedColumn { table: "provider_resources", column: "access_token", addon: None },
    SealedColumn { table: "provider_resources", column: "refresh_token", addon: None },
    SealedColumn { table: "data_cloud_tokens", column: "access_token", addon: Some("t.addon_id") },
];

/// Table and column of each.
pub fn sealed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    COLUMNS.iter().map(|sealed| (sealed.table, sealed.column))
}

/// Where a sealed value lives, with or without an add-on.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyPlace {
    Addon(Place),
    Server(ServerPlace),
}

/// A sealed value in its row.
#[derive(Debug, FromQueryResult)]
pub(super) struct SealedRow {
    pub(super) id: RowId,
    pub(super) addon_id: Option<RowId>,
    pub(super) value: SealedToken,
}

impl SealedColumn {
    pub(super) fn place(&self, row: &SealedRow) -> Option<AnyPlace> {
        let Self { table, column, .. } = *self;
        let id: Uuid = row.id.0;
        match (self.addon, row.addon_id) {
            (None, _) => Some(AnyPlace::Server(ServerPlace { table, row: id, column })),
            (Some(_), Some(addon)) => {
                Some(AnyPlace::Addon(Place { addon: addon.into(), table, row: id, column }))
            }
            // Its add-on went away between two looks.
            (Some(_), None) => None,
        }
    }

    /// The next rows after `after`, by id.
    pub(super) async fn rows_after(
        &self,
        connection: &impl ConnectionTrait,
        after: &str,
        limit: u64,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let Self { table, column, addon } = *self;
        let addon = addon.unwrap_or("CAST(NULL AS TEXT)");
        // Every text is a constant of ours; values are bound.
        let sql = format!(
            "SELECT t.id AS id, {addon} AS addon_id, t.{column} AS value FROM {table} t \
             WHERE t.id > $1 AND t.{column} IS NOT NULL ORDER BY t.id LIMIT {limit}"
        );
        let statement =
            Statement::from_sql_and_values(connection.get_database_backend(), sql, [after.into()]);
        Ok(SealedRow::find_by_statement(statement).all(connection).await?)
    }

    /// Writes a value sealed anew, when the old one is still there.
    pub(super) async fn replace(
        &self,
        connection: &impl ConnectionTrait,
        row: &SealedRow,
        value: SealedToken,
    ) -> Result<bool, StoreError> {
        let Self { table, column, .. } = *self;
        let sql = format!("UPDATE {table} SET {column} = $1 WHERE id = $2 AND {column} = $3");
        let values = [value.into(), row.id.into(), row.value.clone().into()];
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        Ok(connection.execute_raw(statement).await?.rows_affected() == 1)
    }
}
