//! The uploaded zip: an OpenAPI document and at most two metadata files, read within the documented limits.
//!
//! Nothing the archive says about itself is believed: not the number of its files before they are counted, not
//! their sizes before they are unpacked, not their names before they are compared with the few that are allowed.
//! Reading stops at the first byte over a limit.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use applink_api::publication::{CONNECTED_APP_XML, PERMISSION_SET_XML, SPEC_JSON, SPEC_YAML};
use zip::ZipReadOptions;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::spec::Format;

/// Files in the archive (Heroku AppLink limits).
pub const MAX_FILES: usize = 10;
/// Bytes of a YAML document, uncompressed.
pub const MAX_YAML_BYTES: u64 = 3 * 1024 * 1024;
/// Bytes of a JSON document, uncompressed.
pub const MAX_JSON_BYTES: u64 = 10 * 1024 * 1024;
/// Bytes of all files together, uncompressed.
pub const MAX_TOTAL_BYTES: u64 = 20 * 1024 * 1024;
/// Bytes of the archive as uploaded: content that does not compress, plus headers.
pub const MAX_ARCHIVE_BYTES: usize = 20 * 1024 * 1024 + 64 * 1024;

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The OpenAPI document.
    pub spec: SpecFile,
    /// Content of `connectedapp-meta.xml`.
    pub connected_app_xml: Option<String>,
    /// Content of `permissionset-meta.xml`.
    pub permission_set_xml: Option<String>,
}

/// The OpenAPI document as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFile {
    /// YAML or JSON, by the file's name.
    pub format: Format,
    /// Its bytes, not yet checked to be text.
    pub bytes: Vec<u8>,
}

/// Why an uploaded archive was refused. Each names the file and the limit.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not a zip archive, or a damaged one.
    #[error("the part `metadata` is not a readable zip archive")]
    NotZip(#[source] ZipError),
    /// The archive itself is too large.
    #[error("the zip archive has {size} bytes; at most {MAX_ARCHIVE_BYTES} are allowed")]
    ArchiveTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// More than [`MAX_FILES`] entries.
    #[error("the zip archive holds {count} files; at most {MAX_FILES} are allowed")]
    TooManyFiles {
        /// How many it declares.
        count: usize,
    },
    /// A name that leaves the archive, or can't be a file name.
    #[error("`{name}` is not a safe file name; put the files at the root of the archive")]
    UnsafeName {
        /// The name, made printable.
        name: String,
    },
    /// A symbolic link.
    #[error("`{name}` is a symbolic link; put the file itself into the archive")]
    SymbolicLink {
        /// The name.
        name: String,
    },
    /// An encrypted entry.
    #[error("`{name}` is encrypted; archives must be readable as they are")]
    Encrypted {
        /// The name.
        name: String,
    },
    /// The same name twice.
    #[error("the zip archive holds `{name}` twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A file publishing has no use for.
    #[error(
        "the zip archive holds `{name}`, which publishing does not read; \
         allowed are {SPEC_YAML} or {SPEC_JSON}, {CONNECTED_APP_XML} and {PERMISSION_SET_XML}"
    )]
    UnknownFile {
        /// The name.
        name: String,
    },
    /// A file over its own limit.
    #[error("`{name}` is larger than {limit} bytes uncompressed, the limit for this kind of file")]
    FileTooLarge {
        /// The name.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// All files together over [`MAX_TOTAL_BYTES`].
    #[error(
        "the files of the zip archive have more than {MAX_TOTAL_BYTES} bytes uncompressed (reached in `{name}`)"
    )]
    TotalTooLarge {
        /// The file in which the limit was passed.
        name: String,
    },
    /// An entry that can't be unpacked.
    #[error("`{name}` can't be unpacked; make the archive again")]
    Damaged {
        /// The name.
        name: String,
        /// What the unpacking reported.
        #[source]
        source: std::io::Error,
    },
    /// A metadata file that is not UTF-8.
    #[error("`{name}` is not UTF-8 text (byte {offset})")]
    NotText {
        /// The name.
        name: &'static str,
        /// Offset of the first wrong byte.
        offset: usize,
    },
    /// No document.
    #[error("the zip archive holds no OpenAPI document; add {SPEC_YAML} or {SPEC_JSON}")]
    NoSpec,
    /// Two documents.
    #[error("the zip archive holds both {SPEC_YAML} and {SPEC_JSON}; keep one")]
    TwoSpecs,
}

/// Step 1 of publishing: unpacks the archive within the limits.
///
/// # Errors
/// [`PackageError`], naming the file and the limit.
pub fn read(archive: &[u8]) -> Result<Upload, PackageError> {
    if archive.len() > MAX_ARCHIVE_BYTES {
        return Err(PackageError::ArchiveTooLarge { size: archive.len() });
    }
    let mut entries = ZipIterable::try_new(Cursor::new(archive), zip::read::Config::default())
        .map_err(PackageError::NotZip)?;
    if entries.len() > MAX_FILES {
        return Err(PackageError::TooManyFiles { count: entries.len() });
    }
    let mut unpacking = Unpacking::default();
    for entry in entries.files().map_err(PackageError::NotZip)? {
        unpacking.take(archive, entry.map_err(PackageError::NotZip)?)?;
    }
    unpacking.finish()
}

