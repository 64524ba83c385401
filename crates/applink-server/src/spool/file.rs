//! One sealed file.
//!
//! ```text
//! header   "applink spool 1\n" (16) · file id (16) · id of the master key (16)
//! record   length of the rest (4, little endian, never 0) · nonce (12) · ciphertext and tag
//! …        zeros: room that was taken beforehand
//! ```
//!
//! The associated data of a record is the file's id and the record's number. A record that was cut short by a crash was
//! never acknowledged; the next one takes its place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use applink_api::entropy::Entropy;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, posix_fallocate};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::SpoolError;
use crate::vault::{DerivedKeys, cipher};

const MAGIC: &[u8; 16] = b"applink spool 1\n";
const KEY_ID: usize = 16;
const HEADER: usize = 16 + 16 + KEY_ID;
/// A refresh answer has a few KiB; a longer length is a torn write.
const LONGEST: u32 = 1024 * 1024;
/// Taken beforehand: some thousand audit rows, or some hundred refresh answers.
const ROOM: i64 = 1024 * 1024;
/// What the key is derived for.
pub(crate) const FILE_PURPOSE: &str = "applink spool v1";

/// The keys of files, by master key.
#[derive(Clone, Debug)]
pub(super) struct FileKeys(pub(super) DerivedKeys);

impl FileKeys {
    fn current(&self) -> &str {
        &self.0.current
    }

    fn cipher(&self, id: &str) -> Option<LessSafeKey> {
        cipher(self.0.all.get(id)?)
    }

    fn ids(&self) -> String {
        let mut ids: Vec<&str> = self.0.all.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids.join(", ")
    }
}

/// An open, locked file.
pub(super) struct SpoolFile {
    file: Flock<File>,
    path: PathBuf,
    id: Uuid,
    key_id: String,
    key: LessSafeKey,
    end: u64,
    records: u64,
}

/// A place between two records; at first the one before them all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    offset: u64,
    pub(super) index: u64,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { offset: HEADER as u64, index: 0 }
    }
}

