//! One process per SQLite file: a lock on a file beside it, released by the system when the process ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::OpenError;

/// The held lock.
#[derive(Debug)]
pub(super) struct FileLock {
    _lock: Flock<File>,
}

impl FileLock {
    /// Takes the lock for the database at `database`.
    pub(super) fn acquire(database: &Path) -> Result<Self, OpenError> {
        let path = lock_path(database);
        let failed = |source| OpenError::File { path: path.display().to_string(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                write_owner(&mut lock).map_err(failed)?;
                make_private(database)?;
                Ok(Self { _lock: lock })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                Err(OpenError::InUse { path: database.display().to_string(), owner: owner_of(&mut file) })
            }
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }
}

/// Makes the database file before SQLite does, for its owner alone; its write-ahead log takes over the mode.
fn make_private(database: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(database);
    made.map(drop).map_err(|source| OpenError::File { path: database.display().to_string(), source })
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn write_owner(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn owner_of(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(process) => format!(" (process {process})"),
        None => String::new(),
    }
}
