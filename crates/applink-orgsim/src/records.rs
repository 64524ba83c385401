//! Single records: create, read, update, delete, upsert by external id, with rights and Salesforce's errors.
//!
//! Every change goes the same way: names are resolved (`request.rs`), values checked and stored in their own
//! form (`values.rs`), references and uniqueness checked (`checks.rs`), what follows from other fields worked out
//! (`rules.rs`), and the row written, all in the caller's transaction.
//!
//! The org itself ([`Caller::System`]) may set fields that no API call can, such as `IsOwnedByProfile`;
//! [`insert`], [`change`] and [`remove`] are its short forms.

mod checks;
mod files;
mod request;
mod rules;
mod values;

use rusqlite::OptionalExtension;
use rusqlite::types::Value as SqlValue;
use serde_json::{Map, Value};

use crate::db::Tx;
use crate::ids;
pub use crate::rest::RestError;
use crate::rights::{Action, Caller, PREAMBLE, Rights, changeable, preamble_params, readable};
use crate::schema::{Access, Field, SObject};
use crate::soql::{self, Expression, FieldPath, Position, Query, Selected, Source};
use values::Row;

/// What an upsert did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// A record was made.
    Created(String),
    /// A record was changed.
    Updated(String),
    /// Several records have that value; none was touched.
    Ambiguous(Vec<String>),
}

/// The records as one caller may see and change them.
#[derive(Debug)]
pub struct Records<'t> {
    tx: &'t Tx<'t>,
    rights: Rights,
}

/// Makes a record as a caller and answers its id.
///
/// # Errors
/// Salesforce's errors: `NOT_FOUND`, `INVALID_FIELD`, `REQUIRED_FIELD_MISSING`, `DUPLICATE_VALUE` and so on.
pub fn create(
    tx: &Tx<'_>,
    caller: &Caller,
    sobject: &str,
    fields: &Map<String, Value>,
) -> Result<String, RestError> {
    Records::new(tx, caller)?.create(sobject, fields)
}

