//! Moves SQLite's write-ahead log into the file beside the commits. Left to itself, the commit that fills the log does this, and
//! everybody who waits for that commit waits for some thousand pages and two more syncs of the disk.
//!
//! 1. Every [`EACH`] transactions the task here is woken. It moves what it can without holding anybody up (`PASSIVE`).
//! 2. Writers go on at the log's end meanwhile, so under load the log never becomes empty and keeps growing. At
//!    [`LOG_PAGES`] a commit moves the rest, which is little by then, and the log begins anew.
//! 3. Who must have an empty log takes the [turn](Checkpoints::turn): SQLite refuses a second checkpoint at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio_util::task::AbortOnDropHandle;

/// Transactions from one time to the next: some hundred to thousand pages.
const EACH: u32 = 256;
/// Pages of the log after which a commit moves the rest, as SQLite wants it: 64 MiB.
pub(super) const LOG_PAGES: &str = "16000";

/// The task, and what wakes it.
pub(super) struct Checkpoints {
    begun: AtomicU32,
    due: Arc<Notify>,
    turn: Arc<Mutex<()>>,
    connection: DatabaseConnection,
    _task: AbortOnDropHandle<()>,
}

impl Checkpoints {
    /// Starts the task, which ends with this value. The connection is its own.
    pub(super) fn start(connection: DatabaseConnection) -> Self {
        let (due, turn) = (Arc::<Notify>::default(), Arc::<Mutex<()>>::default());
        let task = tokio::spawn(run(connection.clone(), Arc::clone(&due), Arc::clone(&turn)));
        Self { begun: AtomicU32::new(0), due, turn, connection, _task: AbortOnDropHandle::new(task) }
    }

    /// Another transaction begins.
    pub(super) fn count(&self) {
        if self.begun.fetch_add(1, Ordering::Relaxed) % EACH == EACH - 1 {
            self.due.notify_one();
        }
    }

    /// For as long as it is held, the task does nothing.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The task's connection.
    pub(super) fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }
}

async fn run(connection: DatabaseConnection, due: Arc<Notify>, turn: Arc<Mutex<()>>) {
    loop {
        due.notified().await;
        let _turn = turn.lock().await;
        // What stays in the log is moved the next time, or by a commit.
        if let Err(error) = connection.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::warn!(error = %error, "the database's log could not be moved into its file");
        }
    }
}
