//! The org's one SQLite database: every sObject a table, every field a column.
//!
//! How values are kept: text compares without regard to case (as SOQL does) except ids, booleans are 0 or 1,
//! days are `YYYY-MM-DD`, moments are whole seconds as microseconds since the Unix epoch, UTC.

mod text;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use thiserror::Error;

use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::entropy::Entropy;
use crate::ids;
use crate::schema::{SObject, Schema};

/// Version of the tables' layout, kept in `PRAGMA user_version`. Raise it when a column changes its meaning;
/// columns that are only added need no new version.
const LAYOUT_VERSION: i64 = 1;

const BOOKKEEPING: &str = "
    CREATE TABLE IF NOT EXISTS _id_counters (key_prefix TEXT PRIMARY KEY NOT NULL, next INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS _query_locators (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        soql TEXT NOT NULL,
        all_rows INTEGER NOT NULL,
        record_ids TEXT NOT NULL,
        created_micros INTEGER NOT NULL
    );";

/// Why the database refused.
#[derive(Debug, Error)]
pub enum DbError {
    /// The file could not be opened or its tables not be made.
    #[error("the org's database {} could not be opened; is the directory there and writable?", path.display())]
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "the org's database {} has layout {found}, newer than the {known} this program knows; use a newer program or start fresh",
        path.display()
    )]
    NewerLayout {
        /// Where it is.
        path: PathBuf,
        /// The layout found in the file.
        found: i64,
        /// The newest layout this program knows.
        known: i64,
    },
    /// A statement failed.
    #[error("the org's database refused a statement")]
    Statement(#[source] rusqlite::Error),
    /// The thread that was to do the work is gone: the program is stopping, or the work panicked.
    #[error("work on the org's database was cut short")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Statement(error)
    }
}

/// A handle on an org's database. Clones share one connection.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Mutex<Connection>,
    schema: Schema,
    clock: Clock,
    entropy: Entropy,
    instance: String,
    api_calls: AtomicU64,
}

/// A transaction with what work inside it needs: the schema, one reading of the clock, new ids.
///
/// It dereferences to the [`Connection`], so plain SQL works on it too.
pub struct Tx<'c> {
    connection: &'c Connection,
    inner: &'c Inner,
    now_micros: i64,
}

