//! One sealed file.
//!
//! ```text
//! header   "applink spool 1\n" (16) · file id (16) · id of the master key (16)
//! record   length of the rest (4, little endian, never 0) · nonce (12) · ciphertext and tag
//! …        zeros: room that was taken beforehand
//! ```
//!
//! The associated data of a record is the file's id and the record's number. A record that was cut short by a crash was
//! never acknowledged, and nothing is behind it; the next one takes its place. Anything else that does not open is
//! *damage*: what is behind it is looked for, and the file is kept under another name once that is replayed.

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
/// Behind damage, the length of a record that is looked for; every one of ours is shorter.
const LONGEST_BEHIND: usize = 64 * 1024;
/// So many records in a row may be damaged for the next one to be found: as many as a disk's sector holds, and more.
const MOST_DAMAGED: u64 = 32;
/// What is cut short lacks at least this many bytes at its end.
const CUT: usize = 8;
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
    /// A write that failed may have left something up to here.
    soiled: u64,
    /// Something in it does not open.
    damaged: bool,
    /// It could not be begun anew, and takes nothing until it is.
    broken: bool,
}

/// What is found between two cursors.
pub(super) enum Found {
    /// A record.
    Record(Zeroizing<Vec<u8>>),
    /// One or more records that can't be opened.
    Damage,
}

