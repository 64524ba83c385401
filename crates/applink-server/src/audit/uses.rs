//! Who fetched the token of an authorization, and when last: read out of the ledger ahead of time, so that a page need not
//! look through all of it.
//!
//! 1. Rows of a segment are committed in the order of their numbers, and never change. So "up to which number" says exactly
//!    which of them were read (as in [`tallies`](super::tallies), whose numbers are others: they leave out what is too old).
//! 2. [`note`] reads the rows behind that number, and writes for each authorization and actor the latest time. To do that
//!    twice changes nothing, so processes need not wait for each other.
//! 3. [`handed_out_to`] takes what is noted and the rows that were not read yet, in one statement: it covers the whole
//!    ledger at any time, also while an old one is being read for the first time.
//! 4. What is noted goes with the authorization; the ledger stays.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::browse::placeholders;
use super::tallies::uncounted;
use crate::app::App;
use crate::db::StoreError;
use crate::reconcilers::{Status, StepError};

/// Rows that are read together.
const BATCH: i64 = 5_000;
/// Batches of one run; the next one goes on.
const BATCHES: usize = 40;
/// Lines in one statement.
const AT_ONCE: usize = 100;
/// How many of those who fetched a token a page shows.
pub const SHOWN: i64 = 50;

/// Rows of a segment that are to be read.
#[derive(Clone, Debug, FromQueryResult)]
struct Part {
    segment: String,
    /// The last that was read; -1 for none.
    upto: i64,
    newest: i64,
}

/// Somebody, an authorization, and when last.
#[derive(Clone, Debug, FromQueryResult)]
struct Use {
    subject: String,
    actor: String,
    last: i64,
}

/// Reads what was not read yet.
///
/// # Errors
/// [`StepError`].
pub async fn note(app: &App) -> Result<Status, StepError> {
    for _ in 0..BATCHES {
        let Some(part) = next_part(app.store.reader()).await? else { break };
        take(app, &part).await?;
    }
    // That it read is no news.
    Ok(Status::default())
}

async fn next_part(connection: &impl ConnectionTrait) -> Result<Option<Part>, StoreError> {
    const SQL: &str = "SELECT s.id AS segment, COALESCE(p.upto, -1) AS upto, \
          (SELECT MAX(r.seq) FROM audit_rows r WHERE r.segment = s.id) AS newest \
        FROM audit_segments s LEFT JOIN audit_use_progress p ON p.segment = s.id \
        WHERE EXISTS (SELECT 1 FROM audit_rows r WHERE r.segment = s.id AND r.seq > COALESCE(p.upto, -1)) \
        ORDER BY s.opened_at LIMIT 1";
    let statement = statement(connection, SQL, Vec::new());
    Ok(Part::find_by_statement(statement).one(connection).await?)
}

async fn take(app: &App, part: &Part) -> Result<(), StoreError> {
    let upto = part.newest.min(part.upto + BATCH);
    let uses = uses(app.store.reader(), part, upto).await?;
    let tx = app.store.begin().await?;
    for some in uses.chunks(AT_ONCE) {
        add(&*tx, some).await?;
    }
    // Another process may have come further.
    let sql = format!(
        "INSERT INTO audit_use_progress (segment, upto) VALUES ($1, $2) ON CONFLICT (segment) DO UPDATE SET upto = {}",
        later("upto", "audit_use_progress")
    );
    tx.execute_raw(statement(&*tx, sql, vec![part.segment.as_str().into(), upto.into()])).await?;
    tx.commit().await
}

/// In one order for all, so that no two processes wait for each other in a circle.
async fn uses(connection: &impl ConnectionTrait, part: &Part, upto: i64) -> Result<Vec<Use>, StoreError> {
    const SQL: &str = "SELECT r.subject AS subject, r.actor AS actor, MAX(r.at) AS last FROM audit_rows r \
        JOIN credentials c ON c.id = r.subject AND c.addon_id = r.addon_id \
        WHERE r.segment = $1 AND r.seq > $2 AND r.seq <= $3 AND r.action = 'authorization.handed_out' \
        GROUP BY r.subject, r.actor ORDER BY r.subject, r.actor";
    let values = vec![part.segment.as_str().into(), part.upto.into(), upto.into()];
    Ok(Use::find_by_statement(statement(connection, SQL, values)).all(connection).await?)
}

async fn add(connection: &impl ConnectionTrait, uses: &[Use]) -> Result<(), StoreError> {
    const COLUMNS: usize = 3;
    let rows = (0..uses.len()).map(|row| format!("({})", placeholders(row * COLUMNS + 1, COLUMNS)));
    let sql = format!(
        "INSERT INTO audit_uses (subject, actor, last) VALUES {} ON CONFLICT (subject, actor) DO UPDATE SET last = {}",
        rows.collect::<Vec<_>>().join(", "),
        later("last", "audit_uses")
    );
    let values = uses.iter().flat_map(|one| {
        let Use { subject, actor, last } = one.clone();
        [subject.into(), actor.into(), last.into()]
    });
    connection.execute_raw(statement(connection, sql, values.collect())).await?;
    Ok(())
}

fn later(column: &str, table: &str) -> String {
    format!("CASE WHEN excluded.{column} > {table}.{column} THEN excluded.{column} ELSE {table}.{column} END")
}

/// Who fetched the token of an authorization, the last first, and when last; the first [`SHOWN`] of them. Whose name was
/// erased is left out.
///
/// # Errors
/// [`StoreError`].
pub async fn handed_out_to(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    authorization: Uuid,
) -> Result<Vec<(String, Timestamp)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Named {
        name: String,
        latest: i64,
    }
    let unread = uncounted(connection.get_database_backend());
    let sql = format!(
        "WITH pieces AS (SELECT u.actor AS actor, u.last AS at FROM audit_uses u WHERE u.subject = $2 \
           UNION ALL SELECT r.actor, r.at \
             FROM audit_segments s LEFT JOIN audit_use_progress p ON p.segment = s.id {unread} \
             WHERE r.segment = s.id AND r.seq > COALESCE(p.upto, -1) AND r.addon_id || '' = $1 AND r.subject = $2 \
               AND r.action = 'authorization.handed_out') \
         SELECT a.name AS name, MAX(pieces.at) AS latest FROM pieces JOIN audit_actors a ON a.id = pieces.actor \
         WHERE a.name IS NOT NULL GROUP BY a.name ORDER BY latest DESC, name LIMIT $3"
    );
    let values = vec![addon.to_string().into(), authorization.to_string().into(), SHOWN.into()];
    let found = Named::find_by_statement(statement(connection, sql, values)).all(connection).await?;
    Ok(found.into_iter().map(|one| (one.name, Timestamp::from_micros(one.latest))).collect())
}

fn statement(connection: &impl ConnectionTrait, sql: impl Into<String>, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
