//! Step 1 of a row's way: what streams there are, and the objects they fill.
//!
//! A stream is one object of one *connector* (the source an app names when it sends rows). It fills the lake object
//! `<Connector>_<Object>__dll`, over which the model object `<Object>__dlm` shows the same columns, each with `__c`
//! behind its name.

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::TenantError;
use crate::db::{DbError, Tx};
use crate::times;

/// Columns every lake object has besides those of its stream.
const SYSTEM_COLUMNS: [&str; 3] = ["DataSource__c", "DataSourceObject__c", "InternalOrganization__c"];
/// Fields a stream may have.
const MOST_FIELDS: usize = 200;
const LONGEST_NAME: usize = 40;
/// What an API name is, in words.
pub(super) const API_NAME: &str = "a letter, then letters, digits and single underscores, 40 at most";

/// What a stream takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Stream {
    /// The source an app names.
    pub(super) connector: String,
    /// The object of it.
    pub(super) object: String,
    #[serde(default)]
    pub(super) label: String,
    /// `Engagement`, `Profile` or `Other`.
    #[serde(default)]
    pub(super) category: Category,
    pub(super) primary_key: String,
    /// The field that says when it happened; engagement streams have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_time: Option<String>,
    pub(super) fields: Vec<Field>,
}

/// What kind of data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Category {
    Engagement,
    Profile,
    #[default]
    Other,
}

/// A field of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "dataType")]
    pub(super) kind: FieldKind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FieldKind {
    #[serde(alias = "Email", alias = "Phone", alias = "Url")]
    Text,
    #[serde(alias = "Percent")]
    Number,
    Date,
    DateTime,
    Boolean,
}

impl FieldKind {
    /// As the column is declared, and as query results call it.
    pub(super) const fn column_type(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Number => "DECIMAL",
            Self::Date => "DATE",
            Self::DateTime => "TIMESTAMP WITH TIME ZONE",
            Self::Boolean => "BOOLEAN",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Number => "Number",
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Boolean => "Boolean",
        }
    }
}

/// A field's column.
pub(super) fn column(field: &str) -> String {
    format!("{field}__c")
}

impl Stream {
    /// The table.
    pub(super) fn lake_object(&self) -> String {
        format!("{}_{}__dll", self.connector, self.object)
    }