/// What is at a cursor.
enum Place {
    Record(Zeroizing<Vec<u8>>, Cursor),
    /// Something that does not open, up to the next record.
    Damage(Cursor),
    /// Something that does not open, and no record behind it.
    Lost,
    /// Nothing, or what a write that was cut short left.
    End,
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

/// A record, and where the next one begins.
type Opened = (Zeroizing<Vec<u8>>, Cursor);

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
        if opened.is_lost() {
            opened.put_aside()?;
            return Self::open(path, keys, entropy);
        }
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
        if opened.is_lost() {
            opened.put_aside()?;
            return Ok(None);
        }
        Ok((opened.records > 0).then_some(opened))
    }

    fn fresh(file: Flock<File>, path: &Path, keys: &FileKeys, entropy: &Entropy) -> Result<Self, SpoolError> {
        let key = keys.cipher(keys.current()).ok_or(SpoolError::Seal)?;
        let mut fresh = Self::at_the_start(file, path, (keys.current().to_owned(), key), Uuid::nil());
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
        Ok(Self::at_the_start(file, path, (key_id, key), id))
    }

    fn at_the_start(file: Flock<File>, path: &Path, (key_id, key): (String, LessSafeKey), id: Uuid) -> Self {
        let (path, end) = (path.to_owned(), HEADER as u64);
        Self { file, path, id, key_id, key, end, records: 0, soiled: end, damaged: false, broken: false }
    }

    fn find_end(&mut self) -> Result<(), SpoolError> {
        let mut cursor = Cursor::default();
        loop {
            match self.look(cursor)? {
                Place::Record(_, next) => cursor = next,
                Place::Damage(next) => (self.damaged, cursor) = (true, next),
                Place::Lost => {
                    self.damaged = true;
                    break;
                }
                Place::End => break,
            }
        }
        (self.end, self.records) = (cursor.offset, cursor.index);
        if self.damaged {
            tracing::error!(path = %self.path.display(), records = self.records, "a spool file is damaged: what can be read of it is replayed, and it is kept");
        }
        Ok(())
    }

    /// Whether there is something in it, and nothing that can be read.
    fn is_lost(&self) -> bool {
        self.damaged && self.records == 0
    }

    /// The file's id, by which a replay's progress is remembered.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// How many records it has.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it could not be begun anew.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What is at the cursor, which moves on.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Result<Option<Found>, SpoolError> {
        if cursor.index >= self.records {
            return Ok(None);
        }
        let (found, next) = match self.look(*cursor)? {
            Place::Record(record, next) => (Found::Record(record), next),
            Place::Damage(next) => (Found::Damage, next),
            Place::End | Place::Lost => (Found::Damage, Cursor { offset: self.end, index: self.records }),
        };
        *cursor = next;
        Ok(Some(found))
    }

    fn look(&self, at: Cursor) -> Result<Place, SpoolError> {
        if let Some((record, next)) = self.record_at(at)? {
            return Ok(Place::Record(record, next));
        }
        let rest = self.rest(at.offset)?;
        if is_blank(&rest) {
            return Ok(Place::End);
        }
        Ok(match self.record_behind(at, &rest) {
            Some(next) => Place::Damage(next),
            None if is_torn(&rest) => Place::End,
            None => Place::Lost,
        })
    }

    fn record_at(&self, at: Cursor) -> Result<Option<Opened>, SpoolError> {
        let mut length = [0; 4];
        if !self.read_at(&mut length, at.offset)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length);
        if length <= NONCE_LEN as u32 || length > LONGEST {
            return Ok(None);
        }
        let mut sealed = vec![0; length as usize];
        if !self.read_at(&mut sealed, at.offset + 4)? {
            return Ok(None);
        }
        let next = Cursor { offset: at.offset + 4 + u64::from(length), index: at.index + 1 };
        Ok(self.open_record(at.index, &sealed).map(|record| (record, next)))
    }

    /// The next record behind damage. No length in there is to be trusted: every place is tried.
    fn record_behind(&self, at: Cursor, rest: &[u8]) -> Option<Cursor> {
        let numbers = at.index + 1..=at.index + MOST_DAMAGED;
        (1..rest.len()).find_map(|start| {
            let (length, sealed) = rest.get(start..)?.split_first_chunk()?;
            let length = length_of(*length);
            if length <= NONCE_LEN || length > LONGEST_BEHIND {
                return None;
            }
            let sealed = sealed.get(..length)?;
            let index = numbers.clone().find(|index| self.open_record(*index, sealed).is_some())?;
            Some(Cursor { offset: at.offset + start as u64, index })
        })
    }

    /// Everything from there on.
    fn rest(&self, offset: u64) -> Result<Vec<u8>, SpoolError> {
        let failed = |source| io_error(&self.path, source);
        let length = self.file.metadata().map_err(failed)?.len().saturating_sub(offset);
        let mut rest = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut rest, offset).map_err(failed)?;
        Ok(rest)
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
        if self.broken {
            return Err(SpoolError::Broken(self.path.display().to_string()));
        }
        let mut bytes = sealed.concat();
        let end = self.end + bytes.len() as u64;
        if end > limit {
            return Err(SpoolError::Full);
        }
        // Behind the last record there must be nothing, or it would be taken for damage.
        let soiled = self.soiled.saturating_sub(end);
        bytes.resize(bytes.len() + usize::try_from(soiled).unwrap_or_default(), 0);
        self.soiled = self.soiled.max(end);
        let failed = |source| io_error(&self.path, source);
        self.file.write_all_at(&bytes, self.end).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        (self.end, self.soiled) = (end, end);
        self.records += sealed.len() as u64;
        Ok(())
    }

    /// Throws the records away and begins anew, with another id. Where that fails, the file takes nothing until it
    /// succeeds: nobody would find what is written into a file that is half begun.
    pub(super) fn clear(&mut self, entropy: &Entropy) -> Result<(), SpoolError> {
        (self.broken, self.end, self.records) = (true, HEADER as u64, 0);
        let failed = |source| io_error(&self.path, source);
        let id = entropy.uuid();
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(id.as_bytes());
        header.extend_from_slice(self.key_id.as_bytes());
        // First the records, for good: under the header that is there they are none, under the new one they are damage.
        self.file.set_len(HEADER as u64).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        if let Err(errno) = posix_fallocate(&*self.file, 0, ROOM) {
            // It works without, until the disk is full.
            tracing::warn!(path = %self.path.display(), error = %errno, "no room for the spool can be taken beforehand");
        }
        self.file.write_all_at(&header, 0).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        (self.id, self.soiled, self.broken) = (id, HEADER as u64, false);
        Ok(())
    }

    /// Ends the file of a process that is gone: what could be read of it is not needed any more.
    pub(super) fn end(self, is_damaged: bool) -> Result<(), SpoolError> {
        if is_damaged || self.damaged { self.put_aside() } else { self.remove() }
    }

    /// Keeps a damaged file under a name that nobody looks for.
    pub(super) fn put_aside(self) -> Result<(), SpoolError> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".damaged-{}", self.id.simple()));
        let aside = PathBuf::from(aside);
        std::fs::rename(&self.path, &aside).map_err(|source| io_error(&self.path, source))?;
        tracing::error!(path = %self.path.display(), kept_as = %aside.display(), "a damaged spool file is kept under another name: what it held and could not be read is in no database");
        Ok(())
    }

    fn remove(self) -> Result<(), SpoolError> {
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

fn length_of(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether this is what a write that was cut short leaves: the beginning of a record, and nothing behind it. (One that
/// lacks its last few bytes only is kept as damaged, for nothing; a whole one is never taken for torn.)
fn is_torn(rest: &[u8]) -> bool {
    let Some((length, sealed)) = rest.split_first_chunk() else { return true };
    let length = length_of(*length);
    match sealed.split_at_checked(length) {
        None => length <= LONGEST as usize,
        Some((record, behind)) => {
            is_blank(behind) && record.get(length.saturating_sub(CUT)..).is_none_or(is_blank)
        }
    }
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
            .map(|found| match found {
                Found::Record(record) => String::from_utf8(record.to_vec()).unwrap(),
                Found::Damage => "damage".to_owned(),
            })
            .collect()
    }

    impl SpoolFile {
        /// Exchanges what it writes into.
        pub(in crate::spool) fn replaced(&mut self, file: File) -> Flock<File> {
            let file =
                Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).unwrap();
            std::mem::replace(&mut self.file, file)
        }

        /// Gives back what it wrote into.
        pub(in crate::spool) fn restore(&mut self, file: Flock<File>) {
            self.file = file;
        }

        /// Exchanges it for a copy that can't be written.
        pub(in crate::spool) fn fail_to_write(&mut self) -> Flock<File> {
            self.replaced(unwritable(&self.path))
        }
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
        taken.end(false).unwrap();
        assert!(lock(late, &path).unwrap().is_none(), "nobody takes what was removed meanwhile");
    }

    #[test]
    fn a_record_that_was_cut_short_is_left_out_and_its_place_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        let torn = file.seal(1, b"two", &Entropy::system()).unwrap();
        file.file.write_all_at(&torn[..torn.len() - 9], file.end).unwrap();
        drop(file);
        let mut file = open(&path, 1).unwrap().unwrap();
        assert_eq!(all(&file), ["one"]);
        append(&mut file, "three").unwrap();
        assert_eq!(all(&file), ["one", "three"]);
    }

    #[test]
    fn wherever_a_write_is_cut_short_it_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        let torn = file.seal(1, b"two", &Entropy::system()).unwrap();
        for cut in 0..=torn.len() - CUT {
            file.file.write_all_at(&torn[..cut], file.end).unwrap();
            file.find_end().unwrap();
            assert!(!file.damaged && file.records == 1, "cut after {cut}");
        }
        // Without room taken beforehand the file ends there.
        for cut in 0..torn.len() {
            file.file.set_len(file.end).unwrap();
            file.file.write_all_at(&torn[..cut], file.end).unwrap();
            file.find_end().unwrap();
            assert!(!file.damaged && file.records == 1, "ends after {cut}");
        }
    }

    #[test]
    fn what_a_failed_write_left_is_overwritten_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        let failed = file.seal(1, &[b'x'; 500], &Entropy::system()).unwrap();
        file.file.write_all_at(&failed, file.end).unwrap();
        file.soiled = file.end + failed.len() as u64;
        append(&mut file, "two").unwrap();
        drop(file);
        let file = open(&path, 1).unwrap().unwrap();
        assert_eq!((all(&file), file.damaged), (vec!["one".to_owned(), "two".to_owned()], false));
    }

    /// Where each of three records of a file begins, and the file.
    fn three(path: &Path) -> ([u64; 3], SpoolFile) {
        let mut file = open(path, 1).unwrap().unwrap();
        let begins = ["one", "two", "three"].map(|record| {
            let begin = file.end;
            append(&mut file, record).unwrap();
            begin
        });
        (begins, file)
    }

    fn flip(file: &File, offset: u64) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
    }

    #[test]
    fn what_is_behind_damage_is_read_and_nothing_is_thrown_away() {
        // In the length, the nonce, the ciphertext.
        for (damaged, inside) in
            [0, 1, 2].into_iter().flat_map(|damaged| [(damaged, 1), (damaged, 5), (damaged, 17)])
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("0.spool");
            let (begins, file) = three(&path);
            flip(&file.file, begins[damaged] + inside);
            // While it is in use.
            let mut expected = vec!["one", "two", "three"];
            expected[damaged] = "damage";
            assert_eq!(all(&file), expected, "{damaged} at {inside}");
            let (bytes, id) = (std::fs::read(&path).unwrap(), file.id());
            drop(file);
            // And when it is opened.
            let file = open(&path, 1).unwrap().unwrap();
            // The length of the last record alone may as well have been cut short.
            if (damaged, inside) == (2, 1) {
                continue;
            }
            expected.truncate(if damaged == 2 { 2 } else { 3 });
            assert_eq!(
                (all(&file), file.damaged),
                (expected.iter().map(ToString::to_string).collect(), true)
            );
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "opening changes nothing");
            file.end(false).unwrap();
            assert!(!path.exists());
            let aside = folder.path().join(format!("0.spool.damaged-{}", id.simple()));
            assert_eq!(std::fs::read(aside).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_whose_only_record_is_damaged_is_kept_and_another_takes_its_name() {
        for left in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("0.spool");
            let mut file = open(&path, 1).unwrap().unwrap();
            append(&mut file, "one").unwrap();
            flip(&file.file, HEADER as u64 + 20);
            let (bytes, id) = (std::fs::read(&path).unwrap(), file.id());
            drop(file);
            if left {
                assert!(SpoolFile::open_left(&path, &keys(1)).unwrap().is_none());
            } else {
                assert_eq!(open(&path, 1).unwrap().unwrap().records(), 0);
            }
            let aside = folder.path().join(format!("0.spool.damaged-{}", id.simple()));
            assert_eq!(std::fs::read(aside).unwrap(), bytes);
        }
    }

    /// The same bytes in a file that can be made shorter, and not written.
    fn unwritable(path: &Path) -> File {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        use nix::sys::memfd::{MFdFlags, memfd_create};
        let copy = File::from(memfd_create("spool", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        copy.write_all_at(&std::fs::read(path).unwrap(), 0).unwrap();
        fcntl(&copy, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).unwrap();
        copy
    }

    #[test]
    fn a_file_that_can_not_be_begun_anew_takes_nothing_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.spool");
        let mut file = open(&path, 1).unwrap().unwrap();
        append(&mut file, "one").unwrap();
        let works = file.fail_to_write();
        file.clear(&Entropy::system()).unwrap_err();
        assert!(file.is_broken() && file.records() == 0);
        let error = append(&mut file, "two").unwrap_err();
        assert!(matches!(&error, SpoolError::Broken(name) if name.ends_with("0.spool")), "{error}");
        file.restore(works);
        file.clear(&Entropy::system()).unwrap();
        append(&mut file, "three").unwrap();
        drop(file);
        assert_eq!(all(&open(&path, 1).unwrap().unwrap()), ["three"]);
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
