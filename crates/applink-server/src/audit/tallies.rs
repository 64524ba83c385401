//! Counts of what charts show of the ledger, per half hour: a chart reads some thousand of them instead of hundreds of
//! thousands of rows.
//!
//! 1. Rows of a segment are committed in the order of their numbers, and never change. So "up to which number" says exactly
//!    which of them are counted; what is written late, with an earlier time, has a later number all the same.
//! 2. [`count`] reads the rows behind that number, adds them up by add-on, half hour, action, actor and org, and writes the
//!    sums and the new number in one transaction. Of several processes one is first; the others find the number changed.
//! 3. When a half hour is over, the orgs beyond the [`TOLD_APART`] with the most are put together as [`OTHERS`]. The same sums
//!    are kept a second time by org, where none is put together: what is shown of one org is read there.
//! 4. [`counts`] adds up the sums and the rows that are not counted yet, in one statement: it is always exact, and never
//!    late. (Only what was put together is not told apart any more.)
//! 5. After [`KEPT`] they go; the ledger stays.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::browse::{By, Count, Counted, Query, placeholders};
use crate::app::App;
use crate::db::{StoreError, Tx};
use crate::reconcilers::{Status, StepError};

/// What is counted.
pub const ACTIONS: [&str; 8] = [
    "authorization.handed_out",
    "grant.refreshed",
    "grant.last_chance",
    "grant.dead",
    "connection.failed",
    "authorization.failed",
    "connection.reconnect_failed",
    "authorization.reconnect_failed",
];

/// Stands for the orgs that are put together.
pub const OTHERS: &str = "*";

/// Half an hour, in microseconds.
pub const SLOT: i64 = 1_800_000_000;
/// Orgs of an actor and an action that keep a count of their own when the half hour is over.
pub const TOLD_APART: i64 = 100;
/// How long counts are kept: a day more than charts show.
const KEPT: Duration = Duration::from_secs(8 * 86_400);
/// How long after its end a half hour is over. What comes later still, from a spool, has it put together once more.
const GRACE: Duration = Duration::from_secs(5 * 60);
/// Rows that are read together.
const BATCH: i64 = 5_000;
/// Batches of one run; the next one goes on.
const BATCHES: usize = 40;
/// All orgs of a half hour beside each other, the small ones put together.
const ALL: &str = "audit_tallies";
/// All half hours of an org beside each other.
const BY_ORG: &str = "audit_org_tallies";
/// Sums in one statement.
const AT_ONCE: usize = 50;
/// Half hours whose orgs are put together in one transaction, which others wait for on SQLite.
const MERGED_AT_ONCE: i64 = 2;

/// Rows of a segment that are to be counted.
#[derive(Clone, Debug, FromQueryResult)]
struct Part {
    segment: String,
    /// The last that is counted; -1 for none.
    upto: i64,
    newest: i64,
}

/// A sum.
#[derive(Clone, Debug, FromQueryResult)]
struct Tally {
    addon_id: String,
    slot: i64,
    action: String,
    actor: String,
    org_id: String,
    number: i64,
}

/// Counts what is not counted yet, and forgets what is too old. What it tells of are the sums that went: that it counted is
/// no news.
///
/// # Errors
/// [`StepError`].
pub async fn count(app: &App) -> Result<Status, StepError> {
    let now = app.clock.now();
    let since = now.minus(KEPT);
    for _ in 0..BATCHES {
        let Some(part) = next_part(app.store.reader(), since).await? else {
            let mut done = 0;
            while let Some(settled) = settle(app, now, since).await? {
                done += settled;
            }
            return Ok(Status { done });
        };
        if !take(app, &part, since).await? {
            // Another process counts.
            break;
        }
    }
    Ok(Status::default())
}

