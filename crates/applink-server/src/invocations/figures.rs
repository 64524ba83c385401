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

/// What requests of the sample are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// See [`applink_api::mesh_report::InvocationCount::verdict`].
    Verdict,
    /// The app's id.
    App,
    /// The verified org; empty when there is none.
    Org,
}

/// The newest requests that meshes reported in detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled<'a> {
    /// Not before.
    pub since: Timestamp,
    /// In slices of so many microseconds.
    pub length: i64,
    /// Only of one app.
    pub app: Option<AppUuid>,
    /// Only of one org; empty for all.
    pub org: &'a str,
    /// So many of them.
    pub limit: i64,
}

/// How many requests of the sample there were within a slice of time.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Seen {
    /// See [`Count::slice`].
    pub slice: i64,
    /// Of what; none for all that are not told apart.
    pub label: Option<String>,
    /// How many.
    pub number: i64,
    /// How many labels there are in all.
    pub labels: i64,
}

/// How long the requests of a slice of time took: what so many percent of them did not exceed, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Took {
    /// See [`Count::slice`].
    pub slice: i64,
    /// Half of them.
    pub p50: i64,
    /// Nineteen of twenty.
    pub p95: i64,
    /// Ninety-nine of a hundred.
    pub p99: i64,
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

/// The sample, as the first of a statement's common tables, with its values.
fn sampled(addon: AddonId, sampled: &Sampled<'_>) -> (String, Vec<Value>) {
    let Sampled { since, length, app, org, limit } = *sampled;
    let app = app.map(|app| app.to_string()).unwrap_or_default();
    let sql = "WITH sampled AS (SELECT at / $1 AS slice, app_id, org_id, verdict, mesh_micros + app_micros AS micros \
               FROM invocations WHERE addon_id = $2 AND at >= $3 AND ($4 = '' OR app_id = $4) \
               AND ($5 = '' OR org_id = $5) ORDER BY at DESC LIMIT $6)";
    let values = vec![
        length.into(),
        addon.to_string().into(),
        since.as_micros().into(),
        app.into(),
        org.into(),
        limit.into(),
    ];
    (sql.to_owned(), values)
}

/// Counts the sample. The `most` labels with the highest counts are told apart.
///
/// # Errors
/// [`StoreError`].
pub async fn seen(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    by: By,
    sample: &Sampled<'_>,
    most: i64,
) -> Result<Vec<Seen>, StoreError> {
    let label = match by {
        By::Verdict => "verdict",
        By::App => "app_id",
        By::Org => "org_id",
    };
    let (sampled, mut values) = sampled(addon, sample);
    values.push(most.into());
    let sql = format!(
        "{sampled}, counted AS (SELECT slice, {label} AS label, COUNT(*) AS number FROM sampled GROUP BY 1, 2), \
         ranked AS (SELECT label, ROW_NUMBER() OVER (ORDER BY SUM(number) DESC, label) AS place \
           FROM counted GROUP BY label) \
         SELECT counted.slice AS slice, CASE WHEN ranked.place <= $7 THEN counted.label END AS label, \
           CAST(SUM(counted.number) AS BIGINT) AS number, (SELECT COUNT(*) FROM ranked) AS labels \
         FROM counted JOIN ranked ON ranked.label = counted.label GROUP BY 1, 2"
    );
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    Ok(Seen::find_by_statement(statement).all(connection).await?)
}

/// How long the requests of the sample took: for each share the nearest rank.
///
/// # Errors
/// [`StoreError`].
pub async fn took(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    sample: &Sampled<'_>,
) -> Result<Vec<Took>, StoreError> {
    let (sampled, values) = sampled(addon, sample);
    let rank = |percent: u8| {
        format!("MIN(CASE WHEN place * 100 >= number * {percent} THEN micros END) AS p{percent}")
    };
    let sql = format!(
        "{sampled}, placed AS (SELECT slice, micros, ROW_NUMBER() OVER (PARTITION BY slice ORDER BY micros) AS place, \
           COUNT(*) OVER (PARTITION BY slice) AS number FROM sampled) \
         SELECT slice, {}, {}, {} FROM placed GROUP BY 1",
        rank(50),
        rank(95),
        rank(99)
    );
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    Ok(Took::find_by_statement(statement).all(connection).await?)
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