/// The files publishing knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    SpecYaml,
    SpecJson,
    ConnectedApp,
    PermissionSet,
}

impl Known {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            SPEC_YAML => Some(Self::SpecYaml),
            SPEC_JSON => Some(Self::SpecJson),
            CONNECTED_APP_XML => Some(Self::ConnectedApp),
            PERMISSION_SET_XML => Some(Self::PermissionSet),
            _ => None,
        }
    }

    /// Bytes, uncompressed. Metadata files have no documented limit of their own; YAML's is ample.
    fn limit(self) -> u64 {
        match self {
            Self::SpecJson => MAX_JSON_BYTES,
            Self::SpecYaml | Self::ConnectedApp | Self::PermissionSet => MAX_YAML_BYTES,
        }
    }
}

#[derive(Default)]
struct Unpacking {
    names: BTreeSet<String>,
    unpacked: u64,
    spec: Option<SpecFile>,
    connected_app: Option<Vec<u8>>,
    permission_set: Option<Vec<u8>>,
}

type Entry = zip::read::ZipFileEntry<'static>;

impl Unpacking {
    fn take(&mut self, archive: &[u8], entry: Entry) -> Result<(), PackageError> {
        let name = safe_name(&entry)?;
        if !self.names.insert(name.clone()) {
            return Err(PackageError::DuplicateName { name });
        }
        let known =
            Known::from_name(&name).ok_or_else(|| PackageError::UnknownFile { name: name.clone() })?;
        let bytes = self.unpack(archive, entry, &name, known.limit())?;
        self.keep(known, bytes)
    }

    fn unpack(
        &mut self,
        archive: &[u8],
        entry: Entry,
        name: &str,
        limit: u64,
    ) -> Result<Vec<u8>, PackageError> {
        let remaining = MAX_TOTAL_BYTES.saturating_sub(self.unpacked);
        let mut body = Cursor::new(archive);
        let file = entry
            .with_reader(&mut body, ZipReadOptions::new())
            .map_err(|error| damaged(name, std::io::Error::other(error)))?;
        let mut bytes = Vec::new();
        // One byte more than allowed is read, so that reaching it proves the limit is passed.
        file.take(limit.min(remaining).saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(name, error))?;
        let size = bytes.len() as u64;
        if size > limit {
            return Err(PackageError::FileTooLarge { name: name.to_owned(), limit });
        }
        if size > remaining {
            return Err(PackageError::TotalTooLarge { name: name.to_owned() });
        }
        self.unpacked = self.unpacked.saturating_add(size);
        Ok(bytes)
    }

    fn keep(&mut self, known: Known, bytes: Vec<u8>) -> Result<(), PackageError> {
        match known {
            Known::SpecYaml => self.keep_spec(Format::Yaml, bytes),
            Known::SpecJson => self.keep_spec(Format::Json, bytes),
            Known::ConnectedApp => {
                self.connected_app = Some(bytes);
                Ok(())
            }
            Known::PermissionSet => {
                self.permission_set = Some(bytes);
                Ok(())
            }
        }
    }

    fn keep_spec(&mut self, format: Format, bytes: Vec<u8>) -> Result<(), PackageError> {
        if self.spec.is_some() {
            return Err(PackageError::TwoSpecs);
        }
        self.spec = Some(SpecFile { format, bytes });
        Ok(())
    }

    fn finish(self) -> Result<Upload, PackageError> {
        Ok(Upload {
            spec: self.spec.ok_or(PackageError::NoSpec)?,
            connected_app_xml: text(CONNECTED_APP_XML, self.connected_app)?,
            permission_set_xml: text(PERMISSION_SET_XML, self.permission_set)?,
        })
    }
}

fn damaged(name: &str, source: std::io::Error) -> PackageError {
    PackageError::Damaged { name: name.to_owned(), source }
}

fn text(name: &'static str, bytes: Option<Vec<u8>>) -> Result<Option<String>, PackageError> {
    bytes
        .map(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| PackageError::NotText { name, offset: error.utf8_error().valid_up_to() })
        })
        .transpose()
}

/// The entry's name, when it is one plain file at the root of the archive.
fn safe_name(entry: &Entry) -> Result<String, PackageError> {
    let shown = printable(entry.name_raw());
    let name = std::str::from_utf8(entry.name_raw())
        .map_err(|_| PackageError::UnsafeName { name: shown.clone() })?
        .to_owned();
    if entry.is_symlink() {
        return Err(PackageError::SymbolicLink { name: shown });
    }
    if entry.encrypted() {
        return Err(PackageError::Encrypted { name: shown });
    }
    let unsafe_name =
        name.is_empty() || entry.is_dir() || name == ".." || name.contains(['/', '\\', ':', '\0']);
    if unsafe_name { Err(PackageError::UnsafeName { name: shown }) } else { Ok(name) }
}

