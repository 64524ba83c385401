//! Rows: checked against their stream, and applied, one after the other.

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{Value as Sql, ValueRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use super::problem::TenantError;
use super::streams::{Field, FieldKind, Stream, column};
use crate::db::{DbError, Tx};

/// How many faults of one request are told.
const MOST_FAULTS: usize = 20;

/// A JSON object, as an app sends it.
pub(super) type Row = Map<String, Value>;

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Upsert,
    Delete,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Upsert, Self::Delete].into_iter().find(|each| each.name() == name)
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    /// The columns before; none when there was no row.
    pub(super) before: Option<Row>,
    /// The columns now; none when it is gone.
    pub(super) now: Option<Row>,
}

/// `EventPrompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Insert,
    Update,
    Delete,
}

impl ChangeKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// The rows as they are kept: every field there, in its own form.
pub(super) fn checked(stream: &Stream, rows: Vec<Value>) -> Result<Vec<Row>, TenantError> {
    let (mut good, mut faults) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        match check(stream, row) {
            Ok(row) => good.push(row),
            Err(fault) => faults.push(format!("data[{index}]{fault}")),
        }
        if faults.len() == MOST_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(good) } else { Err(TenantError::bad_rows(faults)) }
}

/// One row; the fault continues a place.
pub(super) fn check(stream: &Stream, row: Value) -> Result<Row, String> {
    let Value::Object(mut given) = row else { return Err(": a row is a JSON object".to_owned()) };
    let mut kept = Row::new();
    for field in &stream.fields {
        let name = &field.name;
        let value = given.remove(name).ok_or_else(|| {
            format!(".{name}: the field is missing; a row has every field of its schema (null where it has no value)")
        })?;
        let value = in_its_form(field, value).map_err(|fault| format!(".{name}: {fault}"))?;
        if value.is_null() && *name == stream.primary_key {
            return Err(format!(".{name}: the primary key has no value"));
        }
        kept.insert(name.clone(), value);
    }
    match given.keys().next() {
        Some(unknown) => Err(format!(".{unknown}: the schema of {} has no such field", stream.object)),
        None => Ok(kept),
    }
}

fn in_its_form(field: &Field, value: Value) -> Result<Value, String> {
    let wanted = |what: &str| Err(format!("expected {what}"));
    match (field.kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        (FieldKind::Text, value @ Value::String(_))
        | (FieldKind::Number, value @ Value::Number(_))
        | (FieldKind::Boolean, value @ Value::Bool(_)) => Ok(value),
        (FieldKind::Text, _) => wanted("a text"),
        (FieldKind::Number, _) => wanted("a number"),
        (FieldKind::Boolean, _) => wanted("true or false"),
        (FieldKind::Date, Value::String(text)) => match text.parse::<Date>() {
            Ok(date) => Ok(date.to_string().into()),
            Err(_) => wanted("a day such as 2026-11-26"),
        },
        (FieldKind::DateTime, Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into()),
            Err(_) => wanted("a time such as 2026-11-26T21:00:00Z"),
        },
        (FieldKind::Date | FieldKind::DateTime, _) => wanted("a text"),
    }
}

/// A value of a CSV, where everything is text and nothing is no value.
pub(super) fn of_text(kind: FieldKind, text: &str) -> Value {
    match kind {
        _ if text.is_empty() => Value::Null,
        FieldKind::Number => text.parse::<Number>().map_or_else(|_| text.into(), Value::Number),
        FieldKind::Boolean => text.parse::<bool>().map_or_else(|_| text.into(), Value::Bool),
        FieldKind::Text | FieldKind::Date | FieldKind::DateTime => text.into(),
    }
}

/// Writes checked rows. `watched`: somebody wants to know what changed.
pub(super) fn upsert(
    tx: &Tx<'_>,
    stream: &Stream,
    rows: &[Row],
    org_id: &str,
    watched: bool,
) -> Result<Vec<Change>, DbError> {
    let statement = upsert_statement(stream);
    let mut changes = Vec::new();
    for row in rows {
        let key = row.get(&stream.primary_key).unwrap_or(&Value::Null);
        let before = if watched { current(tx, stream, key)? } else { None };
        let own = stream.fields.iter().map(|field| to_sql(row.get(&field.name).unwrap_or(&Value::Null)));
        let system = [stream.connector.as_str(), stream.object.as_str(), org_id]
            .map(|text| Sql::from(text.to_owned()));
        tx.prepare_cached(&statement)?.execute(rusqlite::params_from_iter(own.chain(system)))?;
        if watched {
            let now = current(tx, stream, key)?;
            let kind = if before.is_some() { ChangeKind::Update } else { ChangeKind::Insert };
            if before != now {
                changes.push(Change { kind, before, now });
            }
        }
    }
    Ok(changes)
}