impl SpoolFile {
    /// Opens or makes the file. None when another process has it.
    pub(super) fn open(path: &Path, keys: &FileKeys, entropy: &Entropy) -> Result<Option<Self>, SpoolError> {
        let failed = |source| io_error(path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let Some(file) = lock(file, path)? else { return Ok(None) };
        let mut header = [0; HEADER];
        if file.metadata().map_err(failed)?.len() >= HEADER as u64 {
            file.read_exact_at(&mut header, 0).map_err(failed)?;
        }
        // A process that was killed while it began the file left room without a header.
        if header == [0; HEADER] {
            return Self::fresh(file, path, keys, entropy).map(Some);
        }
        let mut opened = Self::read(file, path, keys, &header)?;
        opened.find_end()?;
        // A file without records is begun anew, under the key of today.
        if opened.records == 0 {
            return Self::fresh(opened.file, path, keys, entropy).map(Some);
        }
        Ok(Some(opened))
    }

    /// Opens the file of a process that is gone, when it holds anything. It is not touched.
    pub(super) fn open_left(path: &Path, keys: &FileKeys) -> Result<Option<Self>, SpoolError> {
        let failed = |source| io_error(path, source);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let Some(file) = lock(file, path)? else { return Ok(None) };
        let mut header = [0; HEADER];
        // Nothing was ever kept in it, or it is just being made.
        if file.read_exact_at(&mut header, 0).is_err() || header == [0; HEADER] {
            return Ok(None);
        }
        let mut opened = Self::read(file, path, keys, &header)?;
        opened.find_end()?;
        Ok((opened.records > 0).then_some(opened))
    }

    fn fresh(file: Flock<File>, path: &Path, keys: &FileKeys, entropy: &Entropy) -> Result<Self, SpoolError> {
        let key = keys.cipher(keys.current()).ok_or(SpoolError::Seal)?;
        let (key_id, path) = (keys.current().to_owned(), path.to_owned());
        let mut fresh = Self { file, path, id: Uuid::nil(), key_id, key, end: 0, records: 0 };
        fresh.clear(entropy)?;
        Ok(fresh)
    }

    fn read(
        file: Flock<File>,
        path: &Path,
        keys: &FileKeys,
        header: &[u8; HEADER],
    ) -> Result<Self, SpoolError> {
        let not_ours = || SpoolError::NotOurs(path.display().to_string());
        let (magic, rest) = header.split_at(MAGIC.len());
        let (id, key_id) = rest.split_at(16);
        let key_id = std::str::from_utf8(key_id).map_err(|_| not_ours())?.to_owned();
        if magic != MAGIC {
            return Err(not_ours());
        }
        let key = keys.cipher(&key_id).ok_or_else(|| SpoolError::WrongMasterKey {
            path: path.display().to_string(),
            needed: key_id.clone(),
            given: keys.ids(),
        })?;
        let id = Uuid::from_slice(id).map_err(|_| not_ours())?;
        Ok(Self { file, path: path.to_owned(), id, key_id, key, end: HEADER as u64, records: 0 })
    }

    fn find_end(&mut self) -> Result<(), SpoolError> {
        let mut cursor = Cursor::default();
        while self.next(&mut cursor)?.is_some() {}
        (self.end, self.records) = (cursor.offset, cursor.index);
        Ok(())
    }

    /// The file's id, by which a replay's progress is remembered.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// How many records it has.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The record at the cursor, which moves on.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Result<Option<Zeroizing<Vec<u8>>>, SpoolError> {
        let mut length = [0; 4];
        if !self.read_at(&mut length, cursor.offset)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length);
        if length <= NONCE_LEN as u32 || length > LONGEST {
            return Ok(None);
        }
        let mut sealed = vec![0; length as usize];
        if !self.read_at(&mut sealed, cursor.offset + 4)? {
            return Ok(None);
        }
        let opened = self.open_record(cursor.index, &sealed);
        if opened.is_some() {
            *cursor = Cursor { offset: cursor.offset + 4 + u64::from(length), index: cursor.index + 1 };
        }
        Ok(opened)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<bool, SpoolError> {
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(io_error(&self.path, error)),
        }
    }

    fn open_record(&self, index: u64, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self.key.open_in_place(nonce, self.aad(index), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    fn aad(&self, index: u64) -> Aad<String> {
        Aad::from(format!("spool|{}|{index}|{}", self.id, self.key_id))
    }

    /// Length, nonce and ciphertext of the record with this number.
    pub(super) fn seal(&self, index: u64, record: &[u8], entropy: &Entropy) -> Result<Vec<u8>, SpoolError> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut ciphertext = record.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.aad(index), &mut ciphertext)
            .map_err(|_| SpoolError::Seal)?;
        let length = u32::try_from(NONCE_LEN + ciphertext.len()).map_err(|_| SpoolError::Seal)?;
        let mut sealed = length.to_le_bytes().to_vec();
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut ciphertext);
        Ok(sealed)
    }

    /// Writes sealed records and waits until they are on the disk.
    pub(super) fn append(&mut self, sealed: &[Vec<u8>], limit: u64) -> Result<(), SpoolError> {
        let bytes = sealed.concat();
        if self.end + bytes.len() as u64 > limit {
            return Err(SpoolError::Full);
        }
        let failed = |source| io_error(&self.path, source);
        self.file.write_all_at(&bytes, self.end).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.end += bytes.len() as u64;
        self.records += sealed.len() as u64;
        Ok(())
    }

    /// Throws the records away and begins anew, with another id.
    pub(super) fn clear(&mut self, entropy: &Entropy) -> Result<(), SpoolError> {
        let failed = |source| io_error(&self.path, source);
        let id = entropy.uuid();
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(id.as_bytes());
        header.extend_from_slice(self.key_id.as_bytes());
        self.file.set_len(0).map_err(failed)?;
        // Without the room it works too, until the disk is full.
        let _ = posix_fallocate(&*self.file, 0, ROOM);
        self.file.write_all_at(&header, 0).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        (self.id, self.end, self.records) = (id, HEADER as u64, 0);
        Ok(())
    }

    /// Removes the file of a process that is gone.
    pub(super) fn remove(self) -> Result<(), SpoolError> {
        std::fs::remove_file(&self.path).map_err(|source| io_error(&self.path, source))
    }
}

