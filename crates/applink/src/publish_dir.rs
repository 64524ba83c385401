//! What a publish sends: the OpenAPI document and optional metadata, zipped the way every AppLink service reads.
//! Conflicts are explained before anything is sent.

use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use applink_api::publication::{CONNECTED_APP_XML, PERMISSION_SET_XML, SPEC_JSON, SPEC_YAML};
use applink_publish::metadata::File;
use applink_publish::spec::Format;
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::CliError;

/// What was named on the command line.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) spec: &'a Path,
    pub(crate) metadata_dir: Option<&'a Path>,
    /// `--authorization-connected-app-name`
    pub(crate) connected_app: Option<&'a str>,
    /// `--authorization-permission-set-name`
    pub(crate) permission_set: Option<&'a str>,
}

/// What will be sent.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) zip: Vec<u8>,
    /// Metadata files in the directory that the service does not know.
    pub(crate) ignored: Vec<String>,
}

/// Why nothing can be sent.
#[derive(Debug, Error)]
pub(crate) enum PublishDirError {
    #[error("the API spec {} must be YAML (.yaml, .yml) or JSON (.json)", .0.display())]
    Extension(PathBuf),
    #[error("the API spec {} doesn't exist", .0.display())]
    MissingSpec(PathBuf),
    #[error("the directory {} holds no API spec", .0.display())]
    NoSpecInDirectory(PathBuf),
    #[error("there are two API specs: {} and {}", .0.display(), .1.display())]
    TwoSpecs(PathBuf, PathBuf),
    #[error("can't write {}", .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("the metadata directory {} doesn't exist", .0.display())]
    MissingDirectory(PathBuf),
    #[error("{file} in the metadata directory and {flag} both name {what}")]
    Both { file: &'static str, flag: &'static str, what: &'static str },
    #[error("can't read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the files can't be zipped")]
    Zip(#[source] io::Error),
}

/// Checks the inputs and zips them.
///
/// # Errors
/// The first thing that is wrong, naming the file.
pub(crate) fn pack(inputs: &Inputs<'_>) -> Result<Packed, PublishDirError> {
    let spec = spec_file(inputs.spec)?;
    let mut files = vec![(format(&spec)?.file_name(), read_spec(&spec)?)];
    let mut ignored = Vec::new();
    // A directory in place of the document holds the metadata too.
    let directory = inputs.metadata_dir.or_else(|| inputs.spec.is_dir().then_some(inputs.spec));
    if let Some(directory) = directory {
        ensure_no_conflicts(inputs, directory)?;
        ensure_one_spec(&spec, directory)?;
        for name in [CONNECTED_APP_XML, PERMISSION_SET_XML] {
            if let Some(bytes) = read_optional(&directory.join(name))? {
                files.push((name, bytes));
            }
        }
        ignored = unknown_metadata(directory)?;
    }
    let zip = zipped(&files).map_err(|error| PublishDirError::Zip(error.into()))?;
    Ok(Packed { zip, ignored })
}

/// The document itself: a directory stands for the one in it.
///
/// # Errors
/// When a directory holds none, or two.
pub(crate) fn spec_file(spec: &Path) -> Result<PathBuf, PublishDirError> {
    if !spec.is_dir() {
        return Ok(spec.to_owned());
    }
    let mut found = specs_in(spec);
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(only),
        (Some(last), Some(other)) => Err(PublishDirError::TwoSpecs(other, last)),
        (None, _) => Err(PublishDirError::NoSpecInDirectory(spec.to_owned())),
    }
}

fn specs_in(directory: &Path) -> Vec<PathBuf> {
    let names = [SPEC_JSON, SPEC_YAML, "api-spec.yml"];
    names.iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect()
}

/// A document beside the one that is named would be left out silently.
fn ensure_one_spec(spec: &Path, directory: &Path) -> Result<(), PublishDirError> {
    let is_same =
        |other: &PathBuf| other == spec || fs::canonicalize(other).ok() == fs::canonicalize(spec).ok();
    match specs_in(directory).into_iter().find(|other| !is_same(other)) {
        Some(other) => Err(PublishDirError::TwoSpecs(spec.to_owned(), other)),
        None => Ok(()),
    }
}

/// How a document is written, by its extension.
///
/// # Errors
/// When it has another one.
pub(crate) fn format(spec: &Path) -> Result<Format, PublishDirError> {
    let name = spec.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Format::of_file_name(name).ok_or_else(|| PublishDirError::Extension(spec.to_owned()))
}

/// The bytes of a document.
///
/// # Errors
/// When it does not exist or can't be read.
pub(crate) fn read_spec(spec: &Path) -> Result<Vec<u8>, PublishDirError> {
    read_optional(spec)?.ok_or_else(|| PublishDirError::MissingSpec(spec.to_owned()))
}

/// Writes generated files below a directory, which is made.
///
/// # Errors
/// When that is not possible.
pub(crate) fn write_files(directory: &Path, files: &[File]) -> Result<(), PublishDirError> {
    for file in files {
        let path = directory.join(&file.path);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &file.content));
        written.map_err(|source| PublishDirError::Unwritable { path, source })?;
    }
    Ok(())
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, PublishDirError> {
    // A pipe that nobody writes to would be waited for without an end.
    let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file());
    let read = if is_special { Err(io::Error::other("it is no regular file")) } else { fs::read(path) };
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PublishDirError::Unreadable { path: path.to_owned(), source }),
    }
}

