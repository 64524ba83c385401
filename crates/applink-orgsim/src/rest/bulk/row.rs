//! Rows to records: what the header's names mean, and what becomes of one row.

use csv::ByteRecord;
use serde_json::{Map, Value, json};

use super::job::Operation;
use super::store::Outcome;
use super::upload::RowsError;
use crate::db::Tx;
use crate::records::{self, Records, Upserted};
use crate::rest::RestError;
use crate::schema::{Field, FieldType, SObject};

/// What sets a field to null; an empty value leaves it alone.
const NULL: &str = "#N/A";
/// The most names a header line may have.
const MOST_COLUMNS: usize = 5_000;

/// What to do with each row.
#[derive(Debug)]
pub(super) struct Plan<'s> {
    operation: Operation,
    object: &'s SObject,
    columns: Vec<Column<'s>>,
    /// The column that names the record: `Id`, or the external id of an upsert.
    key: Option<usize>,
    key_name: &'s str,
}

/// What a name in the header means.
#[derive(Debug)]
enum Column<'s> {
    Field(&'s Field),
    /// `Account.ExternalId__c`: the parent, by one of its external ids.
    Parent {
        relationship: &'s str,
        reference: &'s Field,
        key: &'s Field,
    },
}

impl<'s> Plan<'s> {
    /// Finds out what a header line means to a caller.
    ///
    /// # Errors
    /// The job's `errorMessage` when a name means nothing, occurs twice, or the record's key is missing.
    pub(super) fn new(
        records: &Records<'s>,
        operation: Operation,
        object: &'s SObject,
        external_id: Option<&str>,
        header: &ByteRecord,
    ) -> Result<Self, RowsError> {
        if header.is_empty() || header.len() > MOST_COLUMNS {
            let message = format!("InvalidBatch : The first line has to name 1 to {MOST_COLUMNS} fields");
            return Err(RowsError::Unusable(message));
        }
        let mut columns: Vec<Column<'s>> = Vec::new();
        for name in header {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            let column = column(records, object, &name).ok_or_else(|| unknown_name(&name))?;
            if columns.iter().any(|known| known.sets() == column.sets()) {
                return Err(RowsError::Unusable(format!("InvalidBatch : Duplicate field name : {name}")));
            }
            columns.push(column);
        }
        let key_name = match (operation, external_id) {
            (Operation::Upsert, Some(name)) => object.field(name).map_or("Id", |field| &field.name),
            _ => "Id",
        };
        let key = columns
            .iter()
            .position(|column| matches!(column, Column::Field(field) if field.name == key_name));
        if key.is_none() && operation != Operation::Insert {
            return Err(unknown_name(key_name));
        }
        if matches!(operation, Operation::Delete | Operation::HardDelete) && columns.len() > 1 {
            let message = "InvalidBatch : Only the Id column is allowed when records are deleted";
            return Err(RowsError::Unusable(message.to_owned()));
        }
        Ok(Self { operation, object, columns, key, key_name })
    }

    /// Puts one row into the org.
    ///
    /// # Errors
    /// Only when the org itself fails; a refused row is an [`Outcome`].
    pub(super) fn apply(
        &self,
        tx: &Tx<'_>,
        records: &Records<'_>,
        row: &ByteRecord,
    ) -> Result<Outcome, RestError> {
        let cells: Vec<&str> = match row.iter().map(std::str::from_utf8).collect::<Result<_, _>>() {
            Ok(cells) => cells,
            Err(_) => return Ok(Outcome::refused(None, "INVALID_FIELD:The row is not UTF-8:--".to_owned())),
        };
        let key =
            self.key.and_then(|index| cells.get(index)).map(|key| key.trim()).filter(|key| !key.is_empty());
        let done = tx.savepoint(|| self.write(tx, records, &cells, key));
        match done {
            Err(error) if error.status >= 500 => Err(error),
            Err(error) => Ok(Outcome::refused(self.record_id(key), self.told(&error, &cells))),
            Ok((id, created)) => Ok(Outcome { record_id: Some(id), created, error: None }),
        }
    }

    /// Answers the record's id and whether it was made.
    fn write(
        &self,
        tx: &Tx<'_>,
        records: &Records<'_>,
        cells: &[&str],
        key: Option<&str>,
    ) -> Result<(String, bool), RestError> {
        let name = &self.object.name;
        let required = || key.ok_or_else(|| self.missing_key());
        match self.operation {
            Operation::Update => {
                let id = required()?;
                records.update(name, id, &self.fields(cells, true)).map_err(no_such_record)?;
                Ok((full_id(id), false))
            }
            Operation::Delete | Operation::HardDelete => {
                let id = required()?;
                records.delete(name, id).map_err(no_such_record)?;
                if self.operation == Operation::HardDelete {
                    tx.execute(&format!("DELETE FROM \"{name}\" WHERE \"Id\" = ?1"), [full_id(id)])?;
                }
                Ok((full_id(id), false))
            }
            // A row without an id is new, as in real orgs.
            Operation::Upsert if self.key_name != "Id" || key.is_some() => {
                let (key, fields) = (required()?, self.fields(cells, true));
                match records.upsert(name, self.key_name, key, &fields, false).map_err(no_such_record)? {
                    Upserted::Created(id) => Ok((id, true)),
                    Upserted::Updated(id) => Ok((id, false)),
                    Upserted::Ambiguous(ids) => Err(self.ambiguous(&ids)),
                }
            }
            _ if key.is_some() => {
                let message = "cannot specify Id in an insert call";
                Err(RestError::new(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message).about(["Id"]))
            }
            _ => Ok((records.create(name, &self.fields(cells, true))?, true)),
        }
    }

