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
//! 5. A process that finds files of processes that are gone takes them over, at its start and while it runs. One with
//!    records that only another version can read is left to that; one that is damaged is kept under another name. What can
//!    be read of either is brought in first, and neither holds up anybody.

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
use tokio::sync::Semaphore;
use uuid::Uuid;

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

/// So many revocations go on at once.
const REVOCATIONS: usize = 4;

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
    /// It could not be begun anew after it had been replayed.
    #[error("the spool {0} could not be begun anew, and takes nothing until it is")]
    Broken(String),
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
    /// When a replay found the database away.
    was_away: Mutex<Option<tokio::time::Instant>>,
    /// Calls to orgs that revoke what is nobody's.
    revocations: Arc<Semaphore>,
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
            was_away: Mutex::default(),
            revocations: Arc::new(Semaphore::new(REVOCATIONS)),
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

    /// Sees to a file of its own: one that could not be begun anew is tried again, one that was put aside is replaced.
    fn mend(&self) {
        let mut files = self.files();
        let outcome = if let Some(own) = files.own.as_mut() {
            if !own.is_broken() {
                return;
            }
            own.clear(&self.0.entropy)
        } else {
            let Some(folder) = &self.0.folder else { return };
            new_file(folder, &self.0.keys, &self.0.entropy).map(|file| files.own = Some(file))
        };
        match outcome {
            Ok(()) => tracing::info!("the spool takes records again"),
            Err(error) => {
                tracing::error!(error = %crate::error::chain(&error), "the spool takes nothing: what the database does not take is held in memory, or not answered");
            }
        }
    }

    /// Lets go of the file of a process that is gone, for a version that can read all of it. `false` when it is our own.
    fn leave(&self, id: Uuid) -> bool {
        let path = self.files().left.iter().find(|file| file.id() == id).map(|file| file.path().to_owned());
        let Some(path) = path else { return false };
        tracing::error!(path = %path.display(), "a spool file can't be read whole: it is left where it is, for a version that can");
        locked(&self.0.looked).unusable.insert(path);
        self.files().left.retain(|file| file.id() != id);
        true
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
        return Err(all_in_use(folder));
    }
    Ok(files)
}

/// A file under a name that nobody has.
fn new_file(folder: &Path, keys: &FileKeys, entropy: &Entropy) -> Result<SpoolFile, SpoolError> {
    let mut paths =
        (0..MOST_FILES).map(|number| folder.join(file_name(number))).filter(|path| !path.exists());
    paths
        .find_map(|path| SpoolFile::open(&path, keys, entropy).transpose())
        .unwrap_or_else(|| Err(all_in_use(folder)))
}

fn all_in_use(folder: &Path) -> SpoolError {
    let source = io::Error::other("every file of it is in use");
    SpoolError::Io { path: folder.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{MasterKey, MasterKeys};

    pub(super) fn answer(grant: u128) -> RefreshAnswer {
        RefreshAnswer {
            grant: Uuid::from_u128(grant),
            addon: Uuid::from_u128(2).into(),
            credential: Uuid::from_u128(3),
            replaced: 4,
            at: Timestamp::from_seconds(5),
            expires_at: Timestamp::from_seconds(900),
            access_token: "canary-access".into(),
            refresh_token: None,
            instance_url: "https://acme.my.salesforce.com".to_owned(),
        }
    }

    #[test]
    fn while_the_file_can_not_be_begun_anew_answers_are_held_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let config = SpoolConfig { folder: Some(folder.path().to_owned()), limit: DEFAULT_LIMIT };
        let keys = || MasterKeys::new(MasterKey::from_bytes([1; 32]), Vec::new()).derive_all(FILE_PURPOSE);
        let open = || {
            let (clock, _hand) = Clock::mock(Timestamp::from_seconds(0));
            Spool::open(&config, OutageConfig::default(), keys(), clock, Entropy::system()).unwrap()
        };
        let spool = open();
        spool.keep_answer(answer(1));
        let works = spool.files().own.as_mut().unwrap().fail_to_write();
        spool.files().own.as_mut().unwrap().clear(&spool.0.entropy).unwrap_err();
        assert!(spool.is_empty(), "what was in it is replayed");
        spool.keep_answer(answer(2));
        assert_eq!(spool.size(), Size(0, 1), "it is held in memory");
        spool.mend();
        spool.keep_answer(answer(3));
        assert_eq!(spool.size(), Size(0, 2), "it is not mended yet");
        spool.files().own.as_mut().unwrap().restore(works);
        spool.mend();
        spool.keep_answer(answer(4));
        assert_eq!(spool.size(), Size(1, 2));
        drop(spool);
        assert_eq!(open().size(), Size(1, 0), "it is there after a restart");
    }
}
