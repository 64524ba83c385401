//! Changes of rows become events, in the transaction that changed them, for every data action that listens.

use serde_json::{Value, json};

use super::actions::{self, Action};
use super::problem::TenantError;
use super::rows::{self, Change, Operation, Row};
use super::streams::Stream;
use crate::db::Tx;
use crate::state::OrgState;
use crate::{secrets, times};

/// Events of one request.
const MOST_EVENTS: usize = 100;

/// Applies rows (for a deletion: their keys) and leaves a delivery for every target that is to know.
pub(super) fn apply(
    state: &OrgState,
    tx: &Tx<'_>,
    stream: &Stream,
    operation: Operation,
    rows: &[Row],
) -> Result<(), TenantError> {
    let listening: Vec<Action> =
        actions::all(tx)?.into_iter().filter(|action| action.listens_to(stream)).collect();
    let changes = match operation {
        Operation::Upsert => rows::upsert(tx, stream, rows, state.org_id(), !listening.is_empty())?,
        Operation::Delete => {
            let keys: Vec<Value> =
                rows.iter().map(|row| row.get(&stream.primary_key).cloned().unwrap_or_default()).collect();
            rows::delete(tx, stream, &keys)?
        }
    };
    for action in &listening {
        let wanted: Vec<&Change> =
            changes.iter().filter(|change| action.wants(stream, change.kind)).collect();
        for some in wanted.chunks(MOST_EVENTS) {
            for target in &action.target_names {
                let events = some.iter().map(|change| event(tx, action, stream, change));
                let events = events.collect::<Result<Vec<Value>, TenantError>>()?;
                queue(tx, target, events, stream)?;
            }
        }
    }
    Ok(())
}

/// The same for keys alone.
pub(super) fn delete(
    state: &OrgState,
    tx: &Tx<'_>,
    stream: &Stream,
    keys: Vec<Value>,
) -> Result<(), TenantError> {
    let row = |key: Value| Row::from_iter([(stream.primary_key.clone(), key)]);
    let rows: Vec<Row> = keys.into_iter().map(row).collect();
    apply(state, tx, stream, Operation::Delete, &rows)
}

fn event(tx: &Tx<'_>, action: &Action, stream: &Stream, change: &Change) -> Result<Value, TenantError> {
    let now = times::rfc3339(tx.now_micros());
    let number = next_number(tx)?;
    let text = |row: &Option<Row>| match row {
        Some(row) => Value::Object(row.clone()).to_string(),
        None => String::new(),
    };
    Ok(json!({
        "ActionDeveloperName": action.developer_name,
        "EventCreationDateTime": now,
        "EventPrompt": change.kind.name(),
        "EventPublishDateTime": now,
        "EventSchemaVersion": schema_id(stream),
        "EventType": "CDCEvent",
        "EventUuid": uuid(tx),
        "Offset": number.to_string(),
        "PayloadCurrentValue": text(&change.now),
        "PayloadPrevValue": text(&change.before),
        "PayloadMetadata": json!({"objectApiName": stream.model_object(), "primaryKey": super::streams::column(&stream.primary_key)}).to_string(),
        "ReplayId": number.to_string(),
        "SourceObjectDeveloperName": action.source_of(stream),
    }))
}

/// Each event of an org has a number, higher than all before.
fn next_number(tx: &Tx<'_>) -> Result<i64, TenantError> {
    let sql = "INSERT INTO _dc_event_counter (one, next) VALUES (1, 1) \
        ON CONFLICT (one) DO UPDATE SET next = next + 1 RETURNING next";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn uuid(tx: &Tx<'_>) -> String {
    uuid::Builder::from_random_bytes(tx.entropy().bytes()).into_uuid().to_string()
}

fn schema_id(stream: &Stream) -> String {
    secrets::fingerprint_text(&schema(stream)).chars().filter(char::is_ascii_alphanumeric).take(22).collect()
}

/// The shape of the events, in Avro's terms.
fn schema(stream: &Stream) -> String {
    let fields: Vec<Value> = stream
        .fields
        .iter()
        .map(|field| json!({"name": super::streams::column(&field.name), "type": ["null", field.kind.column_type()]}))
        .collect();
    json!({"type": "record", "name": "DataObjectDataChgEvent", "object": stream.model_object(), "fields": fields})
        .to_string()
}

fn queue(tx: &Tx<'_>, target: &str, events: Vec<Value>, stream: &Stream) -> Result<(), TenantError> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let body = json!({
        "creationDateTime": times::rfc3339(tx.now_micros()),
        "count": count,
        "schemas": [{"schemaId": schema_id(stream), "schema": schema(stream)}],
        "events": events,
    });
    tx.execute(
        "INSERT INTO _dc_delivery (target, body, events, state, next_micros, created_micros) \
         VALUES (?1, ?2, ?3, 'pending', ?4, ?4)",
        (target, body.to_string(), count, tx.now_micros()),
    )?;
    Ok(())
}
