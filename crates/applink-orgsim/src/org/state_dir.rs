//! The org's directory: mode 0700, its files 0600, one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::OrgsimError;

/// A state directory that this process holds.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

impl StateDir {
    /// Makes the directory when it is missing and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, OrgsimError> {
        let failed = |source| OrgsimError::State { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let lock_path = path.join("lock");
        let lock = private_options().create(true).truncate(false).open(&lock_path).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OrgsimError::StateInUse { path: path.to_owned() },
            TryLockError::Error(source) => OrgsimError::State { path: lock_path, source },
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a file before a library does, so that it has our mode from its first byte.
    pub(super) fn prepare_file(&self, name: &str) -> Result<PathBuf, OrgsimError> {
        let path = self.file(name);
        let failed = |source| OrgsimError::State { path: path.clone(), source };
        private_options().create(true).truncate(false).open(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(path)
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, OrgsimError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(OrgsimError::State { path, source }),
        }
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), OrgsimError> {
        let (path, temporary) = (self.file(name), self.file(&format!("{name}.new")));
        let failed = |source| OrgsimError::State { path: path.clone(), source };
        let mut file = private_options().create(true).truncate(true).open(&temporary).map_err(failed)?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&temporary, &path).map_err(failed)
    }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_and_files_are_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("org");
        let directory = StateDir::open(&path).unwrap();
        directory.write("secret", b"x").unwrap();
        directory.prepare_file("org.db").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for name in ["secret", "org.db", "lock"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_second_holder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let first = StateDir::open(root.path()).unwrap();
        assert!(matches!(StateDir::open(root.path()), Err(OrgsimError::StateInUse { .. })));
        drop(first);
        assert!(StateDir::open(root.path()).is_ok());
    }
}
