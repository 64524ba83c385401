//! What meshes reported, counted over time for people to look at.

use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::db::{RowId, StoreError};

/// How many requests ended alike within a slice of time.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Count {
    /// The slice's number: its beginning divided by its length.
    pub slice: i64,
    /// The app.
    pub app_id: RowId,
    /// See [`applink_api::mesh_report::InvocationCount::verdict`].
    pub verdict: String,
    /// How many.
    pub number: i64,
}

/// One request of the sample.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Sample {
    /// Microseconds UTC.
    pub at: i64,
    /// The app.
    pub app_id: RowId,
    /// The verified org; empty when there is none.
    pub org_id: String,
    /// See [`Count::verdict`].
    pub verdict: String,
    /// Microseconds until the head of the answer.
    pub micros: i64,
}

/// When a mesh beside an app was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Heard {
    /// The app.
    pub app_id: RowId,
    /// Microseconds UTC.
    pub seen_at: i64,
}

/// Counts of all requests since a time, in slices of `length` microseconds.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    since: Timestamp,
    length: i64,
) -> Result<Vec<Count>, StoreError> {
    let sql = "SELECT minute / $1 AS slice, app_id, verdict, CAST(SUM(count) AS BIGINT) AS number \
               FROM invocation_counts WHERE addon_id = $2 AND minute >= $3 GROUP BY 1, 2, 3";
    let values: [Value; 3] = [length.into(), addon.to_string().into(), since.as_micros().into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    Ok(Count::find_by_statement(statement).all(connection).await?)
}

/// The newest requests of the sample since a time, of one app and org where they are named.
///
/// # Errors
/// [`StoreError`].
pub async fn sample(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    since: Timestamp,
    (app, org_id): (Option<AppUuid>, &str),
    limit: i64,
) -> Result<Vec<Sample>, StoreError> {
    let sql = "SELECT at, app_id, org_id, verdict, mesh_micros + app_micros AS micros FROM invocations \
               WHERE addon_id = $1 AND at >= $2 AND ($3 = '' OR app_id = $3) AND ($4 = '' OR org_id = $4) \
               ORDER BY at DESC LIMIT $5";
    let app = app.map(|app| app.to_string()).unwrap_or_default();
    let values: [Value; 5] =
        [addon.to_string().into(), since.as_micros().into(), app.into(), org_id.into(), limit.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    Ok(Sample::find_by_statement(statement).all(connection).await?)
}

/// When the meshes of each app were last heard of.
///
/// # Errors
/// [`StoreError`].
pub async fn heard(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Vec<Heard>, StoreError> {
    let sql = "SELECT app_id, MAX(last_seen_at) AS seen_at FROM meshes WHERE addon_id = $1 GROUP BY 1";
    let values: [Value; 1] = [addon.to_string().into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    Ok(Heard::find_by_statement(statement).all(connection).await?)
}
