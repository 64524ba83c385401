//! Rows to records: the nested JSON of the REST API.

use rusqlite::types::ValueRef;
use rusqlite::{Row, ToSql};
use serde_json::{Map, Number, Value, json};

use super::ast::Position;
use super::compile::Plan;
use super::error::SoqlError;
use super::filter::Kind;
use super::names::Parent;
use crate::db::{DbError, Tx};

/// How a row's columns become a record.
#[derive(Debug)]
pub(super) struct Shape {
    object: String,
    /// The column of the record's id; none for groups.
    id: Option<usize>,
    entries: Vec<(String, Entry)>,
}

/// One key of a record.
#[derive(Debug)]
pub(super) enum Entry {
    Value { column: usize, kind: Kind },
    Parent(Shape),
    Children(Box<ChildPlan>),
}

/// A sub-query; its last parameter is the parent's id.
#[derive(Debug)]
pub(super) struct ChildPlan {
    pub(super) plan: Plan,
}

impl Shape {
    pub(super) fn record(object: &str, id: usize) -> Self {
        Self { object: object.to_owned(), id: Some(id), entries: Vec::new() }
    }

    pub(super) fn aggregate() -> Self {
        Self { object: "AggregateResult".to_owned(), id: None, entries: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, entry: Entry, at: Position) -> Result<(), SoqlError> {
        if self.entries.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let what = if self.id.is_some() { "duplicate field selected" } else { "duplicate alias" };
            return Err(SoqlError::malformed(at, format!("{what}: {name}")));
        }
        self.entries.push((name.to_owned(), entry));
        Ok(())
    }

    /// Adds an entry to the record of a parent, which is made on first use with its id as one more column.
    pub(super) fn add_under(
        &mut self,
        parents: &[Parent<'_>],
        columns: &mut Vec<String>,
        name: &str,
        entry: Entry,
        at: Position,
    ) -> Result<(), SoqlError> {
        let Some((parent, rest)) = parents.split_first() else { return self.add(name, entry, at) };
        for (known, shape) in &mut self.entries {
            if let Entry::Parent(shape) = shape
                && known == parent.relationship
            {
                return shape.add_under(rest, columns, name, entry, at);
            }
        }
        columns.push(format!("{}.\"Id\"", parent.alias));
        let mut shape = Self::record(&parent.object.name, columns.len() - 1);
        shape.add_under(rest, columns, name, entry, at)?;
        self.entries.push((parent.relationship.to_owned(), Entry::Parent(shape)));
        Ok(())
    }

    /// A row as a record. Sub-queries are run for it.
    pub(super) fn record_of(&self, tx: &Tx<'_>, base_url: &str, row: &Row<'_>) -> Result<Value, DbError> {
        let id = match self.id {
            Some(column) => row.get::<_, Option<String>>(column)?,
            None => None,
        };
        let mut record = Map::new();
        record.insert("attributes".into(), self.attributes(base_url, id.as_deref()));
        for (name, entry) in &self.entries {
            let value = match entry {
                Entry::Value { column, kind: Kind::File } => {
                    let is_there: bool = row.get(*column)?;
                    let id = id.as_deref().unwrap_or_default();
                    json!(is_there.then(|| format!("{base_url}/sobjects/{}/{id}/{name}", self.object)))
                }
                Entry::Value { column, kind } => json_value(row.get_ref(*column)?, *kind),
                Entry::Parent(shape) if shape.is_null(row)? => Value::Null,
                Entry::Parent(shape) => shape.record_of(tx, base_url, row)?,
                Entry::Children(child) => child.records(tx, base_url, id.as_deref().unwrap_or_default())?,
            };
            record.insert(name.clone(), value);
        }
        Ok(Value::Object(record))
    }

    fn is_null(&self, row: &Row<'_>) -> Result<bool, DbError> {
        match self.id {
            Some(column) => Ok(row.get_ref(column)? == ValueRef::Null),
            None => Ok(false),
        }
    }

    fn attributes(&self, base_url: &str, id: Option<&str>) -> Value {
        match id {
            Some(id) => {
                json!({"type": self.object, "url": format!("{base_url}/sobjects/{}/{id}", self.object)})
            }
            None => json!({"type": self.object}),
        }
    }
}

impl Plan {
    /// All records, each with its id when it has one.
    pub(super) fn records(
        &self,
        tx: &Tx<'_>,
        base_url: &str,
    ) -> Result<Vec<(Option<String>, Value)>, DbError> {
        let mut statement = tx.prepare_cached(&self.sql.text)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&self.sql.params))?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let id = match self.shape.id {
                Some(column) => row.get(column)?,
                None => None,
            };
            records.push((id, self.shape.record_of(tx, base_url, row)?));
        }
        Ok(records)
    }
}

impl ChildPlan {
    /// `{totalSize, done, records}`, or null when a parent has no children.
    fn records(&self, tx: &Tx<'_>, base_url: &str, parent_id: &str) -> Result<Value, DbError> {
        let mut statement = tx.prepare_cached(&self.plan.sql.text)?;
        let mut params: Vec<&dyn ToSql> = Vec::new();
        for param in &self.plan.sql.params {
            params.push(param);
        }
        if let Some(last) = params.last_mut() {
            *last = &parent_id;
        }
        let mut rows = statement.query(params.as_slice())?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(self.plan.shape.record_of(tx, base_url, row)?);
        }
        if records.is_empty() {
            return Ok(Value::Null);
        }
        Ok(json!({"totalSize": records.len(), "done": true, "records": records}))
    }
}

fn json_value(value: ValueRef<'_>, kind: Kind) -> Value {
    match (kind, value) {
        (_, ValueRef::Null | ValueRef::Blob(_)) => Value::Null,
        (Kind::Boolean, ValueRef::Integer(number)) => Value::Bool(number != 0),
        (Kind::Moment, ValueRef::Integer(micros)) => Value::String(moment_json(micros)),
        (Kind::Double, ValueRef::Integer(whole)) => json!(whole as f64),
        (Kind::Int, ValueRef::Real(number)) => json!(number as i64),
        (_, ValueRef::Integer(number)) => json!(number),
        (_, ValueRef::Real(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        (_, ValueRef::Text(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
    }
}

/// `2025-03-01T10:00:00.000+0000`, as the REST API writes moments.
pub(crate) fn moment_json(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string(),
        Err(_) => micros.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_look_as_the_rest_api_writes_them() {
        assert_eq!(moment_json(1_673_965_203_000_000), "2023-01-17T14:20:03.000+0000");
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(json_value(ValueRef::Integer(5), Kind::Double).to_string(), "5.0");
        assert_eq!(json_value(ValueRef::Integer(5), Kind::Int).to_string(), "5");
        assert_eq!(json_value(ValueRef::Integer(1), Kind::Boolean), Value::Bool(true));
    }
}