impl Database {
    /// Opens the database at `path`, or one in memory when there is none, and makes missing tables and columns.
    ///
    /// `instance` is three letters or digits that every new id carries behind its key prefix.
    ///
    /// # Errors
    /// When the file can't be opened or was written by a newer version.
    pub fn open(
        path: Option<&Path>,
        clock: Clock,
        entropy: Entropy,
        instance: &str,
    ) -> Result<Self, DbError> {
        let shown = path.map_or_else(|| PathBuf::from(":memory:"), Path::to_path_buf);
        let open_error = |source| DbError::Open { path: shown.clone(), source };
        let mut connection = match path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        }
        .map_err(open_error)?;
        configure(&connection, path.is_some()).map_err(open_error)?;
        let found: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(open_error)?;
        if found > LAYOUT_VERSION {
            return Err(DbError::NewerLayout { path: shown, found, known: LAYOUT_VERSION });
        }
        let schema = Schema::standard();
        create_tables(&mut connection, &schema).map_err(open_error)?;
        let connection = Mutex::new(connection);
        let instance = instance.to_owned();
        let inner = Inner { connection, schema, clock, entropy, instance, api_calls: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The org's sObjects.
    pub fn schema(&self) -> &Schema {
        &self.inner.schema
    }

    /// Runs `work` on a consistent snapshot. What it writes is rolled back.
    ///
    /// # Errors
    /// Whatever `work` answers, or what SQLite says.
    pub fn read<R, E: From<DbError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<R, E>) -> Result<R, E> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(DbError::from)?;
        work(&self.tx(&transaction))
    }

    /// Runs `work` in a transaction that commits when it answers `Ok` and rolls back otherwise.
    ///
    /// # Errors
    /// Whatever `work` answers, or what SQLite says.
    pub fn write<R, E: From<DbError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<R, E>) -> Result<R, E> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
        let answer = work(&self.tx(&transaction))?;
        transaction.commit().map_err(DbError::from)?;
        Ok(answer)
    }

    /// Runs `work` on a thread of its own kind: there is one connection, and whoever waits for it blocks.
    ///
    /// # Errors
    /// Whatever `work` answers, or [`DbError::Interrupted`].
    pub async fn call<R, E>(&self, work: impl FnOnce(&Self) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let db = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&db)).await;
        done.unwrap_or_else(|error| Err(DbError::Interrupted(error).into()))
    }

    /// Counts one API request and answers how many there were since the org started.
    pub fn count_api_call(&self) -> u64 {
        self.inner.api_calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many API requests were counted.
    pub fn api_calls(&self) -> u64 {
        self.inner.api_calls.load(Ordering::Relaxed)
    }

    /// A panic while the lock was held has rolled its transaction back, so the connection is sound.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tx<'c>(&'c self, connection: &'c Connection) -> Tx<'c> {
        Tx { connection, inner: &self.inner, now_micros: self.inner.clock.now_micros() }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("instance", &self.inner.instance).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("now_micros", &self.now_micros).finish_non_exhaustive()
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl<'c> Tx<'c> {
    /// The org's sObjects.
    pub fn schema(&self) -> &'c Schema {
        &self.inner.schema
    }

    /// When this transaction began, microseconds since the Unix epoch, UTC.
    pub fn now_micros(&self) -> i64 {
        self.now_micros
    }

    /// When this transaction began, cut to the second as rows keep it.
    pub fn now_row_micros(&self) -> i64 {
        self.now_micros - self.now_micros.rem_euclid(MICROS_PER_SECOND)
    }

    /// The org's randomness.
    pub fn entropy(&self) -> &'c Entropy {
        &self.inner.entropy
    }

    /// An id nobody has had yet, 18 characters, for an sObject's key prefix (or another three characters).
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn new_id(&self, key_prefix: &str) -> Result<String, DbError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("UPDATE _id_counters SET next = next + 1 WHERE key_prefix = ?1 RETURNING next")?
            .query_row([key_prefix], |row| row.get(0))
            .optional()?;
        let counter = match next {
            Some(counter) => counter,
            None => self.start_counter(key_prefix)?,
        };
        Ok(ids::mint(key_prefix, &self.inner.instance, counter.unsigned_abs()))
    }

    /// Counters start somewhere random, so that ids of two orgs don't coincide and nobody guesses them.
    fn start_counter(&self, key_prefix: &str) -> Result<i64, DbError> {
        const FOUR_DIGITS: u64 = 62 * 62 * 62 * 62;
        let start = i64::try_from(self.inner.entropy.next_u64() % FOUR_DIGITS).unwrap_or_default();
        self.connection
            .execute("INSERT INTO _id_counters (key_prefix, next) VALUES (?1, ?2)", (key_prefix, start))?;
        Ok(start)
    }

    /// Runs `work` so that its writes are undone when it fails, without ending the transaction.
    ///
    /// # Errors
    /// Whatever `work` answers, or what SQLite says.
    pub fn savepoint<R, E: From<DbError>>(&self, work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.connection.execute_batch("SAVEPOINT inner").map_err(DbError::from)?;
        let answer = work();
        let end = if answer.is_ok() { "RELEASE inner" } else { "ROLLBACK TO inner; RELEASE inner" };
        self.connection.execute_batch(end).map_err(DbError::from)?;
        answer
    }
}

