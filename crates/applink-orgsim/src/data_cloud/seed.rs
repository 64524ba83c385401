//! The stream a fresh org has: what people click on the company's site.

use super::problem::TenantError;
use super::streams::{self, Category, Field, FieldKind, Stream};
use crate::db::Database;

/// Makes the sample stream when the org has none.
pub(crate) fn seed(db: &Database) -> Result<(), TenantError> {
    db.write(|tx| {
        if streams::all(tx)?.is_empty() {
            streams::create(tx, click_events())?;
        }
        Ok(())
    })
}

fn click_events() -> Stream {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    Stream {
        connector: "AcmeWeb".to_owned(),
        object: "ClickEvent".to_owned(),
        label: "Click events".to_owned(),
        category: Category::Engagement,
        primary_key: "eventId".to_owned(),
        event_time: Some("occurredAt".to_owned()),
        fields: vec![
            field("eventId", FieldKind::Text),
            field("visitor", FieldKind::Text),
            field("page", FieldKind::Text),
            field("action", FieldKind::Text),
            field("product", FieldKind::Text),
            field("quantity", FieldKind::Number),
            field("occurredAt", FieldKind::DateTime),
        ],
    }
}
