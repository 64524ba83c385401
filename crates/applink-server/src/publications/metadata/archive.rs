//! `package.xml` and the zip. Both are the same bytes for the same package.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::xml::Element;
use super::{File, Package};

/// The package could not be written as a zip.
#[derive(Debug, thiserror::Error)]
#[error("the metadata package could not be written as a zip archive")]
pub struct ArchiveError(#[from] zip::result::ZipError);

/// `package.xml`: every component, by type.
pub(super) fn manifest(package: &Package) -> File {
    let mut types: Vec<Element> = Vec::new();
    for same_kind in package.components.chunk_by(|a, b| a.kind == b.kind) {
        let mut elements: Vec<Element> =
            same_kind.iter().map(|component| Element::text("members", &component.name)).collect();
        elements.extend(same_kind.first().map(|component| Element::text("name", component.kind)));
        types.push(Element::of("types", elements));
    }
    types.push(Element::text("version", package.version.to_string()));
    File { path: "package.xml".to_owned(), content: Element::of("Package", types).to_document() }
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