fn configure(connection: &Connection, is_file: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(256);
    text::install(connection)?;
    if is_file {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    Ok(())
}

fn create_tables(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(BOOKKEEPING)?;
    transaction.execute_batch(crate::rest::BULK_TABLES)?;
    transaction.execute_batch(crate::tables::TABLES)?;
    transaction.execute_batch(crate::data_cloud::TABLES)?;
    for object in schema.objects().iter().filter(|object| object.view.is_none()) {
        create_table(&transaction, object)?;
    }
    transaction.pragma_update(None, "user_version", LAYOUT_VERSION)?;
    transaction.commit()
}

fn create_table(connection: &Connection, object: &SObject) -> rusqlite::Result<()> {
    let table = &object.name;
    let known: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let stored = || object.fields.iter().filter(|field| field.computed.is_none());
    if known.is_empty() {
        let columns: Vec<String> =
            stored().map(|field| format!("\"{}\" {}", field.name, field.kind.column_type())).collect();
        connection.execute_batch(&format!("CREATE TABLE \"{table}\" ({})", columns.join(", ")))?;
    } else {
        for field in stored().filter(|field| !known.contains(&field.name)) {
            let column = field.kind.column_type();
            connection
                .execute_batch(&format!("ALTER TABLE \"{table}\" ADD COLUMN \"{}\" {column}", field.name))?;
        }
    }
    for field in stored().filter(|field| field.reference().is_some() || field.unique) {
        let name = &field.name;
        connection.execute_batch(&format!(
            "CREATE INDEX IF NOT EXISTS \"{table}_{name}\" ON \"{table}\" (\"{name}\")"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: Option<&Path>) -> Result<Database, DbError> {
        Database::open(path, Clock::fixed(1_700_000_000_500_000), Entropy::seeded(1), "Sm1")
    }

    #[test]
    fn ids_count_up_and_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("org.db");
        let first = open(Some(&path)).unwrap().write(|tx| tx.new_id("001")).unwrap();
        let second = open(Some(&path)).unwrap().write(|tx| tx.new_id("001")).unwrap();
        assert_eq!(ids::normalize(&first), Some(first.clone()));
        assert_ne!(first, second);
        assert_eq!(ids::key_prefix(&second), "001");
    }

    #[test]
    fn a_newer_layout_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("org.db");
        drop(open(Some(&path)).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open(Some(&path)).unwrap_err();
        assert!(matches!(error, DbError::NewerLayout { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("org.db"), "{error}");
    }

    #[test]
    fn a_failed_savepoint_undoes_only_itself() {
        let db = open(None).unwrap();
        let count = db
            .write(|tx| {
                tx.new_id("001")?;
                let failed: Result<(), DbError> = tx.savepoint(|| {
                    tx.new_id("003")?;
                    Err(DbError::Statement(rusqlite::Error::InvalidQuery))
                });
                assert!(failed.is_err());
                Ok::<i64, DbError>(tx.query_row("SELECT count(*) FROM _id_counters", [], |row| row.get(0))?)
            })
            .unwrap();
        assert_eq!(count, 1);
    }

    #[tokio::test]
    async fn a_call_that_waits_holds_nobody_up() {
        let db = open(None).unwrap();
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let call =
            db.call(move |db| db.read(|_| Ok::<_, DbError>(held.recv_timeout(Duration::from_secs(60)))));
        // On the only async thread, this side would never come to let go.
        let (waited, ()) = tokio::join!(call, async { let_go.send(()).unwrap() });
        waited.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_error_and_the_database_goes_on() {
        let db = open(None).unwrap();
        let cut = db.call(|db| db.write(|_| -> Result<(), DbError> { panic!("as asked") })).await;
        assert!(matches!(cut, Err(DbError::Interrupted(_))), "{cut:?}");
        db.write(|tx| tx.new_id("001")).unwrap();
    }

    #[test]
    fn reading_leaves_nothing_behind() {
        let db = open(None).unwrap();
        db.read(|tx| tx.new_id("001")).unwrap();
        let count: i64 = db
            .read(|tx| {
                Ok::<_, DbError>(tx.query_row("SELECT count(*) FROM _id_counters", [], |row| row.get(0))?)
            })
            .unwrap();
        assert_eq!(count, 0);
    }
}
