//! Groups entries that need no other change into one commit, and tells each caller when its own is durable.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Entry;
use crate::db::{Store, StoreError};

/// An entry waits at most this long for company.
pub const MAX_WAIT: Duration = Duration::from_millis(2);
/// At most this many entries in one commit.
pub const MAX_GROUP: usize = 128;
/// Callers that may wait at once before further ones wait in turn.
const QUEUE: usize = 1024;

/// The entry was not recorded, so what it is about must not happen.
#[derive(Debug, thiserror::Error)]
#[error("the audit entry could not be written")]
pub struct NotRecorded(#[source] Option<std::sync::Arc<StoreError>>);

impl NotRecorded {
    /// Whether the database is away.
    pub fn is_unavailable(&self) -> bool {
        self.0.as_ref().is_none_or(|error| error.is_unavailable())
    }
}

type Waiting = (Entry, oneshot::Sender<Result<(), NotRecorded>>);

/// Where callers hand in entries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Waiting>,
}

impl Recorder {
    /// Starts the writer. When told to stop, it writes everything handed in and ends.
    pub fn start(store: Store, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writing = tokio::spawn(write_groups(store, waiting, stop));
        (Self { queue }, writing)
    }

    /// Records an entry; returns once it is committed.
    ///
    /// # Errors
    /// [`NotRecorded`]: then the caller must not be answered as if it were.
    pub async fn record(&self, entry: Entry) -> Result<(), NotRecorded> {
        let (done, written) = oneshot::channel();
        self.queue.send((entry, done)).await.map_err(|_| NotRecorded(None))?;
        written.await.unwrap_or(Err(NotRecorded(None)))
    }
}

async fn write_groups(store: Store, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    while let Some(first) = next(&mut waiting, &stop).await {
        let group = gather(first, &mut waiting).await;
        let (entries, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcome = write(&store, entries).await.map_err(std::sync::Arc::new);
        for caller in callers {
            // A caller that went away needs no answer.
            let _ = caller.send(outcome.clone().map_err(|error| NotRecorded(Some(error))));
        }
    }
}

/// Once told to stop, only what was handed in before is still taken.
async fn next(waiting: &mut mpsc::Receiver<Waiting>, stop: &CancellationToken) -> Option<Waiting> {
    tokio::select! {
        next = waiting.recv() => next,
        () = stop.cancelled() => {
            waiting.close();
            waiting.recv().await
        }
    }
}

async fn gather(first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let mut group = vec![first];
    let deadline = Instant::now() + MAX_WAIT;
    while group.len() < MAX_GROUP {
        match tokio::time::timeout_at(deadline, waiting.recv()).await {
            Ok(Some(next)) => group.push(next),
            Ok(None) | Err(_) => break,
        }
    }
    group
}

async fn write(store: &Store, entries: Vec<Entry>) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for entry in entries {
        tx.audit(entry);
    }
    tx.commit().await
}
