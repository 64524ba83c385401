//! Up to 200 records in one call: `composite/sobjects`.

use serde_json::{Map, Value, json};

use super::RestError;
use super::dispatch::{Call, Reply, Session};
use super::sobjects::saved;
use crate::db::DbError;
use crate::records::Upserted;

const MOST_RECORDS: usize = 200;

/// Everything was undone because one record failed; here is what each would have been.
enum Undone {
    RolledBack(Vec<Result<Value, RestError>>),
    Broken(RestError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Broken(error.into())
    }
}

pub(super) fn create(session: &Session<'_>, body: &Map<String, Value>) -> Result<Reply, RestError> {
    let records = records_of(body)?;
    each(session, all_or_none(body), records, |record| {
        let id = session.records.create(type_of(record)?, record)?;
        Ok(saved(&id))
    })
}

pub(super) fn update(session: &Session<'_>, body: &Map<String, Value>) -> Result<Reply, RestError> {
    let records = records_of(body)?;
    each(session, all_or_none(body), records, |record| {
        let (id, fields) = split_id(record)?;
        session.records.update(type_of(record)?, &id, &fields)?;
        Ok(saved(&id))
    })
}

pub(super) fn upsert(
    session: &Session<'_>,
    name: &str,
    field: &str,
    body: &Map<String, Value>,
) -> Result<Reply, RestError> {
    let records = records_of(body)?;
    each(session, all_or_none(body), records, |record| {
        let (key, value) = record
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(field))
            .ok_or_else(|| RestError::new(400, "MISSING_ARGUMENT", format!("{field} not specified")))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut fields: Map<String, Value> = (*record).clone();
        fields.shift_remove(key);
        let (id, created) = match session.records.upsert(name, field, &text, &fields, false)? {
            Upserted::Created(id) => (id, true),
            Upserted::Updated(id) => (id, false),
            Upserted::Ambiguous(ids) => {
                let message = format!("{field}: more than one record found for external id field: {ids:?}");
                return Err(RestError::new(400, "DUPLICATE_EXTERNAL_ID", message));
            }
        };
        let mut answer = saved(&id);
        answer["created"] = json!(created);
        Ok(answer)
    })
}

pub(super) fn delete(session: &Session<'_>, call: &Call) -> Result<Reply, RestError> {
    let ids = call.parameter("ids").unwrap_or_default();
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    ensure_number(ids.len())?;
    each(session, call.parameter("allOrNone") == Some("true"), ids, |id| {
        let full = crate::ids::normalize(id).unwrap_or_else(|| (*id).to_owned());
        let object =
            session.tx.schema().object_of_id(&full).ok_or_else(|| {
                RestError::new(400, "MALFORMED_ID", format!("malformed id {id}")).about(["Id"])
            })?;
        session.records.delete(&object.name, &full)?;
        Ok(saved(&full))
    })
}

/// Several records of one sObject by id, in the order asked for; null for one that isn't there.
pub(super) fn read(session: &Session<'_>, name: &str, call: &Call) -> Result<Reply, RestError> {
    let (ids, fields) = match &call.body {
        Some(body) => (strings(body, "ids"), strings(body, "fields")),
        None => (split(call.parameter("ids")), split(call.parameter("fields"))),
    };
    ensure_number(ids.len())?;
    if fields.is_empty() {
        return Err(RestError::new(400, "MISSING_ARGUMENT", "The fields parameter is required"));
    }
    let mut records = Vec::new();
    for id in &ids {
        match session.records.read(name, id, Some(&fields), &session.base_url()) {
            Ok(record) => records.push(record),
            Err(error) if matches!(error.code, "NOT_FOUND" | "ENTITY_IS_DELETED") => {
                records.push(Value::Null)
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Reply::ok(Value::Array(records)))
}

/// Runs `work` for each item. With `all_or_none`, one failure undoes everything; without, only itself.
fn each<T>(
    session: &Session<'_>,
    all_or_none: bool,
    items: Vec<T>,
    work: impl Fn(&T) -> Result<Value, RestError>,
) -> Result<Reply, RestError> {
    let outcome: Result<Vec<_>, Undone> = session.tx.savepoint(|| {
        let results: Vec<Result<Value, RestError>> =
            items.iter().map(|item| session.tx.savepoint(|| work(item))).collect();
        let failed = results.iter().any(Result::is_err);
        if failed && all_or_none { Err(Undone::RolledBack(results)) } else { Ok(results) }
    });
    let answers: Vec<Value> = match outcome {
        Ok(results) => results.into_iter().map(answer).collect(),
        Err(Undone::RolledBack(results)) => {
            results.into_iter().map(|result| answer(result.and_then(undone))).collect()
        }
        Err(Undone::Broken(error)) => return Err(error),
    };
    Ok(Reply::ok(Value::Array(answers)))
}

fn undone(_: Value) -> Result<Value, RestError> {
    let message =
        "Record rolled back because not all records were valid and the request was using AllOrNone header";
    Err(RestError::new(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", message))
}

fn answer(result: Result<Value, RestError>) -> Value {
    match result {
        Ok(value) => value,
        Err(error) => json!({"success": false, "errors": [error.collection_body()]}),
    }
}

fn all_or_none(body: &Map<String, Value>) -> bool {
    body.get("allOrNone") == Some(&json!(true))
}

fn records_of(body: &Map<String, Value>) -> Result<Vec<&Map<String, Value>>, RestError> {
    let Some(Value::Array(records)) = body.get("records") else {
        return Err(RestError::bad_json("records: a list of records is required"));
    };
    ensure_number(records.len())?;
    let mut objects = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let object = record.as_object();
        objects
            .push(object.ok_or_else(|| RestError::bad_json(format!("records[{index}]: not a JSON object")))?);
    }
    Ok(objects)
}

fn ensure_number(number: usize) -> Result<(), RestError> {
    if number <= MOST_RECORDS {
        return Ok(());
    }
    let message =
        format!("record limit reached. cannot submit more than {MOST_RECORDS} records in this operation");
    Err(RestError::new(400, "EXCEEDED_ID_LIMIT", message))
}

pub(super) fn type_of(record: &Map<String, Value>) -> Result<&str, RestError> {
    record
        .get("attributes")
        .and_then(|attributes| attributes.get("type"))
        .and_then(Value::as_str)
        .ok_or_else(|| RestError::new(400, "INVALID_TYPE", "Must send a concrete entity type."))
}

fn split_id(record: &Map<String, Value>) -> Result<(String, Map<String, Value>), RestError> {
    let mut fields = record.clone();
    let key = record.keys().find(|key| key.eq_ignore_ascii_case("Id"));
    let id = key.and_then(|key| fields.shift_remove(key));
    match id.as_ref().and_then(Value::as_str) {
        Some(id) => Ok((id.to_owned(), fields)),
        None => {
            Err(RestError::new(400, "MISSING_ARGUMENT", "Id not specified in an update call").about(["Id"]))
        }
    }
}

fn split(list: Option<&str>) -> Vec<String> {
    let items = list.unwrap_or_default().split(',');
    items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn strings(body: &Value, key: &str) -> Vec<String> {
    let items = body.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
