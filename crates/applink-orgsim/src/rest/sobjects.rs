//! Single records by id and by external id.

use serde_json::{Value, json};

use super::RestError;
use super::dispatch::{Call, Reply, Session};
use crate::records::Upserted;
use crate::schema::SObject;

/// The first version whose upsert answers an update with a body.
const UPSERT_ANSWERS: u32 = 46;

pub(super) fn create(session: &Session<'_>, name: &str, call: &Call) -> Result<Reply, RestError> {
    let object = session.records.object(name)?;
    let id = session.records.create(name, call.object()?)?;
    let location = Some(record_url(session, object, &id));
    Ok(Reply { status: 201, body: Some(saved(&id)), location })
}

pub(super) fn read(session: &Session<'_>, name: &str, id: &str, call: &Call) -> Result<Reply, RestError> {
    let fields: Option<Vec<String>> = call.parameter("fields").map(|fields| {
        fields.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect()
    });
    session.records.read(name, id, fields.as_deref(), &session.base_url()).map(Reply::ok)
}

pub(super) fn update(session: &Session<'_>, name: &str, id: &str, call: &Call) -> Result<Reply, RestError> {
    session.records.update(name, id, call.object()?)?;
    Ok(Reply::no_content())
}

pub(super) fn delete(session: &Session<'_>, name: &str, id: &str) -> Result<Reply, RestError> {
    session.records.delete(name, id)?;
    Ok(Reply::no_content())
}

pub(super) fn read_by(
    session: &Session<'_>,
    name: &str,
    field: &str,
    value: &str,
    call: &Call,
) -> Result<Reply, RestError> {
    match session.records.id_by(name, field, value)?.as_slice() {
        [id] => read(session, name, id, call),
        several => choices(session, name, several),
    }
}

pub(super) fn delete_by(
    session: &Session<'_>,
    name: &str,
    field: &str,
    value: &str,
) -> Result<Reply, RestError> {
    match session.records.id_by(name, field, value)?.as_slice() {
        [id] => delete(session, name, id),
        several => choices(session, name, several),
    }
}

pub(super) fn upsert(
    session: &Session<'_>,
    name: &str,
    field: &str,
    value: &str,
    call: &Call,
) -> Result<Reply, RestError> {
    let object = session.records.object(name)?;
    let update_only = call.parameter("updateOnly") == Some("true");
    let answers = session.version.number() >= UPSERT_ANSWERS;
    match session.records.upsert(name, field, value, call.object()?, update_only)? {
        Upserted::Created(id) => {
            let mut body = saved(&id);
            if answers {
                body["created"] = json!(true);
            }
            Ok(Reply { status: 201, body: Some(body), location: Some(record_url(session, object, &id)) })
        }
        Upserted::Updated(id) if answers => {
            let mut body = saved(&id);
            body["created"] = json!(false);
            Ok(Reply::ok(body))
        }
        Upserted::Updated(_) => Ok(Reply::no_content()),
        Upserted::Ambiguous(ids) => choices(session, name, &ids),
    }
}

pub(super) fn saved(id: &str) -> Value {
    json!({"id": id, "success": true, "errors": []})
}

/// 300: the URLs of the records that all have the value.
fn choices(session: &Session<'_>, name: &str, ids: &[String]) -> Result<Reply, RestError> {
    let object = session.records.object(name)?;
    let urls: Vec<String> = ids.iter().map(|id| record_url(session, object, id)).collect();
    Ok(Reply { status: 300, body: Some(json!(urls)), location: None })
}

fn record_url(session: &Session<'_>, object: &SObject, id: &str) -> String {
    format!("{}/sobjects/{}/{id}", session.base_url(), object.name)
}
