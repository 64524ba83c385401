//! What a caller sent, name by name: which fields it means and whether they may be set.

use serde_json::{Map, Value};

use super::values::{self, Row};
use super::{Records, RestError, checks};
use crate::rights::Action;
use crate::schema::{Field, SObject};

impl<'t> Records<'t> {
    /// The sent fields as a row's values.
    pub(super) fn values(
        &self,
        object: &'t SObject,
        fields: &Map<String, Value>,
        action: Action,
    ) -> Result<Row, RestError> {
        let mut row = Row::default();
        let mut refused = Vec::new();
        for (name, value) in fields {
            if name == "attributes" {
                continue;
            }
            self.ensure_not_id(name)?;
            if let Some((field, target)) = self.parent_by_key(object, name, value)? {
                row.set(&field.name, target);
                continue;
            }
            let field = object
                .field(name)
                .filter(|field| self.rights().may_read_field(object, field) && field.computed.is_none())
                .ok_or_else(|| no_such_column(object, name))?;
            if !self.may_set(object, field, action) {
                refused.push(field.name.clone());
                continue;
            }
            row.set(&field.name, values::stored(field, value)?);
        }
        if refused.is_empty() { Ok(row) } else { Err(not_writable(&refused)) }
    }

    fn ensure_not_id(&self, name: &str) -> Result<(), RestError> {
        if name.eq_ignore_ascii_case("Id") && !self.is_system() {
            let message = "The Id field should not be specified in the sobject data.";
            return Err(RestError::new(400, "INVALID_FIELD", message));
        }
        Ok(())
    }

    fn may_set(&self, object: &SObject, field: &Field, action: Action) -> bool {
        let settable = if action == Action::Create { field.createable } else { field.updateable };
        self.is_system() || (settable && self.rights().may_edit_field(object, field))
    }

    /// `{"Account": {"ExternalId__c": "A-1"}}`: a parent named by an external id instead of its record id.
    fn parent_by_key(
        &self,
        object: &'t SObject,
        name: &str,
        value: &Value,
    ) -> Result<Option<(&'t Field, rusqlite::types::Value)>, RestError> {
        let (Some((field, reference)), Value::Object(key)) = (object.parent(name), value) else {
            return Ok(None);
        };
        let mut named = key.iter().filter(|(name, _)| *name != "attributes" && *name != "type");
        let (Some((key_name, key_value)), None, [target]) =
            (named.next(), named.next(), reference.to.as_slice())
        else {
            let message = format!("A parent is named by exactly one external ID field: {name}");
            return Err(RestError::new(400, "INVALID_FIELD", message).about([field.name.as_str()]));
        };
        let parent = self.object(target)?;
        let key_field = self.external_id(parent, key_name)?;
        let text = key_value.as_str().map_or_else(|| key_value.to_string(), str::to_owned);
        let wanted = values::external_value(key_field, &text)?;
        match checks::rows_with(self.tx, parent, key_field, &wanted)?.as_slice() {
            [id] => Ok(Some((field, rusqlite::types::Value::Text(id.clone())))),
            _ => {
                let message = format!(
                    "Foreign key external ID: {text} not found for field {} in entity {}",
                    key_field.name, parent.name
                );
                Err(RestError::new(400, "INVALID_FIELD", message).about(Vec::<String>::new()))
            }
        }
    }

    /// A field by which records can be addressed.
    pub(super) fn external_id(&self, object: &'t SObject, name: &str) -> Result<&'t Field, RestError> {
        object
            .field(name)
            .filter(|field| field.external_id || field.name == "Id")
            .filter(|field| self.rights().may_read_field(object, field))
            .ok_or_else(|| {
                let message =
                    format!("Provided external ID field does not exist or is not accessible: {name}");
                RestError::new(404, "NOT_FOUND", message)
            })
    }
}

pub(super) fn no_such_column(object: &SObject, name: &str) -> RestError {
    let message = format!("No such column '{name}' on sobject of type {}", object.name);
    RestError::new(400, "INVALID_FIELD", message)
}

fn not_writable(fields: &[String]) -> RestError {
    let message = format!(
        "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is \
         read/write for your profile or permission set.",
        fields.join(", ")
    );
    RestError::new(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message).about(fields.iter().cloned())
}
