//! The database: SQLite in one file, or PostgreSQL shared by several processes. One schema, one set of
//! migrations.
//!
//! * [`Database`] owns the connections. SQLite has one writer, whose transactions begin immediately, and readers
//!   beside it; PostgreSQL has one pool for both.
//! * [`Store`] adds the audit journal: a [`Tx`] collects what happened and writes it in the same commit.
//! * Times are BIGINT microseconds UTC, uuids are TEXT, ciphertext is bytes, JSON is TEXT.
//!
//! Only this file (how to connect) and [`claim`] (the statements that differ) know the engines apart.

pub mod claim;
mod connect;
mod lock;
pub mod migrations;
mod row_id;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use applink_api::clock::Clock;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

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
    /// Whether the database is away, as opposed to having refused.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Db(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Db(
                DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => {
                matches!(
                    error.as_ref(),
                    sqlx::Error::Io(_)
                        | sqlx::Error::PoolTimedOut
                        | sqlx::Error::PoolClosed
                        | sqlx::Error::WorkerCrashed
                )
            }
            _ => false,
        }
    }

    /// Whether a unique index refused the row.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Db(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))))
    }
}

/// The connections to the database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Clock,
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
        self.writer.begin_with_options(options).await
    }

    /// How far the injected clock is from the machine's, in microseconds: zero in production. Leases compare with
    /// the *database's* clock plus this.
    pub fn clock_offset(&self) -> i64 {
        self.clock.now().as_micros() - Clock::system().now().as_micros()
    }

    /// Closes the connections after the last statement.
    pub async fn close(&self) {
        for connection in [&self.reader, &self.writer] {
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
}

impl Store {
    /// Joins the two.
    pub fn new(database: Database, journal: Arc<Journal>) -> Self {
        Self { database, journal }
    }

    /// The connections.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The audit journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
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
        })
    }
}

/// A unit of work: its rows and its audit entries are committed together, or not at all (on drop).
pub struct Tx {
    inner: DatabaseTransaction,
    journal: Arc<Journal>,
    entries: Vec<Entry>,
}

impl Tx {
    /// Adds an audit entry; it is written at [`Tx::commit`].
    pub fn audit(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Writes the audit entries and commits. They come last, so that no transaction waits for a row while it
    /// holds the journal.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is committed (or, when the connection broke during COMMIT, that is unknown).
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.entries.is_empty() {
            return Ok(self.inner.commit().await?);
        }
        self.journal.commit(self.inner, self.entries).await
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
