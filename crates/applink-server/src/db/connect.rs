//! Opening the connections.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use applink_api::clock::Clock;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector, SqlxSqliteConnector};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::checkpoints::{Checkpoints, LOG_PAGES};
use super::lock::FileLock;
use super::{Database, Engine, OpenError};

/// How long a request waits for a free connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections per process to PostgreSQL: five processes stay below the server's default of 100 with room to spare.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long PostgreSQL lets a session wait for somebody else's lock, run one statement, or rest within a transaction: a
/// process that stopped in the middle of one must not stop the others. Set once connected, since poolers in between
/// refuse it as a parameter of connecting.
const POSTGRES_LIMITS: &str = "SET lock_timeout = '10s'; SET statement_timeout = '5min'; SET idle_in_transaction_session_timeout = '1min'";
/// Concurrent readers of the SQLite file; WAL lets them run beside the writer.
const SQLITE_READERS: u32 = 4;
/// Statements that a connection need not parse again, those that append 1, 2, 3, … rows to the audit log among them.
const SQLITE_STATEMENTS: usize = 256;
/// How long SQLite waits for its file lock: only a foreign program can hold it.
const SQLITE_BUSY: Duration = Duration::from_secs(5);

/// Where the database is, with its password.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// Checks the scheme.
    ///
    /// # Errors
    /// [`OpenError::Scheme`].
    pub fn parse(url: SecretString) -> Result<Self, OpenError> {
        let text = url.expose_secret();
        let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme));
        if known { Ok(Self(url)) } else { Err(OpenError::Scheme) }
    }

    /// A SQLite file.
    pub fn sqlite(path: &std::path::Path) -> Self {
        Self(SecretString::from(format!("sqlite://{}", path.display())))
    }

    /// The file, when it is SQLite.
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        if !self.is_sqlite() {
            return None;
        }
        let options = SqliteConnectOptions::from_str(self.0.expose_secret()).ok()?;
        Some(options.get_filename().to_owned()).filter(|path| !path.as_os_str().is_empty())
    }

    fn is_sqlite(&self) -> bool {
        self.0.expose_secret().starts_with("sqlite:")
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        Self::parse(SecretString::from(text))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_sqlite() { "DatabaseUrl(sqlite)" } else { "DatabaseUrl(postgres)" })
    }
}

impl Database {
    /// Connects without touching the schema.
    pub(super) async fn connect(url: &DatabaseUrl, clock: Clock) -> Result<Self, OpenError> {
        if url.is_sqlite() { connect_sqlite(url, clock).await } else { connect_postgres(url, clock).await }
    }
}

async fn connect_sqlite(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
    let options = SqliteConnectOptions::from_str(url.0.expose_secret()).map_err(|_| OpenError::Url)?;
    let path = PathBuf::from(options.get_filename());
    if path.as_os_str().is_empty() || path.to_string_lossy().starts_with("file:") {
        // Every connection of the pools would have a database of its own.
        return Err(OpenError::Url);
    }
    let lock = FileLock::acquire(&path)?;
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL may lose the last commits of WAL at a power cut: a rotated refresh token must not get lost.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(SQLITE_BUSY)
        // Freed pages are overwritten: an erased ciphertext leaves the file.
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .statement_cache_capacity(SQLITE_STATEMENTS)
        .disable_statement_logging();
    let writer = sqlite_pool(options.clone(), 1).await?;
    let checkpoints = Some(Arc::new(Checkpoints::start(sqlite_pool(options.clone(), 1).await?)));
    let reader = sqlite_pool(options.pragma("query_only", "ON"), SQLITE_READERS).await?;
    let _file_lock = Some(Arc::new(lock));
    Ok(Database { engine: Engine::Sqlite, writer, reader, clock, checkpoints, _file_lock })
}

async fn sqlite_pool(
    options: SqliteConnectOptions,
    connections: u32,
) -> Result<DatabaseConnection, OpenError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        // A connection to a file does not go away: asking it each time costs as much as a read.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(connect_failed)?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

async fn connect_postgres(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
    let options = PgConnectOptions::from_str(url.0.expose_secret()).map_err(|_| OpenError::Url)?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(POSTGRES_LIMITS).execute(connection).await.map(drop) })
        })
        .connect_with(options.application_name("applink").disable_statement_logging())
        .await
        .map_err(connect_failed)?;
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    Ok(Database {
        engine: Engine::Postgres,
        writer: connection.clone(),
        reader: connection,
        clock,
        checkpoints: None,
        _file_lock: None,
    })
}

fn connect_failed(error: sqlx::Error) -> OpenError {
    OpenError::Connect(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}