fn upsert_statement(stream: &Stream) -> String {
    let columns: Vec<String> = stream
        .fields
        .iter()
        .map(|field| column(&field.name))
        .chain(["DataSource__c", "DataSourceObject__c", "InternalOrganization__c"].map(str::to_owned))
        .map(|name| format!("\"{name}\""))
        .collect();
    let places: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
    let key = format!("\"{}\"", column(&stream.primary_key));
    let set: Vec<String> =
        columns.iter().filter(|name| **name != key).map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "INSERT INTO \"{table}\" ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {set}",
        table = stream.lake_object(),
        columns = columns.join(", "),
        places = places.join(", "),
        set = set.join(", "),
    )
}

/// Removes rows by key.
pub(super) fn delete(tx: &Tx<'_>, stream: &Stream, keys: &[Value]) -> Result<Vec<Change>, DbError> {
    let sql =
        format!("DELETE FROM \"{}\" WHERE \"{}\" = ?1", stream.lake_object(), column(&stream.primary_key));
    let mut changes = Vec::new();
    for key in keys {
        let before = current(tx, stream, key)?;
        if before.is_some() {
            tx.prepare_cached(&sql)?.execute([to_sql(key)])?;
            changes.push(Change { kind: ChangeKind::Delete, before, now: None });
        }
    }
    Ok(changes)
}

/// A row's columns as they are now.
fn current(tx: &Tx<'_>, stream: &Stream, key: &Value) -> Result<Option<Row>, DbError> {
    let sql =
        format!("SELECT * FROM \"{}\" WHERE \"{}\" = ?1", stream.lake_object(), column(&stream.primary_key));
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([to_sql(key)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut columns = Row::new();
    for (index, name) in row.as_ref().column_names().iter().enumerate() {
        let kind = stream.fields.iter().find(|field| column(&field.name) == *name).map(|field| field.kind);
        columns.insert((*name).to_owned(), to_json(row.get_ref(index)?, kind == Some(FieldKind::Boolean)));
    }
    Ok(Some(columns))
}

fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Bool(yes) => Sql::Integer(i64::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Sql::Integer(whole),
            (None, Some(real)) => Sql::Real(real),
            (None, None) => Sql::Null,
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => Sql::Null,
    }
}

/// A column's value as answers and events show it.
pub(super) fn to_json(value: ValueRef<'_>, is_boolean: bool) -> Value {
    match value {
        ValueRef::Integer(number) if is_boolean => json!(number != 0),
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::super::streams::Category;
    use super::*;
    use proptest::prelude::*;

    fn stream() -> Stream {
        let field = |name: &str, kind| Field { name: name.to_owned(), kind };
        Stream {
            connector: "C".into(),
            object: "O".into(),
            label: "O".into(),
            category: Category::Other,
            primary_key: "id".into(),
            event_time: None,
            fields: vec![
                field("id", FieldKind::Text),
                field("n", FieldKind::Number),
                field("yes", FieldKind::Boolean),
                field("day", FieldKind::Date),
                field("at", FieldKind::DateTime),
            ],
        }
    }

    #[test]
    fn a_row_has_every_field_in_its_form() {
        let good =
            json!({"id": "a", "n": 1.5, "yes": true, "day": "2026-11-26", "at": "2026-11-26T22:00:00+01:00"});
        let row = check(&stream(), good.clone()).unwrap();
        assert_eq!(row["at"], "2026-11-26T21:00:00.000Z");
        for (place, value, fault) in [
            ("id", Value::Null, ".id: the primary key has no value"),
            ("n", json!("1"), ".n: expected a number"),
            ("yes", json!(1), ".yes: expected true or false"),
            ("day", json!("26.11.2026"), ".day: expected a day such as 2026-11-26"),
            ("at", json!("yesterday"), ".at: expected a time such as 2026-11-26T21:00:00Z"),
            ("more", json!(1), ".more: the schema of O has no such field"),
        ] {
            let mut bad = good.clone();
            bad[place] = value;
            assert_eq!(check(&stream(), bad).unwrap_err(), fault);
        }
        let mut short = good;
        short.as_object_mut().unwrap().remove("n");
        assert!(check(&stream(), short).unwrap_err().starts_with(".n: the field is missing"));
    }

    proptest! {
        #[test]
        fn any_json_is_a_row_or_a_fault(text in "\\PC{0,80}", n in any::<f64>()) {
            for value in [json!(text), json!([text]), json!({"id": text, "n": n, "yes": text, "day": text, "at": text})] {
                let _ = check(&stream(), value);
            }
            for kind in [FieldKind::Text, FieldKind::Number, FieldKind::Boolean, FieldKind::Date] {
                let _ = of_text(kind, &text);
            }
        }
    }
}
