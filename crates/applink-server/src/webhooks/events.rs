//! Telling what happened, in the transaction in which it happens.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use applink_api::webhook::{EventType, WebhookEvent};
use serde_json::Value;
use uuid::Uuid;

use super::{Endpoint, flow, store};
use crate::db::{RowId, StoreError, Tx};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub kind: EventType,
    /// In which add-on.
    pub addon: AddonId,
    /// To what: its versions are counted.
    pub subject: Uuid,
    /// It fails though it is there: what is told next may be that it recovered.
    pub failing: bool,
    /// The thing as it is now, as the API answers it. Never a secret.
    pub data: Value,
}

/// Writes the event and a delivery for every endpoint that wants it. The version grows either way, so that an endpoint
/// that comes later, or wants only some types, can still tell old from new.
///
/// # Errors
/// [`StoreError`].
pub async fn tell(tx: &Tx, event: Event) -> Result<(), StoreError> {
    let version = store::next_version(&**tx, event.addon, event.subject, event.failing).await?;
    let mut endpoints = store::enabled(&**tx, event.addon).await?;
    endpoints.retain(|endpoint| flow::wants(&endpoint.event_types, event.kind));
    write(tx, &event, version, &endpoints).await.map(drop)
}

/// Writes a test for one endpoint; the delivery's id.
///
/// # Errors
/// [`StoreError`].
pub async fn tell_test(tx: &Tx, endpoint: &Endpoint) -> Result<Option<Uuid>, StoreError> {
    let data = serde_json::json!({"webhook_id": endpoint.id, "message": "This is a test."});
    let event = Event {
        kind: EventType::WebhookTest,
        addon: endpoint.addon,
        subject: endpoint.id,
        failing: false,
        data,
    };
    let version = store::next_version(&**tx, event.addon, event.subject, event.failing).await?;
    write(tx, &event, version, std::slice::from_ref(endpoint)).await
}

/// The last delivery's id; none when nobody is told.
async fn write(
    tx: &Tx,
    event: &Event,
    version: i64,
    endpoints: &[Endpoint],
) -> Result<Option<Uuid>, StoreError> {
    if endpoints.is_empty() {
        return Ok(None);
    }
    let now = tx.clock().now();
    let row = store::NewEvent {
        id: RowId(tx.entropy().uuid()),
        addon: event.addon,
        kind: event.kind.as_str(),
        body: body(event, version, now)?,
        at: now,
    };
    let id = row.id;
    store::insert_event(&**tx, row).await?;
    let mut last = None;
    for endpoint in endpoints {
        let delivery = tx.entropy().uuid();
        store::insert_delivery(&**tx, RowId(delivery), endpoint, (id, event.kind.as_str()), now).await?;
        last = Some(delivery);
    }
    tx.wake_webhooks();
    Ok(last)
}

fn body(event: &Event, version: i64, now: Timestamp) -> Result<String, StoreError> {
    let wire = WebhookEvent {
        kind: event.kind.as_str().to_owned(),
        timestamp: now,
        addon_id: event.addon,
        version,
        data: event.data.clone(),
    };
    serde_json::to_string(&wire).map_err(|_| StoreError::Inconsistent {
        table: store::EVENTS,
        column: "body",
        row: event.subject.to_string(),
    })
}