/// Changes a record as a caller.
///
/// # Errors
/// As [`create`], and `MALFORMED_ID`, `ENTITY_IS_DELETED`, `INSUFFICIENT_ACCESS_OR_READONLY`.
pub fn update(
    tx: &Tx<'_>,
    caller: &Caller,
    sobject: &str,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<(), RestError> {
    Records::new(tx, caller)?.update(sobject, id, fields)
}

/// Deletes a record, and what hangs on it, as a caller.
///
/// # Errors
/// As [`update`].
pub fn delete(tx: &Tx<'_>, caller: &Caller, sobject: &str, id: &str) -> Result<(), RestError> {
    Records::new(tx, caller)?.delete(sobject, id)
}

/// Reads a record as a caller: `fields`, or all that the caller may read.
///
/// # Errors
/// `NOT_FOUND`, `ENTITY_IS_DELETED`, `INVALID_FIELD`.
pub fn read(
    tx: &Tx<'_>,
    caller: &Caller,
    sobject: &str,
    id: &str,
    fields: Option<&[String]>,
    base_url: &str,
) -> Result<Value, RestError> {
    Records::new(tx, caller)?.read(sobject, id, fields, base_url)
}

/// Makes a record as the org itself and answers its id. `fields` is a JSON object and may hold fields that are
/// read-only for callers, the id among them.
///
/// # Errors
/// As [`create`].
pub fn insert(tx: &Tx<'_>, sobject: &str, fields: Value) -> Result<String, RestError> {
    create(tx, &Caller::System, sobject, object_of(&fields)?)
}

/// Changes a record as the org itself.
///
/// # Errors
/// As [`update`].
pub fn change(tx: &Tx<'_>, sobject: &str, id: &str, fields: Value) -> Result<(), RestError> {
    update(tx, &Caller::System, sobject, id, object_of(&fields)?)
}

/// Deletes a record as the org itself.
///
/// # Errors
/// As [`delete`].
pub fn remove(tx: &Tx<'_>, sobject: &str, id: &str) -> Result<(), RestError> {
    delete(tx, &Caller::System, sobject, id)
}

/// The id of the one record whose `field` has that value, as the org itself sees it; names are not checked
/// against what a caller knows, so they have to be the program's own.
///
/// # Errors
/// `INVALID_FIELD` for an unknown name.
pub fn find(tx: &Tx<'_>, sobject: &str, field: &str, value: &str) -> Result<Option<String>, RestError> {
    let object = tx.schema().object(sobject).ok_or_else(RestError::not_found)?;
    let field = object.field(field).ok_or_else(|| request::no_such_column(object, field))?;
    Ok(checks::rows_with(tx, object, field, &SqlValue::Text(value.to_owned()))?.into_iter().next())
}

/// Lets a permission set read a custom metadata type, as `customMetadataTypeAccesses` does.
///
/// # Errors
/// `NOT_FOUND` when there is no such type.
pub fn grant_custom_metadata(
    tx: &Tx<'_>,
    permission_set_id: &str,
    type_name: &str,
) -> Result<String, RestError> {
    let definition = tx.schema().definition_id(type_name).ok_or_else(RestError::not_found)?;
    insert(
        tx,
        "SetupEntityAccess",
        serde_json::json!({
            "ParentId": permission_set_id, "SetupEntityId": definition, "SetupEntityType": "CustomEntityDefinition",
        }),
    )
}

/// Whether a field takes a value of that form.
pub(crate) fn fits(field: &Field, value: &Value) -> bool {
    values::stored(field, value).is_ok()
}

fn object_of(fields: &Value) -> Result<&Map<String, Value>, RestError> {
    fields.as_object().ok_or_else(|| RestError::bad_json("a record is a JSON object"))
}

impl<'t> Records<'t> {
    /// The records as `caller` may see and change them.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn new(tx: &'t Tx<'t>, caller: &Caller) -> Result<Self, RestError> {
        Ok(Self { tx, rights: Rights::load(tx, caller)? })
    }

    /// The caller's rights.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// See [`create`].
    ///
    /// # Errors
    /// See [`create`].
    pub fn create(&self, sobject: &str, fields: &Map<String, Value>) -> Result<String, RestError> {
        let object = self.object(sobject)?;
        self.ensure_may(object, Action::Create)?;
        let mut row = self.values(object, fields, Action::Create)?;
        self.fill_in(object, &mut row)?;
        self.check_references(object, &row)?;
        rules::before_write(self, object, None, &mut row)?;
        checks::ensure_complete(object, &row)?;
        self.check_unique(object, &row, None)?;
        self.check_parent_editable(object, &row)?;
        let id = self.insert_row(object, row.clone())?;
        rules::after_write(self, object, &id, &row)?;
        Ok(id)
    }

    /// See [`update`].
    ///
    /// # Errors
    /// See [`update`].
    pub fn update(&self, sobject: &str, id: &str, fields: &Map<String, Value>) -> Result<(), RestError> {
        let object = self.object(sobject)?;
        let id = self.addressed(object, id, Action::Edit)?;
        let changes = self.values(object, fields, Action::Edit)?;
        let before = self.row(object, &id)?;
        let mut after = before.clone();
        after.merge(changes.clone());
        self.check_references(object, &changes)?;
        rules::before_write(self, object, Some(&before), &mut after)?;
        checks::ensure_complete(object, &after)?;
        self.check_unique(object, &after, Some(&id))?;
        self.check_owner_change(object, &id, &before, &after)?;
        self.update_row(object, &id, &before, &mut after)?;
        rules::after_write(self, object, &id, &after)
    }

    /// See [`delete`].
    ///
    /// # Errors
    /// See [`delete`].
    pub fn delete(&self, sobject: &str, id: &str) -> Result<(), RestError> {
        let object = self.object(sobject)?;
        let id = self.addressed(object, id, Action::Delete)?;
        let row = self.row(object, &id)?;
        self.delete_row(object, &id)?;
        rules::after_delete(self, object, &id, &row)
    }

    /// See [`read`].
    ///
    /// # Errors
    /// See [`read`].
    pub fn read(
        &self,
        sobject: &str,
        id: &str,
        fields: Option<&[String]>,
        base_url: &str,
    ) -> Result<Value, RestError> {
        let object = self.object(sobject)?;
        let id = self.addressed(object, id, Action::Read)?;
        let names = match fields {
            Some(fields) => fields.to_vec(),
            None => self.readable_fields(object),
        };
        let query = query_for(object, &names);
        let found = soql::fetch(self.tx, &self.rights, &query, &[id], base_url)?;
        found.into_iter().next().map(|(_, record)| record).ok_or_else(RestError::not_found)
    }

    /// Makes or changes the record whose external id `field` has `value`. With the field `Id` it only changes.
    ///
    /// # Errors
    /// As [`create`] and [`update`]; `NOT_FOUND` when the field is no external id, or when `update_only` is set and
    /// there is no such record.
    pub fn upsert(
        &self,
        sobject: &str,
        field: &str,
        value: &str,
        fields: &Map<String, Value>,
        update_only: bool,
    ) -> Result<Upserted, RestError> {
        let object = self.object(sobject)?;
        let key = self.external_id(object, field)?;
        if let Some(name) = fields.keys().find(|name| name.eq_ignore_ascii_case(&key.name)) {
            let message = format!("The {name} field should not be specified in the sobject data.");
            return Err(RestError::new(400, "INVALID_FIELD", message));
        }
        let wanted = values::external_value(key, value)?;
        match checks::rows_with(self.tx, object, key, &wanted)?.as_slice() {
            [] if update_only || key.name == "Id" => Err(RestError::not_found()),
            [] => {
                let mut fields = fields.clone();
                fields.insert(key.name.clone(), Value::String(value.to_owned()));
                self.create(sobject, &fields).map(Upserted::Created)
            }
            [id] => self.update(sobject, id, fields).map(|()| Upserted::Updated(id.clone())),
            several => Ok(Upserted::Ambiguous(self.visible_of(object, several)?)),
        }
    }

    /// The ids of the records, as far as the caller may see them, whose external id `field` has `value`.
    ///
    /// # Errors
    /// `NOT_FOUND` when the field is no external id or there is no such record.
    pub fn id_by(&self, sobject: &str, field: &str, value: &str) -> Result<Vec<String>, RestError> {
        let object = self.object(sobject)?;
        let key = self.external_id(object, field)?;
        let wanted = values::external_value(key, value)?;
        let found = self.visible_of(object, &checks::rows_with(self.tx, object, key, &wanted)?)?;
        if found.is_empty() { Err(RestError::not_found()) } else { Ok(found) }
    }

    /// The bytes of a file in a field of a record that the caller may read.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such record, or no file in it.
    pub fn file(&self, sobject: &str, id: &str, field: &Field) -> Result<Vec<u8>, RestError> {
        let object = self.object(sobject)?;
        let id = self.addressed(object, id, Action::Read)?;
        match self.row(object, &id)?.get(&field.name) {
            SqlValue::Blob(content) => Ok(content.clone()),
            _ => Err(RestError::not_found()),
        }
    }

    /// The sObject of a name, if the caller may know of it.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn object(&self, name: &str) -> Result<&'t SObject, RestError> {
        let schema = self.tx.schema();
        schema
            .object(name)
            .filter(|object| self.rights.may(schema, object, Action::Read))
            .ok_or_else(RestError::not_found)
    }

    fn is_system(&self) -> bool {
        *self.rights.caller() == Caller::System
    }

    fn readable_fields(&self, object: &SObject) -> Vec<String> {
        let fields = object.fields.iter().filter(|field| self.rights.may_read_field(object, field));
        fields.map(|field| field.name.clone()).collect()
    }

    fn ensure_may(&self, object: &SObject, action: Action) -> Result<(), RestError> {
        if self.is_system() {
            return Ok(());
        }
        let never = match (object.access, action) {
            (_, Action::Read) => false,
            (Access::Setup { write, .. }, _) => write.is_empty(),
            (Access::CustomMetadata, _) => true,
            (Access::Business(_), _) => false,
        };
        if never {
            let verb = match action {
                Action::Create => "inserted",
                Action::Delete => "deleted",
                Action::Edit | Action::Read => "updated",
            };
            let message = format!("entity type cannot be {verb}: {}", object.label);
            return Err(RestError::new(400, "INVALID_TYPE_FOR_OPERATION", message));
        }
        if self.rights.may(self.tx.schema(), object, action) {
            Ok(())
        } else {
            Err(RestError::insufficient_access())
        }
    }

    /// The full id of an existing record with which the caller may do `action`.
    fn addressed(&self, object: &SObject, id: &str, action: Action) -> Result<String, RestError> {
        let fits = |id: &String| ids::key_prefix(id) == object.key_prefix;
        let id = ids::normalize(id).filter(fits).ok_or_else(|| {
            let message = format!("Record ID: id value of incorrect type: {id}");
            RestError::new(400, "MALFORMED_ID", message).about(["Id"])
        })?;
        self.ensure_may(object, action)?;
        if !self.is_visible(object, &id)? {
            return Err(RestError::not_found());
        }
        if object.recyclable && self.holds(object, &id, "t.\"IsDeleted\"")? {
            return Err(entity_is_deleted());
        }
        let allowed = changeable(self.tx.schema(), self.rights.caller(), object, "t", action);
        if action != Action::Read && !self.holds(object, &id, &allowed)? {
            return Err(RestError::insufficient_access());
        }
        Ok(id)
    }

    /// Whether the record exists and the caller may see it.
    fn is_visible(&self, object: &SObject, id: &str) -> Result<bool, RestError> {
        self.holds(object, id, &readable(self.tx.schema(), self.rights.caller(), object, "t"))
    }

    fn visible_of(&self, object: &SObject, ids: &[String]) -> Result<Vec<String>, RestError> {
        let mut visible = Vec::new();
        for id in ids {
            if self.is_visible(object, id)? {
                visible.push(id.clone());
            }
        }
        Ok(visible)
    }

    /// Whether the record exists and meets a predicate over `t`.
    fn holds(&self, object: &SObject, id: &str, predicate: &str) -> Result<bool, RestError> {
        let source = object.view.clone().unwrap_or_else(|| format!("\"{}\"", object.name));
        let sql = format!("{PREAMBLE} SELECT 1 FROM {source} t WHERE t.\"Id\" = ?4 AND {predicate}");
        let mut params = preamble_params(self.tx, self.rights.caller());
        params.push(SqlValue::Text(id.to_owned()));
        let found = self
            .tx
            .prepare_cached(&sql)?
            .query_row(rusqlite::params_from_iter(params), |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    fn row(&self, object: &SObject, id: &str) -> Result<Row, RestError> {
        Row::load(self.tx, object, id)?.ok_or_else(RestError::not_found)
    }

    fn user_value(&self) -> SqlValue {
        self.rights.caller().user_id().map_or(SqlValue::Null, |id| SqlValue::Text(id.to_owned()))
    }

    /// Defaults, the owner, and the audit fields of a new row.
    fn fill_in(&self, object: &SObject, row: &mut Row) -> Result<(), RestError> {
        for field in &object.fields {
            if let (Some(default), true) = (&field.default, row.is_null(&field.name)) {
                row.set(&field.name, values::stored(field, default)?);
            }
        }
        let now = SqlValue::Integer(self.tx.now_row_micros());
        for (name, value) in [
            ("OwnerId", self.user_value()),
            ("CreatedById", self.user_value()),
            ("LastModifiedById", self.user_value()),
            ("CreatedDate", now.clone()),
            ("LastModifiedDate", now.clone()),
            ("SystemModstamp", now),
        ] {
            if object.field(name).is_some() && row.is_null(name) {
                row.set(name, value);
            }
        }
        Ok(())
    }

    fn insert_row(&self, object: &SObject, mut row: Row) -> Result<String, RestError> {
        let id = match row.text("Id") {
            Some(id) => id.to_owned(),
            None => self.tx.new_id(&object.key_prefix)?,
        };
        row.set("Id", SqlValue::Text(id.clone()));
        row.insert_into(self.tx, object)?;
        Ok(id)
    }

    fn update_row(&self, object: &SObject, id: &str, before: &Row, after: &mut Row) -> Result<(), RestError> {
        if before == after {
            return Ok(());
        }
        let now = SqlValue::Integer(self.tx.now_row_micros());
        for (name, value) in [
            ("LastModifiedById", self.user_value()),
            ("LastModifiedDate", now.clone()),
            ("SystemModstamp", now),
        ] {
            if object.field(name).is_some() && value != SqlValue::Null {
                after.set(name, value);
            }
        }
        Ok(after.update_in(self.tx, object, id, before)?)
    }

    /// Deletes a row after those that hang on it.
    fn delete_row(&self, object: &SObject, id: &str) -> Result<(), RestError> {
        for child in self.tx.schema().children(object) {
            let cascades = child.field.reference().is_some_and(|reference| reference.cascades);
            if !cascades {
                continue;
            }
            let wanted = SqlValue::Text(id.to_owned());
            for child_id in checks::rows_with(self.tx, child.child, child.field, &wanted)? {
                self.delete_row(child.child, &child_id)?;
            }
        }
        let sql = if object.recyclable {
            format!(
                "UPDATE \"{}\" SET \"IsDeleted\" = 1, \"SystemModstamp\" = ?2 WHERE \"Id\" = ?1",
                object.name
            )
        } else {
            format!("DELETE FROM \"{}\" WHERE \"Id\" = ?1 AND ?2 = ?2", object.name)
        };
        self.tx.prepare_cached(&sql)?.execute((id, self.tx.now_row_micros()))?;
        Ok(())
    }
}

fn entity_is_deleted() -> RestError {
    RestError::new(404, "ENTITY_IS_DELETED", "entity is deleted").about(Vec::<String>::new())
}

fn query_for(object: &SObject, fields: &[String]) -> Query {
    let selected = |name: &String| {
        let parts = name.split('.').map(str::to_owned).collect();
        let path = FieldPath { parts, at: Position { line: 1, column: 1 } };
        Selected::Expression { expression: Expression::Field(path), alias: None }
    };
    Query {
        select: fields.iter().map(selected).collect(),
        from: Source { name: object.name.clone(), alias: None, at: Position { line: 1, column: 1 } },
        scope: None,
        filter: None,
        with: None,
        group_by: Vec::new(),
        having: None,
        order_by: Vec::new(),
        limit: None,
        offset: None,
        purposes: Vec::new(),
    }
}