    /// The view over it.
    pub(super) fn model_object(&self) -> String {
        format!("{}__dlm", self.object)
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether the names of a data action's sources mean this stream.
    pub(super) fn is_called(&self, object: &str) -> bool {
        object.eq_ignore_ascii_case(&self.lake_object()) || object.eq_ignore_ascii_case(&self.model_object())
    }

    /// The first rule that is broken.
    fn broken_rule(&self) -> Option<String> {
        let bad = |what: &str, name: &str| Some(format!("{what}: {name:?} is no API name ({API_NAME})"));
        if !is_api_name(&self.connector) {
            return bad("connector", &self.connector);
        }
        if !is_api_name(&self.object) {
            return bad("object", &self.object);
        }
        if self.fields.is_empty() || self.fields.len() > MOST_FIELDS {
            return Some(format!("fields: a stream has 1 to {MOST_FIELDS} fields"));
        }
        for (index, field) in self.fields.iter().enumerate() {
            if !is_api_name(&field.name) {
                return bad("fields", &field.name);
            }
            let twice = |other: &Field| other.name.eq_ignore_ascii_case(&field.name);
            if self.fields.iter().skip(index + 1).any(twice)
                || SYSTEM_COLUMNS.iter().any(|system| column(&field.name).eq_ignore_ascii_case(system))
            {
                return Some(format!("fields: {:?} is there twice", field.name));
            }
        }
        match self.field(&self.primary_key).map(|field| field.kind) {
            Some(FieldKind::Text | FieldKind::Number) => {}
            Some(_) => return Some("primaryKey: its field must be Text or Number".to_owned()),
            None => return Some(format!("primaryKey: there is no field {:?}", self.primary_key)),
        }
        match &self.event_time {
            Some(name) if self.field(name).map(|field| field.kind) != Some(FieldKind::DateTime) => {
                Some("eventTime: it must be the name of a DateTime field".to_owned())
            }
            None if self.category == Category::Engagement => {
                Some("eventTime: an Engagement stream needs the field that says when it happened".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn to_json(&self, created_micros: i64) -> Value {
        json!({
            "name": format!("{}_{}", self.connector, self.object),
            "label": self.label,
            "status": "ACTIVE",
            "dataStreamType": "INGESTAPI",
            "connectorInfo": {"connectorType": "IngestApi", "connectorDetails": {"name": self.connector, "events": [self.object]}},
            "dataLakeObjectInfo": self.lake_object_json(),
            "dataModelObject": self.model_object(),
            "createdDate": times::rfc3339(created_micros),
        })
    }

    pub(super) fn lake_object_json(&self) -> Value {
        json!({
            "name": self.lake_object(),
            "label": self.label,
            "category": self.category,
            "dataSpace": "default",
            "fields": self.fields_json(),
        })
    }

    pub(super) fn model_object_json(&self) -> Value {
        json!({
            "name": self.model_object(),
            "label": self.label,
            "category": self.category,
            "dataSpace": "default",
            "creationType": "Custom",
            "mappedFrom": [self.lake_object()],
            "fields": self.fields_json(),
        })
    }

    fn fields_json(&self) -> Vec<Value> {
        let of = |field: &Field| {
            json!({
                "name": column(&field.name),
                "label": field.name,
                "dataType": field.kind.name(),
                "isPrimaryKey": field.name == self.primary_key,
                "isEventTime": self.event_time.as_deref() == Some(&field.name),
            })
        };
        self.fields.iter().map(of).collect()
    }
}

/// A letter, then letters, digits and single underscores.
pub(super) fn is_api_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.contains("__")
        && !name.ends_with('_')
}

/// Makes a stream with its objects.
pub(super) fn create(tx: &Tx<'_>, mut stream: Stream) -> Result<Stream, TenantError> {
    if let Some(broken) = stream.broken_rule() {
        return Err(TenantError::bad_request(broken));
    }
    if of_object(tx, &stream.object)?.is_some() {
        return Err(TenantError::bad_request(format!(
            "object: a stream fills {} already",
            stream.model_object()
        )));
    }
    if stream.label.is_empty() {
        stream.label.clone_from(&stream.object);
    }
    tx.execute(
        "INSERT INTO _dc_stream (connector, object, definition, created_micros) VALUES (?1, ?2, ?3, ?4)",
        (&stream.connector, &stream.object, serde_json::to_string(&stream)?, tx.now_micros()),
    )?;
    // The names are API names, so they can stand in the statement.
    let own = stream.fields.iter().map(|field| {
        let key = if field.name == stream.primary_key { " PRIMARY KEY NOT NULL" } else { "" };
        format!("\"{}\" {}{key}", column(&field.name), field.kind.column_type())
    });
    let system = SYSTEM_COLUMNS.iter().map(|name| format!("\"{name}\" VARCHAR"));
    let columns = own.chain(system).collect::<Vec<_>>().join(", ");
    let (table, view) = (stream.lake_object(), stream.model_object());
    tx.execute_batch(&format!(
        "CREATE TABLE \"{table}\" ({columns}); CREATE VIEW \"{view}\" AS SELECT * FROM \"{table}\";"
    ))?;
    Ok(stream)
}

/// All streams with the time they were made, by name.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<(Stream, i64)>, TenantError> {
    let mut statement =
        tx.prepare_cached("SELECT definition, created_micros FROM _dc_stream ORDER BY connector, object")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut streams = Vec::new();
    for row in rows {
        let (definition, created) = row?;
        streams.push((serde_json::from_str(&definition)?, created));
    }
    Ok(streams)
}

/// The stream an app names in a path.
pub(super) fn of_source(tx: &Tx<'_>, connector: &str, object: &str) -> Result<Stream, TenantError> {
    let definition: Option<String> = tx
        .prepare_cached("SELECT definition FROM _dc_stream WHERE connector = ?1 AND object = ?2")?
        .query_row((connector, object), |row| row.get(0))
        .optional()?;
    let definition = definition.ok_or_else(|| {
        TenantError::not_found(format!(
            "There is no object {object:?} of a connector {connector:?}; GET /_sim/data-cloud/streams lists what there is"
        ))
    })?;
    Ok(serde_json::from_str(&definition)?)
}

/// The stream of an object name alone, which is one stream's.
pub(super) fn of_object(tx: &Tx<'_>, object: &str) -> Result<Option<Stream>, TenantError> {
    let definition: Option<String> = tx
        .prepare_cached("SELECT definition FROM _dc_stream WHERE object = ?1")?
        .query_row([object], |row| row.get(0))
        .optional()?;
    Ok(definition.map(|definition| serde_json::from_str(&definition)).transpose()?)
}

/// How many rows a stream's lake object has.
pub(super) fn count(tx: &Tx<'_>, stream: &Stream) -> Result<i64, DbError> {
    let sql = format!("SELECT COUNT(*) FROM \"{}\"", stream.lake_object());
    Ok(tx.query_row(&sql, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn api_names_can_stand_in_a_statement() {
        for good in ["A", "ClickEvent", "Click_Event2"] {
            assert!(is_api_name(good), "{good}");
        }
        for bad in ["", "1a", "_a", "a__b", "a_", "a b", "a\"; DROP TABLE x", "é", &"a".repeat(41)] {
            assert!(!is_api_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_api_name_can_end_a_quoted_name(name in "\\PC{0,50}") {
            if is_api_name(&name) {
                prop_assert!(!name.contains(['"', '\'', ';', '-', ' ']));
            }
        }
    }
}