/// None when another process has the file, or had it and removed it.
fn lock(file: File, path: &Path) -> Result<Option<Flock<File>>, SpoolError> {
    let failed = |source| io_error(path, source);
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(failed(errno.into())),
    };
    let opened = file.metadata().map_err(failed)?.ino();
    Ok(std::fs::metadata(path).is_ok_and(|there| there.ino() == opened).then_some(file))
}

fn io_error(path: &Path, source: io::Error) -> SpoolError {
    SpoolError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{MasterKey, MasterKeys};

    fn keys(byte: u8) -> FileKeys {
        let masters = MasterKeys::new(MasterKey::from_bytes([byte; 32]), Vec::new());
        FileKeys(masters.derive_all(FILE_PURPOSE))
    }

    fn append(file: &mut SpoolFile, record: &str) -> Result<(), SpoolError> {
        let sealed = file.seal(file.records(), record.as_bytes(), &Entropy::system())?;
        file.append(&[sealed], 4096)
    }

    fn all(file: &SpoolFile) -> Vec<String> {
        let mut cursor = Cursor::default();
        std::iter::from_fn(|| file.next(&mut cursor).unwrap())
            .map(|record| String::from_utf8(record.to_vec()).unwrap())
            .collect()
    }

    fn open(path: &Path, byte: u8) -> Result<Option<SpoolFile>, SpoolError> {
        SpoolFile::open(path, &keys(byte), &Entropy::system())
    }

    #[test]
    fn records_are_there_after_a_reopen_and_unreadable_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "canary-one").unwrap();
        append(&mut file, "canary-two").unwrap();
        assert!(open(&path, 1).unwrap().is_none(), "one process at a time");
        drop(file);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        let file = open(&path, 1).unwrap().unwrap();
        assert_eq!(all(&file), ["canary-one", "canary-two"]);
    }

    #[test]
    fn only_a_file_that_holds_something_and_whose_process_is_gone_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let left = || SpoolFile::open_left(&path, &keys(1)).unwrap();
        let mut file = open(&path, 1).unwrap().unwrap();
        drop(file);
        assert!(left().is_none(), "it is empty");
        file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        assert!(left().is_none(), "its process lives");
        drop(file);
        let taken = left().unwrap();
        assert_eq!(all(&taken), ["one"]);
        assert!(left().is_none(), "one takes it");
        let late = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        taken.remove().unwrap();
        assert!(lock(late, &path).unwrap().is_none(), "nobody takes what was removed meanwhile");
    }

    #[test]
    fn a_record_that_was_cut_short_is_left_out_and_its_place_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        let torn = file.seal(1, b"two", &Entropy::system()).unwrap();
        file.file.write_all_at(&torn[..torn.len() - 3], file.end).unwrap();
        drop(file);
        let mut file = open(&path, 1).unwrap().unwrap();
        assert_eq!(all(&file), ["one"]);
        append(&mut file, "three").unwrap();
        assert_eq!(all(&file), ["one", "three"]);
    }

    #[test]
    fn a_full_file_takes_nothing_and_a_cleared_one_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        let id = file.id();
        assert!(matches!(append(&mut file, &"x".repeat(5000)), Err(SpoolError::Full)));
        append(&mut file, "one").unwrap();
        file.clear(&Entropy::system()).unwrap();
        assert_eq!((file.records(), all(&file).len()), (0, 0));
        assert_ne!(file.id(), id);
    }

    #[test]
    fn a_file_that_was_only_begun_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        for bytes in [0, 10, 4096] {
            std::fs::write(&path, vec![0; bytes]).unwrap();
            let mut file = open(&path, 1).unwrap().unwrap();
            append(&mut file, "one").unwrap();
            assert_eq!(all(&file), ["one"], "{bytes} bytes");
        }
    }

    #[test]
    fn another_master_key_is_refused_with_both_ids_and_the_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        append(&mut open(&path, 1).unwrap().unwrap(), "one").unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = open(&path, 2).err().unwrap();
        let (right, wrong) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
        assert!(error.to_string().contains(right.id()) && error.to_string().contains(wrong.id()), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, "x".repeat(100)).unwrap();
        assert!(matches!(open(&path, 1), Err(SpoolError::NotOurs(_))));
    }
}
