//! The database: SQLite in one file, or PostgreSQL shared by several processes. One schema, one set of
//! migrations.
//!
//! * [`Database`] owns the connections. SQLite has one writer, whose transactions begin immediately, and readers
//!   beside it; PostgreSQL has one pool for both.
//! * [`Store`] adds the audit journal: a [`Tx`] collects what happened and writes it in the same commit.
//! * Times are BIGINT microseconds UTC, uuids are TEXT, ciphertext is bytes, JSON is TEXT.
//!
//! Only this file (how to connect) and [`claim`] (the statements that differ) know the engines apart.

mod checkpoints;
pub mod claim;
mod connect;
mod lock;
pub mod migrations;
mod row_id;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::audit::{Entry, Journal};
pub use connect::DatabaseUrl;
pub use row_id::RowId;

/// Which database this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// One file, one process.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

/// The database can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// `DATABASE_URL` names neither engine.
    #[error("DATABASE_URL must start with `sqlite:` or `postgres:`")]
    Scheme,
    /// The rest of the URL can't be read. Its text may hold a password and is not repeated.
    #[error(
        "DATABASE_URL can't be read: write sqlite:///path/to/applink.db or postgres://user:password@host/database"
    )]
    Url,
    /// Another process has the file.
    #[error(
        "the database {path} is in use by another AppLink process{owner}: stop it, or use PostgreSQL to run several"
    )]
    InUse {
        /// The database file.
        path: String,
        /// ` (process 123)` when known.
        owner: String,
    },
    /// The file or its folder can't be used.
    #[error("the database file {path} can't be opened: check that the folder exists and may be written")]
    File {
        /// The database file or its lock file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server or file doesn't answer.
    #[error("the database can't be opened: check DATABASE_URL and that the server runs")]
    Connect(#[source] DbErr),
    /// Migrations of a newer version are there.
    #[error(
        "the database was written by a newer AppLink (its schema has {unknown}): start that version, or restore a backup"
    )]
    Newer {
        /// The first migration this version doesn't know.
        unknown: String,
    },
    /// A migration failed; the database is as it was before.
    #[error("the database could not be migrated; it is as it was before")]
    Migrate(#[source] DbErr),
}

/// A query failed, or a row holds what it must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or is away.
    #[error("the database refused a statement")]
    Db(#[source] DbErr),
    /// Somebody else changed the row at the same time.
    #[error("the row is being changed by somebody else")]
    Busy,
    /// A column holds a value this version can't read.
    #[error("column {column} of row {row} in table {table} holds an impossible value")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: String,
    },
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        Self::Db(error)
    }
}

impl StoreError {
    /// Whether the database is away or takes no writes (its disk is full, it is read-only, it restarts), as opposed to
    /// having refused this statement.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Db(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Db(
                DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => match error.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| means_away(&code)),
                _ => false,
            },
            Self::Busy => true,
            _ => false,
        }
    }

    /// The database did not answer in time.
    pub(crate) fn timed_out() -> Self {
        Self::Db(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Whether a unique index refused the row.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Db(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))))
    }
}

/// SQLite's result codes are decimal, with details above the lowest byte; PostgreSQL's have five characters.
fn means_away(code: &str) -> bool {
    /// BUSY, READONLY, IOERR, FULL, CANTOPEN.
    const SQLITE: [i64; 5] = [5, 8, 10, 13, 14];
    /// Connection exceptions, no resources (a full disk, too many connections), the operator's interventions
    /// (shutting down, starting up, a statement or a lock that took too long), system errors (I/O), transactions that
    /// are to be tried again; a read-only transaction, and one that rested too long.
    const POSTGRES: [&str; 8] = ["08", "40", "53", "55P03", "57", "58", "25006", "25P03"];
    if code.len() == 5 {
        return POSTGRES.iter().any(|class| code.starts_with(class));
    }
    code.parse::<i64>().is_ok_and(|code| SQLITE.contains(&(code & 0xff)))
}

/// How long a commit may take, and audit rows may wait for theirs before the spool takes them.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// Waits for the database until then. What is cut off may have been committed all the same.
pub(crate) async fn in_time<T>(
    until: Instant,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout_at(until, work).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
}

