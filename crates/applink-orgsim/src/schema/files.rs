//! Files: each a document, and its versions with the bytes.
//!
//! Files know no object permissions: everyone may upload, and sees what is their own. Sharing a file with others is
//! not simulated.

use serde_json::json;

use super::{Access, Declaration, Field, SObject};

pub(super) fn objects() -> Vec<SObject> {
    vec![content_document(), content_version()]
}

fn own(write: &'static [&'static str]) -> Access {
    Access::Setup { read: &["ViewAllData"], own: Some("OwnerId"), write }
}

/// What both tell about the file. The org works it out.
fn facts() -> Vec<Field> {
    vec![
        Field::text("FileType", 20).read_only().system(),
        Field::text("FileExtension", 40).read_only().system(),
        Field::int("ContentSize").read_only().system(),
    ]
}

fn content_document() -> SObject {
    let mut fields = vec![
        Field::text("Title", 255).required().read_only(),
        Field::lookup("LatestPublishedVersionId", &["ContentVersion"], "LatestPublishedVersion")
            .read_only()
            .system(),
    ];
    fields.extend(facts());
    Declaration::new("ContentDocument", "Content Document", "Content Documents", "069")
        .access(own(&["ApiEnabled"]))
        .owned()
        .fields(fields)
}

fn content_version() -> SObject {
    let mut fields = vec![
        Field::lookup("ContentDocumentId", &["ContentDocument"], "ContentDocument")
            .label("ContentDocument ID")
            .children("ContentVersions")
            .cascades()
            .not_updateable()
            .system(),
        Field::boolean("IsLatest").read_only().system(),
        Field::text("VersionNumber", 20).read_only().system(),
        Field::text("Title", 255).required(),
        Field::text("PathOnClient", 500).not_updateable().system(),
        Field::text("ReasonForChange", 1_000).system(),
        Field::text_area("Description", 1_000).system(),
        Field::picklist("ContentLocation", &["S", "E", "L"])
            .not_updateable()
            .system()
            .default_value(json!("S")),
        Field::picklist("Origin", &["C", "H"]).not_updateable().system().default_value(json!("C")),
        Field::base64("VersionData").required(),
    ];
    fields.extend(facts());
    Declaration::new("ContentVersion", "Content Version", "Content Versions", "068")
        .access(own(&["ApiEnabled"]))
        .owned()
        .fields(fields)
}