/// A segment with rows that are not counted. One that ended so long ago has none that matter.
async fn next_part(connection: &impl ConnectionTrait, since: Timestamp) -> Result<Option<Part>, StoreError> {
    const SQL: &str = "SELECT s.id AS segment, COALESCE(p.upto, -1) AS upto, \
          (SELECT MAX(r.seq) FROM audit_rows r WHERE r.segment = s.id) AS newest \
        FROM audit_segments s LEFT JOIN audit_tally_progress p ON p.name = s.id \
        WHERE (s.closed_at IS NULL OR s.closed_at >= $1) \
          AND EXISTS (SELECT 1 FROM audit_rows r WHERE r.segment = s.id AND r.seq > COALESCE(p.upto, -1)) \
        ORDER BY s.opened_at LIMIT 1";
    let statement = statement(connection, SQL, vec![since.as_micros().into()]);
    Ok(Part::find_by_statement(statement).one(connection).await?)
}

/// Adds up some rows of a segment, and writes the sums; `false` when somebody else did.
async fn take(app: &App, part: &Part, since: Timestamp) -> Result<bool, StoreError> {
    let upto = part.newest.min(part.upto + BATCH);
    let sums = sums(app.store.reader(), part, upto, since).await?;
    let tx = app.store.begin().await?;
    let merged = lock(&tx).await?;
    if progress(&*tx, &part.segment).await?.unwrap_or(-1) != part.upto {
        return Ok(false);
    }
    for some in sums.chunks(AT_ONCE) {
        add(&*tx, ALL, some).await?;
        add(&*tx, BY_ORG, some).await?;
    }
    if let Some(first) = sums.iter().map(|one| one.slot).min()
        && first <= merged
    {
        set_progress(&*tx, MERGED, first - 1).await?;
    }
    set_progress(&*tx, &part.segment, upto).await?;
    tx.commit().await?;
    Ok(true)
}

async fn sums(
    connection: &impl ConnectionTrait,
    part: &Part,
    upto: i64,
    since: Timestamp,
) -> Result<Vec<Tally>, StoreError> {
    let actions = placeholders(6, ACTIONS.len());
    let sql = format!(
        "SELECT r.addon_id AS addon_id, r.at / $1 AS slot, r.action AS action, r.actor AS actor, \
           COALESCE(c.org_id, '') AS org_id, COUNT(*) AS number \
         FROM audit_rows r JOIN addons d ON d.id = r.addon_id \
         LEFT JOIN credentials c ON c.id = r.subject AND c.addon_id = r.addon_id \
         WHERE r.segment = $2 AND r.seq > $3 AND r.seq <= $4 AND r.at >= $5 AND r.action IN ({actions}) \
         GROUP BY 1, 2, 3, 4, 5"
    );
    let mut values: Vec<Value> = vec![
        SLOT.into(),
        part.segment.as_str().into(),
        part.upto.into(),
        upto.into(),
        since.as_micros().into(),
    ];
    values.extend(ACTIONS.map(Value::from));
    let statement = statement(connection, sql, values);
    Ok(Tally::find_by_statement(statement).all(connection).await?)
}

async fn add(connection: &impl ConnectionTrait, table: &str, sums: &[Tally]) -> Result<(), StoreError> {
    const COLUMNS: usize = 6;
    let rows = (0..sums.len()).map(|row| format!("({})", placeholders(row * COLUMNS + 1, COLUMNS)));
    let sql = format!(
        "INSERT INTO {table} (addon_id, slot, action, actor, org_id, number) VALUES {} {}",
        rows.collect::<Vec<_>>().join(", "),
        added(table)
    );
    let values = sums.iter().flat_map(|one| {
        let Tally { addon_id, slot, action, actor, org_id, number } = one.clone();
        [addon_id.into(), slot.into(), action.into(), actor.into(), org_id.into(), number.into()]
    });
    connection.execute_raw(statement(connection, sql, values.collect())).await?;
    Ok(())
}

fn added(table: &str) -> String {
    format!(
        "ON CONFLICT (addon_id, slot, action, actor, org_id) DO UPDATE SET number = {table}.number + excluded.number"
    )
}