fn ensure_no_conflicts(inputs: &Inputs<'_>, directory: &Path) -> Result<(), PublishDirError> {
    let both = |flag: Option<&str>, file: &str| flag.is_some() && directory.join(file).exists();
    if !directory.is_dir() {
        return Err(PublishDirError::MissingDirectory(directory.to_owned()));
    }
    if both(inputs.connected_app, CONNECTED_APP_XML) {
        let flag = "--authorization-connected-app-name";
        return Err(PublishDirError::Both { file: CONNECTED_APP_XML, flag, what: "the connected app" });
    }
    if both(inputs.permission_set, PERMISSION_SET_XML) {
        let flag = "--authorization-permission-set-name";
        return Err(PublishDirError::Both { file: PERMISSION_SET_XML, flag, what: "the permission set" });
    }
    Ok(())
}

/// Files that look like metadata, but under names nobody reads: better said than silently left out.
fn unknown_metadata(directory: &Path) -> Result<Vec<String>, PublishDirError> {
    let unreadable = |source| PublishDirError::Unreadable { path: directory.to_owned(), source };
    let mut unknown = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".xml") && name != CONNECTED_APP_XML && name != PERMISSION_SET_XML {
            unknown.push(directory.join(name).display().to_string());
        }
    }
    unknown.sort();
    Ok(unknown)
}

/// The same inputs always make the same bytes: entries carry no time.
pub(crate) fn zipped(files: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, zip::result::ZipError> {
    let options =
        SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Deflated).unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

impl From<PublishDirError> for CliError {
    fn from(error: PublishDirError) -> Self {
        let hint = match &error {
            PublishDirError::Extension(_) => Some("the extension tells the service how to read it"),
            PublishDirError::MissingSpec(_) => Some("is the path right, seen from the current directory?"),
            PublishDirError::NoSpecInDirectory(_) => {
                Some("put api-spec.yaml or api-spec.json into it, or name the file")
            }
            PublishDirError::TwoSpecs(..) => Some("keep one of them"),
            PublishDirError::Both { .. } => Some("use one of them"),
            _ => None,
        };
        let broke = matches!(
            error,
            PublishDirError::MissingSpec(_)
                | PublishDirError::Unreadable { .. }
                | PublishDirError::Unwritable { .. }
                | PublishDirError::Zip(_)
        );
        let told = if broke {
            Self::broken(error.to_string()).because(error)
        } else {
            Self::refused(error.to_string())
        };
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn entries(zip: &[u8]) -> Vec<(String, String)> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        (0..archive.len())
            .map(|index| {
                let mut file = archive.by_index(index).unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                (file.name().unwrap().into_owned(), text)
            })
            .collect()
    }

    #[test]
    fn packs_the_spec_under_its_fixed_name_and_only_known_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("my.yml");
        fs::write(&spec, "openapi: 3.0.3").unwrap();
        fs::write(dir.path().join(PERMISSION_SET_XML), "<PermissionSet/>").unwrap();
        fs::write(dir.path().join("Other.permissionset-meta.xml"), "<PermissionSet/>").unwrap();
        let inputs = Inputs {
            spec: &spec,
            metadata_dir: Some(dir.path()),
            connected_app: Some("App"),
            permission_set: None,
        };
        let packed = pack(&inputs).unwrap();
        assert_eq!(
            entries(&packed.zip),
            [
                ("api-spec.yaml".to_owned(), "openapi: 3.0.3".to_owned()),
                ("permissionset-meta.xml".to_owned(), "<PermissionSet/>".to_owned())
            ]
        );
        assert_eq!(packed.ignored, [dir.path().join("Other.permissionset-meta.xml").display().to_string()]);
        assert_eq!(pack(&inputs).unwrap().zip, packed.zip, "the same inputs make the same zip");
    }
}