    /// The row as the REST API would be sent it.
    fn fields(&self, cells: &[&str], without_key: bool) -> Map<String, Value> {
        let mut fields = Map::new();
        for (index, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            if cell.is_empty() || without_key && self.key == Some(index) {
                continue;
            }
            let (name, value) = match column {
                Column::Field(field) => (field.name.as_str(), value(field, cell)),
                Column::Parent { reference, .. } if *cell == NULL => (reference.name.as_str(), Value::Null),
                Column::Parent { relationship, key, .. } => (*relationship, json!({key.name.as_str(): cell})),
            };
            fields.insert(name.to_owned(), value);
        }
        fields
    }

    fn record_id(&self, key: Option<&str>) -> Option<String> {
        key.filter(|_| self.key_name == "Id").map(full_id)
    }

    fn missing_key(&self) -> RestError {
        let message = match self.operation {
            Operation::Upsert => format!("{} not specified", self.key_name),
            Operation::Update => "Id not specified in an update call".to_owned(),
            _ => "Id not specified in a delete call".to_owned(),
        };
        RestError::new(400, "MISSING_ARGUMENT", message)
    }

    fn ambiguous(&self, ids: &[String]) -> RestError {
        let key = self.key_name;
        let message =
            format!("{key}: more than one record found for external id field: [{}]", ids.join(", "));
        RestError::new(400, "DUPLICATE_EXTERNAL_ID", message)
    }

    /// `CODE:message:fields --`. What JSON calls a parser's error is a wrong type in CSV.
    fn told(&self, error: &RestError, cells: &[&str]) -> String {
        let misfit = self.columns.iter().zip(cells).find_map(|(column, cell)| match column {
            Column::Field(field) if !cell.is_empty() && !records::fits(field, &value(field, cell)) => {
                Some((*field, *cell))
            }
            _ => None,
        });
        match misfit.filter(|_| error.code == "JSON_PARSER_ERROR") {
            Some((field, cell)) => format!(
                "INVALID_TYPE_ON_FIELD_IN_RECORD:{}: value not of required type: {cell}:{} --",
                field.label, field.name
            ),
            None if error.fields.is_empty() => format!("{}:{}:--", error.code, error.message),
            None => format!("{}:{}:{} --", error.code, error.message, error.fields.join(", ")),
        }
    }
}

impl Outcome {
    fn refused(record_id: Option<String>, error: String) -> Self {
        Self { record_id, created: false, error: Some(error) }
    }
}

impl Column<'_> {
    /// The field it sets.
    fn sets(&self) -> &str {
        match self {
            Self::Field(field) => &field.name,
            Self::Parent { reference, .. } => &reference.name,
        }
    }
}

fn column<'s>(records: &Records<'s>, object: &'s SObject, name: &str) -> Option<Column<'s>> {
    let readable = |object: &SObject, field: &Field| records.rights().may_read_field(object, field);
    let Some((relationship, key)) = name.split_once('.') else {
        let field = object.field(name).filter(|field| readable(object, field))?;
        return (field.kind != FieldType::Base64).then_some(Column::Field(field));
    };
    let (relationship, kind) = relationship.split_once(':').unwrap_or((relationship, ""));
    let (reference, points) = object.parent(relationship).filter(|(field, _)| readable(object, field))?;
    let [target] = points.to.as_slice() else { return None };
    let parent =
        records.object(target).ok().filter(|_| kind.is_empty() || kind.eq_ignore_ascii_case(target))?;
    let key = parent.field(key).filter(|field| field.external_id && readable(parent, field))?;
    Some(Column::Parent { relationship: points.parent?, reference, key })
}

fn unknown_name(name: &str) -> RowsError {
    RowsError::Unusable(format!("InvalidBatch : Field name not found : {name}"))
}

/// A cell as the field's value. Flags may be written in more ways than JSON has.
fn value(field: &Field, cell: &str) -> Value {
    if cell == NULL {
        return Value::Null;
    }
    let flag = match cell.to_ascii_lowercase().as_str() {
        "1" | "t" | "y" | "yes" => Some(true),
        "0" | "f" | "n" | "no" => Some(false),
        _ => None,
    };
    match flag.filter(|_| field.kind == FieldType::Boolean) {
        Some(flag) => json!(flag),
        None => json!(cell),
    }
}

fn full_id(id: &str) -> String {
    crate::ids::normalize(id).unwrap_or_else(|| id.to_owned())
}

/// In CSV a record that isn't there is a wrong reference.
fn no_such_record(error: RestError) -> RestError {
    if error.code == "NOT_FOUND" {
        return RestError::new(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
    }
    error
}
