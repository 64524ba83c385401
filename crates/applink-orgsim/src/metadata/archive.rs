//! Unpacks the zip of a deploy request, within limits.
//!
//! An archive comes from outside: names must stay inside it, links and encrypted entries have no place
//! in a package, and no entry may inflate past what is left of the budget.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

/// The Metadata API's limit for a compressed package, in bytes (39 MB).
pub(crate) const MAX_ZIP_BYTES: usize = 39 * 1024 * 1024;
/// The Metadata API's limit for the number of files in a package.
const MAX_FILES: usize = 10_000;
/// What a package may unpack to, in bytes. An org takes 600 MB; this simulator reads it all into memory.
const MAX_UNPACKED_BYTES: u64 = 64 * 1024 * 1024;

/// The files of a package by their path inside it; directories are left out.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the package is larger than {} MB", MAX_ZIP_BYTES / 1024 / 1024)]
    TooLarge,
    #[error("the package has more than {MAX_FILES} files")]
    TooManyFiles,
    #[error("the package unpacks to more than {} MB", MAX_UNPACKED_BYTES / 1024 / 1024)]
    Inflates,
    #[error("the entry {0:?} has a path that leaves the package or is not portable")]
    UnsafePath(String),
    #[error("the entry {0:?} is a link, is encrypted or has no plain content")]
    NotAFile(String),
    #[error("the package has two entries named {0:?}")]
    Duplicate(String),
    #[error("the package is not a readable zip file")]
    Zip(#[from] ZipError),
    #[error("the entry {name:?} can't be unpacked")]
    Entry { name: String, source: std::io::Error },
}

/// Unpacks a package into memory.
///
/// # Errors
/// [`ArchiveError`] names the entry or the limit.
pub(crate) fn unpack(zip: &[u8]) -> Result<Files, ArchiveError> {
    if zip.len() > MAX_ZIP_BYTES {
        return Err(ArchiveError::TooLarge);
    }
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    if archive.len() > MAX_FILES {
        return Err(ArchiveError::TooManyFiles);
    }
    if archive.has_duplicate_names() {
        return Err(ArchiveError::Duplicate("(see the zip's directory)".to_owned()));
    }
    let mut files = Files::new();
    let mut budget = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let name = safe_name(&entry)?;
        if entry.is_dir() {
            continue;
        }
        let content = read_entry(entry, &name, budget)?;
        budget = budget.saturating_sub(content.len() as u64);
        if files.insert(name.clone(), content).is_some() {
            return Err(ArchiveError::Duplicate(name));
        }
    }
    Ok(files)
}

fn safe_name<R: Read>(entry: &ZipFile<'_, R>) -> Result<String, ArchiveError> {
    let name = entry.name()?.into_owned();
    if entry.is_symlink() || entry.encrypted() || !(entry.is_dir() || entry.is_file()) {
        return Err(ArchiveError::NotAFile(name));
    }
    let trimmed = name.strip_suffix('/').unwrap_or(&name);
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if trimmed.contains(['\\', '\0', ':']) || !trimmed.split('/').all(plain) {
        return Err(ArchiveError::UnsafePath(name));
    }
    Ok(trimmed.to_owned())
}

fn read_entry<R: Read>(entry: ZipFile<'_, R>, name: &str, budget: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut content = Vec::new();
    // The declared size is the sender's word, so one byte more than allowed is read to see a lie.
    entry
        .take(budget + 1)
        .read_to_end(&mut content)
        .map_err(|source| ArchiveError::Entry { name: name.to_owned(), source })?;
    if content.len() as u64 > budget {
        return Err(ArchiveError::Inflates);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn files_come_out_by_path() {
        let files = unpack(&zip_of(&[("package.xml", b"<p/>"), ("a/b.txt", b"hello")])).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b.txt", "package.xml"]);
        assert_eq!(files["a/b.txt"], b"hello");
    }

    #[test]
    fn paths_that_leave_the_package_are_refused() {
        for name in ["../x", "a/../../x", "/etc/x", "a\\b", "C:x", "./x", "a//b"] {
            let error = unpack(&zip_of(&[(name, b"x")])).unwrap_err();
            assert!(matches!(error, ArchiveError::UnsafePath(_)), "{name}: {error}");
        }
    }

    #[test]
    fn links_are_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let zip = writer.finish().unwrap().into_inner();
        assert!(matches!(unpack(&zip).unwrap_err(), ArchiveError::NotAFile(_)));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_budget() {
        let zeros = vec![0_u8; 33 * 1024 * 1024];
        let zip = zip_of(&[("a", &zeros), ("b", &zeros)]);
        assert!(zip.len() < 1024 * 1024);
        assert!(matches!(unpack(&zip).unwrap_err(), ArchiveError::Inflates));
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        assert!(matches!(unpack(b"hello").unwrap_err(), ArchiveError::Zip(_)));
        let whole = zip_of(&[("package.xml", b"<p/>")]);
        assert!(unpack(&whole[..whole.len() - 10]).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_archive_never_panics(position in 0_usize..200, value in any::<u8>()) {
            let mut zip = zip_of(&[("package.xml", b"<p/>"), ("a/b.txt", b"hello")]);
            if let Some(byte) = zip.get_mut(position) {
                *byte = value;
            }
            let _ = unpack(&zip);
        }
    }
}