/// At most 80 characters of a name, control characters replaced, for an error message.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .take(80)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// Renames an entry in both headers, as an attacker would who can't use an honest writer.
    fn rename(mut archive: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut at = 0;
        while at + from.len() <= archive.len() {
            if &archive[at..at + from.len()] == from {
                archive[at..at + from.len()].copy_from_slice(to);
            }
            at += 1;
        }
        archive
    }

    #[test]
    fn reads_the_four_files_in_any_order() {
        let bytes = archive(&[
            ("permissionset-meta.xml", b"<PermissionSet/>"),
            ("api-spec.yaml", b"openapi: 3.0.3"),
            ("connectedapp-meta.xml", b"<ConnectedApp/>"),
        ]);
        let upload = read(&bytes).unwrap();
        assert_eq!(upload.spec, SpecFile { format: Format::Yaml, bytes: b"openapi: 3.0.3".to_vec() });
        assert_eq!(upload.permission_set_xml.as_deref(), Some("<PermissionSet/>"));
        assert_eq!(upload.connected_app_xml.as_deref(), Some("<ConnectedApp/>"));
    }

    #[test]
    fn refuses_what_is_not_an_archive_of_one_spec() {
        assert!(matches!(read(b"openapi: 3.0.3"), Err(PackageError::NotZip(_))));
        assert!(matches!(read(&archive(&[])), Err(PackageError::NoSpec)));
        let two = archive(&[("api-spec.yaml", b"a"), ("api-spec.json", b"{}")]);
        assert!(matches!(read(&two), Err(PackageError::TwoSpecs)));
        let more = archive(&[("api-spec.yaml", b"a"), ("notes.txt", b"b")]);
        assert_eq!(
            read(&more).unwrap_err().to_string(),
            "the zip archive holds `notes.txt`, which publishing does not read; allowed are api-spec.yaml or \
             api-spec.json, connectedapp-meta.xml and permissionset-meta.xml"
        );
        let latin = archive(&[("api-spec.yaml", b"a"), ("permissionset-meta.xml", b"ab\xff")]);
        assert!(matches!(read(&latin), Err(PackageError::NotText { offset: 2, .. })));
    }

    #[test]
    fn refuses_names_that_leave_the_archive() {
        for name in ["../api-spec.yaml", "/api-spec.yaml", "a/api-spec.yaml", "a\\b.yaml", "c:x"] {
            let error = read(&archive(&[(name, b"a")])).unwrap_err();
            assert!(matches!(error, PackageError::UnsafeName { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_links_and_the_same_name_twice() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("api-spec.yaml", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let link = writer.finish().unwrap().into_inner();
        assert!(matches!(read(&link), Err(PackageError::SymbolicLink { .. })));

        let twice = archive(&[("api-spec.yaml", b"a"), ("api-spec.yamX", b"b")]);
        let twice = rename(twice, b"api-spec.yamX", b"api-spec.yaml");
        assert!(matches!(read(&twice), Err(PackageError::DuplicateName { .. })));
    }

    #[test]
    fn limits_hold_for_count_file_and_total() {
        let names: Vec<String> = (0..11).map(|n| format!("file-{n}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        assert!(matches!(read(&archive(&files)), Err(PackageError::TooManyFiles { count: 11 })));

        // Compresses 1000 to 1: the unpacked size counts, not the size of the archive.
        let bomb = archive(&[("api-spec.yaml", &vec![b'a'; 4 * 1024 * 1024])]);
        assert!(bomb.len() < 100_000);
        assert!(matches!(read(&bomb), Err(PackageError::FileTooLarge { limit: MAX_YAML_BYTES, .. })));
        let json = archive(&[("api-spec.json", &vec![b' '; 10 * 1024 * 1024])]);
        assert!(read(&json).is_ok());
        let json = archive(&[("api-spec.json", &vec![b' '; 10 * 1024 * 1024 + 1])]);
        assert!(matches!(read(&json), Err(PackageError::FileTooLarge { limit: MAX_JSON_BYTES, .. })));
        assert!(matches!(read(&vec![0; MAX_ARCHIVE_BYTES + 1]), Err(PackageError::ArchiveTooLarge { .. })));
    }

    #[test]
    fn a_declared_size_is_not_believed() {
        let content = vec![b'a'; 4 * 1024 * 1024];
        let honest = archive(&[("api-spec.yaml", &content)]);
        let declared = u32::try_from(content.len()).unwrap().to_le_bytes();
        let lying = rename(honest, &declared, &7u32.to_le_bytes());
        assert!(read(&lying).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_archive_is_read_without_panic(at in 0usize..400, to in any::<u8>(), cut in 0usize..400) {
            let mut bytes = archive(&[("api-spec.yaml", b"openapi: 3.0.3\n"), ("permissionset-meta.xml", b"<a/>")]);
            let index = at % bytes.len();
            bytes[index] = to;
            let _ = read(&bytes);
            bytes.truncate(cut.min(bytes.len()));
            let _ = read(&bytes);
        }
    }
}
