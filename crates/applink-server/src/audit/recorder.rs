//! Groups entries that need no other change into one commit, and tells each caller when its own is durable. While the
//! database takes no writes, the [spool](crate::spool) does, for a while.

use std::collections::{HashMap, hash_map};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Actor, Entry};
use crate::db::{Store, StoreError};
use crate::spool::{Spool, SpoolError};

/// An entry waits at most this long for company.
pub const MAX_WAIT: Duration = Duration::from_millis(2);
/// At most this many entries in one commit.
pub const MAX_GROUP: usize = 128;
/// Callers that may wait at once before further ones wait in turn.
const QUEUE: usize = 1024;

/// The entry was not recorded, so what it is about must not happen.
#[derive(Debug, thiserror::Error)]
#[error("the audit entry could not be written")]
pub struct NotRecorded(#[source] Option<Arc<NotWritten>>);

/// Neither database nor spool took a group.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error("the database refused it")]
    Store(#[source] StoreError),
    #[error("the database is away and the spool takes nothing")]
    Spool(#[source] SpoolError),
}

type Waiting = (Entry, oneshot::Sender<Result<(), NotRecorded>>);

/// How reads are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reads {
    /// One row for each.
    #[default]
    Each,
    /// One row per minute, actor and thing, written before the first of them is answered; how many followed is written
    /// with the next, or when the minute is over.
    PerMinute,
}

/// Where callers hand in entries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Waiting>,
    reads: Reads,
    counts: Arc<Mutex<HashMap<Read, Count>>>,
    spool: Spool,
    coming: Arc<AtomicUsize>,
}