/// The connections to the database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Clock,
    /// SQLite only.
    checkpoints: Option<Arc<checkpoints::Checkpoints>>,
    /// Held for as long as the process has the file.
    _file_lock: Option<Arc<lock::FileLock>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`]; a database of a newer version is left alone.
    pub async fn open(url: &DatabaseUrl, clock: Clock) -> Result<Self, OpenError> {
        let database = Self::connect(url, clock).await?;
        migrations::run(&database).await?;
        Ok(database)
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// For reads outside a transaction. They see what is committed.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For what runs in no transaction, such as VACUUM and PRAGMA.
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Begins a write transaction. On SQLite it is immediate: it waits for the one writer here and never fails
    /// half-way because another one got there first.
    ///
    /// # Errors
    /// [`DbErr`] when no connection is to be had.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (self.engine == Engine::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.count();
        }
        self.writer.begin_with_options(options).await
    }

    /// SQLite's one writer, for a statement that is a transaction by itself. None on PostgreSQL.
    pub(crate) async fn sqlite_writer(&self) -> Result<Option<PoolConnection<Sqlite>>, StoreError> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(None) };
        checkpoints.count();
        let acquired = self.writer.get_sqlite_connection_pool().acquire().await;
        acquired
            .map(Some)
            .map_err(|error| StoreError::Db(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))))
    }

    /// How far the injected clock is from the machine's, in microseconds: zero in production. Leases compare with
    /// the *database's* clock plus this.
    pub fn clock_offset(&self) -> i64 {
        self.clock.now().as_micros() - Clock::system().now().as_micros()
    }

    /// Frees what deleted rows took, so that nothing of them is left in the files.
    ///
    /// # Errors
    /// [`DbErr`]; then what was deleted may still be there.
    pub async fn vacuum(&self) -> Result<(), DbErr> {
        self.writer.execute_unprepared("VACUUM").await?;
        if let Some(checkpoints) = &self.checkpoints {
            let _turn = checkpoints.turn().await;
            self.writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        Ok(())
    }

    /// Closes the connections after the last statement.
    pub async fn close(&self) {
        let checkpoints = self.checkpoints.iter().map(|checkpoints| checkpoints.connection());
        for connection in checkpoints.chain([&self.reader, &self.writer]) {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(error = %error, "a database connection did not close cleanly");
            }
        }
    }
}

/// The database with the audit journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    journal: Arc<Journal>,
    /// Something was committed since somebody asked.
    changed: Arc<AtomicBool>,
    told: Arc<Notify>,
}

impl Store {
    /// Joins the two.
    pub fn new(database: Database, journal: Arc<Journal>) -> Self {
        Self { database, journal, changed: Arc::default(), told: Arc::default() }
    }

    /// The connections.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The audit journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Woken by every commit after which an endpoint is to be told something.
    pub(crate) fn told(&self) -> &Arc<Notify> {
        &self.told
    }

    /// For reads outside a transaction.
    pub fn reader(&self) -> &DatabaseConnection {
        self.database.reader()
    }

    /// Begins a unit of work.
    ///
    /// # Errors
    /// [`StoreError`] when no connection is to be had.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx {
            inner: self.database.begin().await?,
            journal: Arc::clone(&self.journal),
            entries: Vec::new(),
            changed: Arc::clone(&self.changed),
            told: Arc::clone(&self.told),
            tells: AtomicBool::new(false),
        })
    }

    /// Whether this process committed a unit of work since this was asked last.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.load(Ordering::SeqCst) && self.changed.swap(false, Ordering::SeqCst)
    }

    /// Writes audit entries and nothing else.
    ///
    /// # Errors
    /// [`StoreError`], as [`Tx::commit`]; also when all of it, waiting for the journal included, takes too long.
    pub async fn record(&self, entries: &[Entry]) -> Result<(), StoreError> {
        in_time(Instant::now() + PATIENCE, self.journal.record(&self.database, entries)).await
    }
}

/// A unit of work: its rows and its audit entries are committed together, or not at all (on drop).
pub struct Tx {
    inner: DatabaseTransaction,
    journal: Arc<Journal>,
    entries: Vec<Entry>,
    changed: Arc<AtomicBool>,
    told: Arc<Notify>,
    tells: AtomicBool,
}

impl Tx {
    /// Adds an audit entry; it is written at [`Tx::commit`].
    pub fn audit(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The time.
    pub(crate) fn clock(&self) -> &Clock {
        self.journal.clock()
    }

    /// Random bytes.
    pub(crate) fn entropy(&self) -> &Entropy {
        self.journal.entropy()
    }

    /// Deliveries are due once this is committed.
    pub(crate) fn wake_webhooks(&self) {
        self.tells.store(true, Ordering::Relaxed);
    }

    /// Writes the audit entries and commits. They come last, so that no transaction waits for a row while it
    /// holds the journal.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is committed (or, when the connection broke during COMMIT or that took too long,
    /// it is unknown).
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = if self.entries.is_empty() {
            in_time(Instant::now() + PATIENCE, async { Ok(self.inner.commit().await?) }).await
        } else {
            self.journal.commit(self.inner, &self.entries).await
        };
        self.changed.store(true, Ordering::SeqCst);
        if self.tells.into_inner() {
            self.told.notify_one();
        }
        committed
    }
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tx({} audit entries)", self.entries.len())
    }
}
