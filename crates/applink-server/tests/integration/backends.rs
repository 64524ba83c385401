//! A database of one's own for every test: a SQLite file, or a schema on the PostgreSQL server that
//! `APPLINK_TEST_POSTGRES` names.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use applink_server::db::DatabaseUrl;
use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;

/// The database and what keeps it alive.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) url: DatabaseUrl,
    pub(crate) is_sqlite: bool,
    /// The URL, for a process of its own.
    text: String,
    folder: TempDir,
}

impl Backend {
    pub(crate) async fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        match server() {
            None => {
                let text = format!("sqlite://{}", folder.path().join("applink.db").display());
                Self { url: text.parse().expect("a database URL"), is_sqlite: true, text, folder }
            }
            Some(server) => {
                let text = schema(&server).await;
                Self { url: text.parse().expect("a database URL"), is_sqlite: false, text, folder }
            }
        }
    }

    /// The URL as text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Holds the database file and nothing else.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's configuration is read here and nowhere else")]
pub(crate) fn server() -> Option<String> {
    std::env::var("APPLINK_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

async fn schema(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let connection = Database::connect(server).await.expect("APPLINK_TEST_POSTGRES names a server that runs");
    connection.execute_unprepared(&format!("CREATE SCHEMA {name}")).await.expect("a schema");
    connection.close().await.expect("closing");
    let separator = if server.contains('?') { '&' } else { '?' };
    format!("{server}{separator}options=-csearch_path%3D{name}")
}