/// Somebody who is about to hand an entry in; the commit under preparation waits a moment for it.
#[derive(Debug)]
pub struct Coming(Arc<AtomicUsize>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads that share a row.
type Read = (Actor, &'static str, Option<AddonId>, Option<Uuid>);

/// Reads of one minute after the one that has a row.
#[derive(Clone, Debug)]
struct Count {
    minute: i64,
    followed: u64,
    entry: Entry,
}

impl Recorder {
    /// Starts the writer. When told to stop, it writes everything handed in and ends.
    pub fn start(store: Store, spool: Spool, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let coming = Arc::<AtomicUsize>::default();
        let writer = Writer { store, spool: spool.clone(), coming: Arc::clone(&coming) };
        let writing = tokio::spawn(writer.write_groups(waiting, stop));
        (Self { queue, reads: Reads::Each, counts: Arc::default(), spool, coming }, writing)
    }

    /// The same, recording reads so.
    #[must_use]
    pub fn with_reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// Announces an entry that follows within moments, when the read it is about has ended. What is dropped before the entry
    /// is handed in announces nothing any more.
    pub fn announce(&self) -> Coming {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Coming(Arc::clone(&self.coming))
    }

    /// Records that something was read, as configured.
    ///
    /// # Errors
    /// [`NotRecorded`]: then it must not be handed out.
    pub async fn record_read(&self, entry: Entry, now: Timestamp) -> Result<(), NotRecorded> {
        if self.reads == Reads::Each {
            return self.record(entry).await;
        }
        let minute = now.as_seconds().div_euclid(60);
        match self.count(&entry, minute) {
            None if self.spool.outage().is_too_long(now) => {
                Err(NotRecorded(Some(Arc::new(NotWritten::Spool(SpoolError::TooLong)))))
            }
            None => Ok(()),
            Some(before) => {
                let told = before.map_or(entry.clone(), |before| followed(entry.clone(), before));
                self.record(told).await?;
                self.counts().insert(key(&entry), Count { minute, followed: 0, entry });
                Ok(())
            }
        }
    }

    /// None when the minute has its row; else how many followed the last row, when any did.
    fn count(&self, entry: &Entry, minute: i64) -> Option<Option<u64>> {
        let mut counts = self.counts();
        match counts.get_mut(&key(entry)) {
            Some(count) if count.minute == minute => {
                count.followed += 1;
                None
            }
            Some(count) => Some(Some(count.followed).filter(|followed| *followed > 0)),
            None => Some(None),
        }
    }

    /// Writes how many reads followed a row in minutes that are over; at the end, in all. How many rows that took.
    ///
    /// # Errors
    /// The first [`NotRecorded`]: what could not be written is counted on, and written the next time.
    pub async fn settle_reads(&self, now: Option<Timestamp>) -> Result<u64, NotRecorded> {
        let minute = now.map_or(i64::MAX, |now| now.as_seconds().div_euclid(60));
        let over: Vec<Count> =
            self.counts().extract_if(|_, count| count.minute < minute).map(|(_, count)| count).collect();
        let due = over.into_iter().filter(|count| count.followed > 0);
        // Together, so that they share commits.
        let written = join_all(due.map(async |count| {
            let outcome = self.record(followed(count.entry.clone(), count.followed)).await;
            outcome.inspect_err(|_| self.count_on(count))
        }));
        let written: Vec<_> = written.await.into_iter().collect::<Result<_, _>>()?;
        Ok(written.len() as u64)
    }

    /// Takes a count back that could not be written; reads may have begun another meanwhile.
    fn count_on(&self, count: Count) {
        match self.counts().entry(key(&count.entry)) {
            hash_map::Entry::Occupied(mut newer) => newer.get_mut().followed += count.followed,
            hash_map::Entry::Vacant(free) => {
                free.insert(count);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Read, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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

fn key(entry: &Entry) -> Read {
    (entry.actor.clone(), entry.action, entry.addon, entry.subject)
}

fn followed(entry: Entry, count: u64) -> Entry {
    let detail = format!("{} (and {count} more since the row before)", entry.detail);
    entry.with_detail(detail)
}

/// The task that commits.
struct Writer {
    store: Store,
    spool: Spool,
    coming: Arc<AtomicUsize>,
}

impl Writer {
    async fn write_groups(self, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        while let Some(first) = next(&mut waiting, &stop).await {
            let group = self.gather(first, &mut waiting).await;
            let (entries, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let outcome = write(&self.store, &self.spool, entries).await.map_err(Arc::new);
            for caller in callers {
                // A caller that went away needs no answer.
                let _ = caller.send(outcome.clone().map_err(|error| NotRecorded(Some(error))));
            }
        }
    }

    /// Everything that waits already, what is announced, and what comes while this process has other work to do: a caller
    /// that is alone does not wait for company, and many together share a commit.
    async fn gather(&self, first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
        let mut group = vec![first];
        let deadline = Instant::now() + MAX_WAIT;
        while group.len() < MAX_GROUP && Instant::now() < deadline {
            let before = group.len();
            // What is ready to run runs first.
            tokio::task::yield_now().await;
            while group.len() < MAX_GROUP
                && let Ok(next) = waiting.try_recv()
            {
                group.push(next);
            }
            if group.len() > before {
                continue;
            }
            if self.coming.load(Ordering::Relaxed) == 0 {
                break;
            }
            match tokio::time::timeout_at(deadline, waiting.recv()).await {
                Ok(Some(next)) => group.push(next),
                _ => break,
            }
        }
        group
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

/// While rows wait in the spool the database isn't asked: the replay finds out when it is back, and keeps the order.
async fn write(store: &Store, spool: &Spool, entries: Vec<Entry>) -> Result<(), NotWritten> {
    if !spool.outage().is_on() || spool.is_empty() {
        match store.record(&entries).await {
            Err(error) if error.is_unavailable() => spool.failed(&error),
            Err(error) => return Err(NotWritten::Store(error)),
            Ok(()) => {
                spool.works();
                return Ok(());
            }
        }
    }
    let spool = spool.clone();
    let kept = tokio::task::spawn_blocking(move || spool.keep_entries(&entries)).await;
    kept.unwrap_or(Err(SpoolError::None)).map_err(NotWritten::Spool)
}
