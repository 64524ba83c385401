//! What must not get lost while the database is away: audit rows of what was answered, and refresh answers that can't
//! be committed.
//!
//! 1. Each process has one *file*, locked, sealed under a key derived from the master key, bounded, and with some room
//!    taken beforehand so that a full disk still takes a little ([`mod@file`]). A record counts once it is synced.
//! 2. While the database takes no writes (an *outage*, [`outage`]), audit rows of hand-outs go here. After
//!    [`outage::OutageConfig::max`], or when the file is full, nothing is taken any more, and so nothing handed out.
//! 3. A refresh answer goes here at once when its commit fails; when even the file refuses it, it is held in memory.
//! 4. Everything is *replayed* ([`mod@replay`]): at the start before anything is served, before any refresh, and by a
//!    reconciler. How far a replay came is written in the same transaction as what it replayed, so nothing is written
//!    twice. No refresh starts before a replay has brought in every answer it can; an answer the database takes never
//!    holds up its own grant alone ([`stuck`]).
//! 5. A process that finds files of processes that are gone takes them over, at its start and while it runs.

mod file;
pub mod outage;
mod record;
pub mod replay;
pub mod store;
mod stuck;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::time::Timestamp;

use self::file::{FileKeys, SpoolFile};
use self::outage::{Outage, OutageConfig};
use self::record::Record;
pub use self::record::{Kept, RefreshAnswer};
use self::stuck::Stuck;
use crate::audit::Entry;
use crate::tokens::TokenError;
use crate::vault::DerivedKeys;
pub(crate) use file::FILE_PURPOSE;
pub(crate) use replay::reconcile;
pub use replay::{before_refresh, replay};

/// Files one folder may have: processes that share it.
const MOST_FILES: u32 = 256;

/// How often files of processes that are gone are looked for.
const LOOK_FOR_FILES: Duration = Duration::from_secs(10);

/// Where the spool is and how large it may grow.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// The folder; none keeps nothing, so that an outage of the database is one of the service.
    pub folder: Option<PathBuf>,
    /// At most this many bytes per process.
    pub limit: u64,
}

/// Bytes per process when nothing else is configured.
pub const DEFAULT_LIMIT: u64 = 64 * 1024 * 1024;

/// The spool can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// There is no folder for it.
    #[error("there is no spool")]
    None,
    /// The folder or a file can't be used.
    #[error("the spool {path} can't be used")]
    Io {
        /// The folder or file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is full.
    #[error("the spool is full")]
    Full,
    /// The outage lasts longer than hand-outs may go on.
    #[error("the database has been away for too long")]
    TooLong,
    /// A file was written under a master key that was not given.
    #[error(
        "the spool {path} was written under master key {needed}, and {given} was given: it may hold tokens that exist nowhere else"
    )]
    WrongMasterKey {
        /// The file.
        path: String,
        /// The key's id.
        needed: String,
        /// Ids of the keys that were given.
        given: String,
    },
    /// It is no spool file.
    #[error("{0} is not a spool file")]
    NotOurs(String),
    /// The cipher refused, or a record can't be written as text.
    #[error("a record could not be sealed")]
    Seal,
}

/// The spool of one process. Cheap to clone.
#[derive(Clone)]
pub struct Spool(Arc<Inner>);

struct Inner {
    files: Mutex<Files>,
    /// Refresh answers that even the file did not take.
    in_memory: Mutex<Vec<RefreshAnswer>>,
    /// Answers that the database refused.
    stuck: Mutex<Stuck>,
    /// What was left after the last replay that succeeded.
    left_over: Mutex<Option<Size>>,
    outage: Outage,
    folder: Option<PathBuf>,
    keys: FileKeys,
    limit: u64,
    clock: Clock,
    entropy: Entropy,
    /// One replay at a time.
    replaying: tokio::sync::Mutex<()>,
    /// When files of processes that are gone were looked for, and those that can't be used.
    looked: Mutex<Looked>,
}

/// How much waits: records in files, answers in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(u64, usize);

#[derive(Default)]
struct Looked {
    at: Option<Timestamp>,
    unusable: HashSet<PathBuf>,
}

#[derive(Default)]
struct Files {
    own: Option<SpoolFile>,
    /// Of processes that are gone.
    left: Vec<SpoolFile>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spool")
    }
}