/// The row of the progress that says up to which half hour orgs are put together.
const MERGED: &str = "merged";

/// Has every other process that counts wait; up to which half hour orgs are put together.
async fn lock(tx: &Tx) -> Result<i64, StoreError> {
    let sql = "UPDATE audit_tally_progress SET upto = upto WHERE name = $1";
    tx.execute_raw(statement(&**tx, sql, vec![MERGED.into()])).await?;
    Ok(progress(&**tx, MERGED).await?.unwrap_or_default())
}

async fn progress(connection: &impl ConnectionTrait, name: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT upto FROM audit_tally_progress WHERE name = $1";
    let row = connection.query_one_raw(statement(connection, sql, vec![name.into()])).await?;
    Ok(row.map(|row| row.try_get("", "upto")).transpose()?)
}

async fn set_progress(connection: &impl ConnectionTrait, name: &str, upto: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit_tally_progress (name, upto) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET upto = excluded.upto";
    connection.execute_raw(statement(connection, sql, vec![name.into(), upto.into()])).await?;
    Ok(())
}

/// Puts the many orgs of some half hours that are over together, and drops what is too old. How many sums went; none when
/// nothing is left to do.
async fn settle(app: &App, now: Timestamp, since: Timestamp) -> Result<Option<u64>, StoreError> {
    let (oldest, over) = (slot_of(since), slot_of(now.minus(GRACE)));
    if progress(app.store.reader(), MERGED).await?.unwrap_or_default() + 1 >= over {
        return Ok(None);
    }
    let tx = app.store.begin().await?;
    let from = (lock(&tx).await? + 1).max(oldest);
    let until = over.min(from + MERGED_AT_ONCE);
    if until <= from {
        return Ok(None);
    }
    let merged = merge(&*tx, from, until).await?;
    let mut old = 0;
    for table in [ALL, BY_ORG] {
        let sql = format!("DELETE FROM {table} WHERE slot < $1");
        old += tx.execute_raw(statement(&*tx, sql, vec![oldest.into()])).await?.rows_affected();
    }
    set_progress(&*tx, MERGED, until - 1).await?;
    tx.commit().await?;
    Ok(Some(merged + old))
}

async fn merge(connection: &impl ConnectionTrait, from: i64, until: i64) -> Result<u64, StoreError> {
    let ranked = format!(
        "SELECT addon_id, slot, action, actor, org_id, number, ROW_NUMBER() OVER \
           (PARTITION BY addon_id, slot, action, actor ORDER BY number DESC, org_id) AS place \
         FROM audit_tallies WHERE slot >= $1 AND slot < $2 AND org_id <> '{OTHERS}'"
    );
    let values = || vec![from.into(), until.into(), TOLD_APART.into()];
    let put_together = format!(
        "INSERT INTO audit_tallies (addon_id, slot, action, actor, org_id, number) \
         SELECT addon_id, slot, action, actor, '{OTHERS}', CAST(SUM(number) AS BIGINT) FROM ({ranked}) AS ranked \
         WHERE place > $3 GROUP BY 1, 2, 3, 4 {}",
        added(ALL)
    );
    connection.execute_raw(statement(connection, put_together, values())).await?;
    // The sum above is of another org, so that the same rows are beyond the place.
    let drop = format!(
        "DELETE FROM audit_tallies WHERE slot >= $1 AND slot < $2 AND (addon_id, slot, action, actor, org_id) IN \
         (SELECT addon_id, slot, action, actor, org_id FROM ({ranked}) AS ranked WHERE place > $3)"
    );
    Ok(connection.execute_raw(statement(connection, drop, values())).await?.rows_affected())
}

fn slot_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(SLOT)
}

fn statement(connection: &impl ConnectionTrait, sql: impl Into<String>, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}

