//! `package.xml` and the zip. Both are the same bytes for the same package.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::xml::Element;
use super::{File, Package};
use crate::Release;

/// The package could not be written as a zip.
#[derive(Debug, thiserror::Error)]
#[error("the metadata package could not be written as a zip archive")]
pub struct ArchiveError(#[from] zip::result::ZipError);

/// `package.xml`: every component, by type.
pub(super) fn manifest(package: &Package) -> File {
    let components = package.components.iter().map(|component| (component.kind, component.name.as_str()));
    listing("package.xml", &components.collect::<Vec<_>>(), package.version)
}

/// A file that lists components, those of one type next to each other.
fn listing(path: &str, components: &[(&'static str, &str)], version: Release) -> File {
    let mut types: Vec<Element> = Vec::new();
    for same_kind in components.chunk_by(|(a, _), (b, _)| a == b) {
        let mut elements: Vec<Element> =
            same_kind.iter().map(|(_, name)| Element::text("members", *name)).collect();
        elements.extend(same_kind.first().map(|(kind, _)| Element::text("name", *kind)));
        types.push(Element::of("types", elements));
    }
    types.push(Element::text("version", version.to_string()));
    File { path: path.to_owned(), content: Element::of("Package", types).to_document() }
}

/// A package that only deletes: first what refers to others, then what is referred to, each in the order given.
pub fn deletions(
    before: &[(&'static str, &str)],
    after: &[(&'static str, &str)],
    version: Release,
) -> Vec<File> {
    vec![
        listing("package.xml", &[], version),
        listing("destructiveChangesPre.xml", before, version),
        listing("destructiveChangesPost.xml", after, version),
    ]
}

/// The files as a zip: fixed order, fixed times.
///
/// # Errors
/// [`ArchiveError`] when a file can't be written.
pub fn zip(files: &[File]) -> Result<Vec<u8>, ArchiveError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        writer.start_file(&file.path, options)?;
        writer.write_all(file.content.as_bytes()).map_err(zip::result::ZipError::Io)?;
    }
    Ok(writer.finish()?.into_inner())
}
