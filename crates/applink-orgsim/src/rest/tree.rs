//! Records with their children in one call: `composite/tree`. All are made or none.

use serde_json::{Map, Value, json};

use super::RestError;
use super::collections::type_of;
use super::dispatch::{Reply, Session};
use crate::db::DbError;

const MOST_RECORDS: usize = 200;
const MOST_LEVELS: usize = 5;

enum Undone {
    Refused { reference: String, error: RestError },
    Broken(RestError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Broken(error.into())
    }
}

pub(super) fn create(
    session: &Session<'_>,
    name: &str,
    body: &Map<String, Value>,
) -> Result<Reply, RestError> {
    let records = records_of(body)?;
    let outcome: Result<Vec<Value>, Undone> = session.tx.savepoint(|| {
        let mut made = Vec::new();
        for record in &records {
            insert(session, name, record, None, 1, &mut made)?;
        }
        Ok(made)
    });
    match outcome {
        Ok(results) => {
            let body = json!({"hasErrors": false, "results": results});
            Ok(Reply { status: 201, body: Some(body), location: None })
        }
        Err(Undone::Refused { reference, error }) => {
            let result = json!({"referenceId": reference, "errors": [error.collection_body()]});
            let body = json!({"hasErrors": true, "results": [result]});
            Ok(Reply { status: 400, body: Some(body), location: None })
        }
        Err(Undone::Broken(error)) => Err(error),
    }
}

fn records_of(body: &Map<String, Value>) -> Result<Vec<&Map<String, Value>>, RestError> {
    let records = body.get("records").and_then(Value::as_array);
    let records = records.ok_or_else(|| RestError::bad_json("records: a list of records is required"))?;
    Ok(records.iter().filter_map(Value::as_object).collect())
}

/// One record, then its children. `parent` is the reference field and id that tie it to its parent.
fn insert(
    session: &Session<'_>,
    name: &str,
    record: &Map<String, Value>,
    parent: Option<(&str, &str)>,
    level: usize,
    made: &mut Vec<Value>,
) -> Result<(), Undone> {
    let reference = record.get("attributes").and_then(|attributes| attributes.get("referenceId"));
    let reference = reference.and_then(Value::as_str).unwrap_or_default().to_owned();
    let refused = |error| Undone::Refused { reference: reference.clone(), error };
    if level > MOST_LEVELS || made.len() >= MOST_RECORDS {
        let message = format!("at most {MOST_RECORDS} records in {MOST_LEVELS} levels");
        return Err(refused(RestError::new(400, "LIMIT_EXCEEDED", message)));
    }
    let object = session.records.object(name).map_err(refused)?;
    if !type_of(record).map_err(refused)?.eq_ignore_ascii_case(&object.name) {
        let message = format!("Record type must be {}", object.name);
        return Err(refused(RestError::new(400, "INVALID_TYPE", message)));
    }
    let is_children = |value: &Value| value.get("records").is_some_and(Value::is_array);
    let mut fields: Map<String, Value> =
        record.iter().filter(|(_, value)| !is_children(value)).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some((field, id)) = parent {
        fields.insert(field.to_owned(), json!(id));
    }
    let id = session.records.create(name, &fields).map_err(refused)?;
    made.push(json!({"referenceId": reference, "id": id}));
    for (relationship, children) in record.iter().filter(|(_, value)| is_children(value)) {
        let child = session.tx.schema().child(object, relationship).ok_or_else(|| {
            let message = format!("No such relationship '{relationship}' on sobject of type {}", object.name);
            refused(RestError::new(400, "INVALID_FIELD", message))
        })?;
        let children = children.get("records").and_then(Value::as_array).into_iter().flatten();
        for record in children.filter_map(Value::as_object) {
            insert(session, &child.child.name, record, Some((&child.field.name, &id)), level + 1, made)?;
        }
    }
    Ok(())
}