/// As [`browse::counts`](super::browse::counts), in slices of whole half hours.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    counted: &Counted<'_>,
) -> Result<Vec<Count>, StoreError> {
    let Query { sql, values } = counting(connection.get_database_backend(), addon, counted);
    Ok(Count::find_by_statement(statement(connection, sql, values)).all(connection).await?)
}

/// Of each segment, the rows that are not counted yet. SQLite joins in the order that is written, where it otherwise would
/// read every row of the add-on; PostgreSQL would read the whole ledger, unless it is told to look into each segment.
pub(super) fn uncounted(engine: DbBackend) -> &'static str {
    match engine {
        DbBackend::Sqlite => "CROSS JOIN audit_rows r",
        _ => {
            "CROSS JOIN LATERAL (SELECT * FROM audit_rows u \
               WHERE u.segment = s.id AND u.seq > COALESCE(p.upto, -1) OFFSET 0) r"
        }
    }
}

fn counting(engine: DbBackend, addon: AddonId, counted: &Counted<'_>) -> Query {
    let Counted { by, actions, since, length, org, app, most } = *counted;
    let values = vec![
        (length / SLOT).into(),
        length.into(),
        addon.to_string().into(),
        since.as_micros().div_euclid(SLOT).into(),
        since.as_micros().into(),
        most.into(),
    ];
    let mut query = Query { sql: String::new(), values };
    let actions = query.list(actions);
    let of_app = app.map(|app| query.of_app(app)).unwrap_or_default();
    let (table, counted_of, row_of) = if org.is_empty() {
        (ALL, String::new(), String::new())
    } else {
        let org = query.value(org);
        (BY_ORG, format!(" AND k.org_id = {org}"), format!(" AND c.org_id = {org}"))
    };
    let (counted_label, row_label) = match by {
        By::Action => ("k.action", "r.action"),
        By::Name => ("COALESCE(a.name, '(name erased)')", "COALESCE(a.name, '(name erased)')"),
        By::Org => ("k.org_id", "COALESCE(c.org_id, '')"),
    };
    let credentials = if by == By::Org || !org.is_empty() {
        "LEFT JOIN credentials c ON c.id = r.subject AND c.addon_id = r.addon_id"
    } else {
        ""
    };
    let uncounted = uncounted(engine);
    query.sql = format!(
        "WITH pieces AS (SELECT k.slot / $1 AS slice, {counted_label} AS label, k.number AS number \
             FROM {table} k LEFT JOIN audit_actors a ON a.id = k.actor \
             WHERE k.addon_id = $3 AND k.slot >= $4 AND k.action IN ({actions}){counted_of}{of_app} \
           UNION ALL SELECT r.at / $2, {row_label}, 1 \
             FROM audit_segments s LEFT JOIN audit_tally_progress p ON p.name = s.id {uncounted} \
             LEFT JOIN audit_actors a ON a.id = r.actor {credentials} \
             WHERE (s.closed_at IS NULL OR s.closed_at >= $5) AND r.segment = s.id \
               AND r.seq > COALESCE(p.upto, -1) AND r.addon_id || '' = $3 AND r.at >= $5 \
               AND r.action IN ({actions}){row_of}{of_app}), \
         counted AS (SELECT slice, label, SUM(number) AS number FROM pieces GROUP BY 1, 2), \
         ranked AS (SELECT label, ROW_NUMBER() OVER (ORDER BY SUM(number) DESC, label) AS place \
           FROM counted WHERE label <> '{OTHERS}' GROUP BY label) \
         SELECT counted.slice AS slice, \
           CASE WHEN counted.label = '{OTHERS}' OR ranked.place <= $6 THEN counted.label END AS label, \
           CAST(SUM(counted.number) AS BIGINT) AS number, (SELECT COUNT(*) FROM ranked) AS labels \
         FROM counted LEFT JOIN ranked ON ranked.label = counted.label GROUP BY 1, 2"
    );
    query
}
