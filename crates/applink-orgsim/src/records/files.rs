//! Files: a version without a document starts one; the newest version is the document's latest.

use rusqlite::types::Value as SqlValue;
use serde_json::json;

use super::values::Row;
use super::{Records, RestError, change, insert};

/// Works out what a file's name and bytes tell, and the document a new version belongs to.
pub(super) fn before_write(
    records: &Records<'_>,
    before: Option<&Row>,
    row: &mut Row,
) -> Result<(), RestError> {
    let path = row.text("PathOnClient").unwrap_or_default();
    let file_name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name.as_str(), ""));
    if row.is_null("Title") && !stem.is_empty() {
        row.set("Title", text(stem));
    }
    row.set("FileExtension", if extension.is_empty() { SqlValue::Null } else { text(extension) });
    row.set("FileType", text(&file_type(extension)));
    if let SqlValue::Blob(content) = row.get("VersionData") {
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        row.set("ContentSize", SqlValue::Integer(size));
    }
    if before.is_none() && !row.is_null("VersionData") && !row.is_null("Title") {
        number(records, row)?;
    }
    Ok(())
}

/// The document points at its newest version.
pub(super) fn after_write(records: &Records<'_>, id: &str, row: &Row) -> Result<(), RestError> {
    let Some(document) = row.text("ContentDocumentId").filter(|_| row.flag("IsLatest")) else {
        return Ok(());
    };
    let told = |name: &str| row.text(name).map(str::to_owned);
    let facts = json!({
        "Title": told("Title"), "FileType": told("FileType"), "FileExtension": told("FileExtension"),
        "ContentSize": row.number("ContentSize"), "LatestPublishedVersionId": id,
    });
    change(records.tx, "ContentDocument", document, facts)
}

/// Gives a new version its document and its number in it.
fn number(records: &Records<'_>, row: &mut Row) -> Result<(), RestError> {
    let versions: i64 = match row.text("ContentDocumentId") {
        Some(document) => records.tx.query_row(
            "SELECT count(*) FROM \"ContentVersion\" WHERE \"ContentDocumentId\" = ?1",
            [document],
            |found| found.get(0),
        )?,
        None => {
            let document = json!({"Title": row.text("Title"), "OwnerId": row.text("OwnerId")});
            row.set("ContentDocumentId", text(&insert(records.tx, "ContentDocument", document)?));
            0
        }
    };
    records.tx.execute(
        "UPDATE \"ContentVersion\" SET \"IsLatest\" = 0 WHERE \"ContentDocumentId\" = ?1",
        [row.text("ContentDocumentId")],
    )?;
    row.set("IsLatest", SqlValue::Integer(1));
    row.set("VersionNumber", text(&(versions + 1).to_string()));
    Ok(())
}

fn file_type(extension: &str) -> String {
    match extension.to_ascii_uppercase().as_str() {
        "" => "UNKNOWN".to_owned(),
        "TXT" => "TEXT".to_owned(),
        "JPEG" => "JPG".to_owned(),
        "DOCX" => "WORD_X".to_owned(),
        "XLSX" => "EXCEL_X".to_owned(),
        "PPTX" => "POWER_POINT_X".to_owned(),
        other => other.chars().take(20).collect(),
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}