impl Spool {
    /// Takes a file of its own in the folder, and those that nobody has.
    ///
    /// # Errors
    /// [`SpoolError`]; a file that can't be opened with these keys is left alone.
    pub fn open(
        config: &SpoolConfig,
        outage: OutageConfig,
        keys: DerivedKeys,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, SpoolError> {
        let keys = FileKeys(keys);
        let files = match &config.folder {
            Some(folder) => take_files(folder, &keys, &entropy)?,
            None => Files::default(),
        };
        Ok(Self(Arc::new(Inner {
            files: Mutex::new(files),
            in_memory: Mutex::default(),
            stuck: Mutex::default(),
            left_over: Mutex::default(),
            outage: Outage::new(outage, clock.now()),
            folder: config.folder.clone(),
            keys,
            limit: config.limit,
            clock,
            entropy,
            replaying: tokio::sync::Mutex::default(),
            looked: Mutex::default(),
        })))
    }

    /// Whether the database takes writes, as far as this process knows.
    pub fn outage(&self) -> &Outage {
        &self.0.outage
    }

    /// The database took a write.
    pub(crate) fn works(&self) {
        self.0.outage.ended(self.0.clock.now());
    }

    /// A renewal failed: perhaps because the database is away.
    pub(crate) fn note(&self, error: &TokenError) {
        if error.is_unavailable() {
            self.0.outage.failed(self.0.clock.now());
        }
    }

    /// A statement failed because the database is away.
    pub(crate) fn failed(&self, error: &crate::db::StoreError) {
        if !self.0.outage.is_on() {
            tracing::error!(error = %crate::error::chain(error), "the database takes nothing");
        }
        self.0.outage.failed(self.0.clock.now());
    }

    /// Whether nothing waits to be replayed.
    pub fn is_empty(&self) -> bool {
        self.size() == Size(0, 0)
    }

    fn size(&self) -> Size {
        let files = self.files();
        let in_files = files.own.iter().chain(&files.left).map(SpoolFile::records).sum();
        Size(in_files, self.in_memory().len())
    }

    /// Whether nothing came since the last replay, and that left nothing but what the database refuses.
    fn is_replayed(&self) -> bool {
        let size = self.size();
        size == Size(0, 0) || *locked(&self.0.left_over) == Some(size)
    }

    /// Keeps audit entries of what is about to be answered.
    ///
    /// # Errors
    /// [`SpoolError`]: then it must not be answered.
    pub fn keep_entries(&self, entries: &[Entry]) -> Result<(), SpoolError> {
        let now = self.0.clock.now();
        if self.0.outage.is_too_long(now) {
            return Err(SpoolError::TooLong);
        }
        let records: Vec<Record> = entries.iter().map(|entry| Record::of_entry(entry, now)).collect();
        self.append(&records)
    }

    /// Keeps a refresh answer that could not be committed. Never fails: what the file refuses is held in memory, and
    /// the log says that it must not be stopped now.
    pub fn keep_answer(&self, answer: RefreshAnswer) {
        let grant = answer.grant;
        match self.append(&[Record::Refresh(answer.clone())]) {
            Ok(()) => {
                tracing::warn!(%grant, "the database took no new tokens; they are in the spool and are committed once it does");
            }
            Err(error) => {
                tracing::error!(%grant, error = %crate::error::chain(&error),
                    "neither database nor spool took new tokens: they are in memory only, so don't stop this process");
                self.in_memory().push(answer);
            }
        }
    }

    fn append(&self, records: &[Record]) -> Result<(), SpoolError> {
        let mut files = self.files();
        let own = files.own.as_mut().ok_or(SpoolError::None)?;
        let mut sealed = Vec::with_capacity(records.len());
        for (index, record) in (own.records()..).zip(records) {
            sealed.push(own.seal(index, &record.to_bytes()?, &self.0.entropy)?);
        }
        own.append(&sealed, self.0.limit)
    }

    /// Takes over files of processes that are gone, now and then. One that can't be used is told of once.
    fn take_left_files(&self) {
        let now = self.0.clock.now();
        let mut looked = locked(&self.0.looked);
        let Some(folder) = &self.0.folder else { return };
        if looked.at.is_some_and(|at| now.since(at) < LOOK_FOR_FILES) {
            return;
        }
        looked.at = Some(now);
        for number in 0..MOST_FILES {
            let path = folder.join(file_name(number));
            if looked.unusable.contains(&path) || !path.exists() {
                continue;
            }
            match SpoolFile::open_left(&path, &self.0.keys) {
                Ok(Some(file)) => {
                    tracing::warn!(path = %path.display(), records = file.records(), "the spool of a process that is gone is taken over");
                    self.files().left.push(file);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = %crate::error::chain(&error), "the spool of a process that is gone can't be read");
                    looked.unusable.insert(path);
                }
            }
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        locked(&self.0.files)
    }

    fn in_memory(&self) -> MutexGuard<'_, Vec<RefreshAnswer>> {
        locked(&self.0.in_memory)
    }

    fn stuck(&self) -> MutexGuard<'_, Stuck> {
        locked(&self.0.stuck)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file_name(number: u32) -> String {
    format!("{number}.spool")
}

fn take_files(folder: &Path, keys: &FileKeys, entropy: &Entropy) -> Result<Files, SpoolError> {
    let failed = |source| SpoolError::Io { path: folder.display().to_string(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mut files = Files::default();
    for number in 0..MOST_FILES {
        let path = folder.join(file_name(number));
        let exists = path.exists();
        if !exists && files.own.is_some() {
            continue;
        }
        let Some(file) = SpoolFile::open(&path, keys, entropy)? else { continue };
        if file.records() > 0 {
            files.left.push(file);
        } else if files.own.is_none() {
            files.own = Some(file);
        }
    }
    if files.own.is_none() {
        let source = io::Error::other("every file of it is in use");
        return Err(SpoolError::Io { path: folder.display().to_string(), source });
    }
    Ok(files)
}
