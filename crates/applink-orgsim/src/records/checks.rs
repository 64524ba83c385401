//! What has to hold between a row and the rest of the org.

use rusqlite::types::Value as SqlValue;

use super::values::{Row, malformed_id};
use super::{Records, RestError, entity_is_deleted};
use crate::db::{DbError, Tx};
use crate::ids;
use crate::rights::{Action, changeable, transferable};
use crate::schema::{Access, Field, FieldType, Reference, SObject, Sharing};

/// The ids of the rows, not deleted, whose field has that value; ten at most.
pub(super) fn rows_with(
    tx: &Tx<'_>,
    object: &SObject,
    field: &Field,
    value: &SqlValue,
) -> Result<Vec<String>, DbError> {
    rows_with_all(tx, object, &[(field.name.as_str(), value)])
}

fn rows_with_all(
    tx: &Tx<'_>,
    object: &SObject,
    wanted: &[(&str, &SqlValue)],
) -> Result<Vec<String>, DbError> {
    let mut conditions: Vec<String> =
        wanted.iter().enumerate().map(|(index, (name, _))| format!("\"{name}\" IS ?{}", index + 1)).collect();
    if object.recyclable {
        conditions.push("NOT \"IsDeleted\"".to_owned());
    }
    let sql =
        format!("SELECT \"Id\" FROM \"{}\" WHERE {} ORDER BY \"Id\"", object.name, conditions.join(" AND "));
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement
        .query_map(rusqlite::params_from_iter(wanted.iter().map(|(_, value)| *value)), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether everything required is there.
pub(super) fn ensure_complete(object: &SObject, row: &Row) -> Result<(), RestError> {
    let missing: Vec<&str> = object
        .fields
        .iter()
        .filter(|field| field.required && row.is_null(&field.name))
        .map(|field| field.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    Err(RestError::new(400, "REQUIRED_FIELD_MISSING", message).about(missing))
}

impl Records<'_> {
    /// Every id points at a record of the right kind that exists and that the caller may see.
    pub(super) fn check_references(&self, object: &SObject, row: &Row) -> Result<(), RestError> {
        for field in &object.fields {
            if let (Some(reference), Some(id)) = (field.reference(), row.text(&field.name)) {
                self.check_reference(field, reference, id)?;
            }
        }
        Ok(())
    }

    fn check_reference(&self, field: &Field, reference: &Reference, id: &str) -> Result<(), RestError> {
        let target = reference
            .to
            .iter()
            .filter_map(|name| self.tx.schema().object(name))
            .find(|target| target.key_prefix == ids::key_prefix(id))
            .ok_or_else(|| malformed_id(field, id))?;
        if !self.holds(target, id, "1")? {
            let message = "invalid cross reference id";
            return Err(
                RestError::new(400, "INVALID_CROSS_REFERENCE_KEY", message).about(Vec::<String>::new())
            );
        }
        if target.recyclable && self.holds(target, id, "t.\"IsDeleted\"")? {
            return Err(entity_is_deleted());
        }
        if !self.is_visible(target, id)? {
            return Err(no_access_to_reference());
        }
        Ok(())
    }

    /// Unique fields, alone and together.
    pub(super) fn check_unique(
        &self,
        object: &SObject,
        row: &Row,
        own_id: Option<&str>,
    ) -> Result<(), RestError> {
        let alone = object.fields.iter().filter(|field| field.unique).map(|field| vec![field.name.as_str()]);
        for names in alone.chain(object.unique_together.iter().cloned()) {
            // Null is no value; only a part of a compound key may be null.
            if names.iter().all(|name| row.is_null(name)) {
                continue;
            }
            let wanted: Vec<(&str, &SqlValue)> = names.iter().map(|name| (*name, row.get(name))).collect();
            let found = rows_with_all(self.tx, object, &wanted)?;
            if let Some(other) = found.iter().find(|id| Some(id.as_str()) != own_id) {
                let known = self.is_visible(object, other)?;
                return Err(duplicate(object, &names, row, known.then_some(other)));
            }
        }
        Ok(())
    }

    /// Editing a record is not enough to give it to somebody, oneself included.
    pub(super) fn check_owner_change(
        &self,
        object: &SObject,
        id: &str,
        before: &Row,
        after: &Row,
    ) -> Result<(), RestError> {
        let changes = object.has_owner() && before.get("OwnerId") != after.get("OwnerId");
        let allowed = transferable(self.rights.caller(), object, "t");
        if changes && !self.holds(object, id, &allowed)? {
            return Err(RestError::insufficient_access());
        }
        Ok(())
    }

    /// A detail record can only be made by who may edit its parent.
    pub(super) fn check_parent_editable(&self, object: &SObject, row: &Row) -> Result<(), RestError> {
        let Access::Business(Sharing::ControlledByParent(name)) = object.access else { return Ok(()) };
        let parent = object
            .field(name)
            .and_then(Field::reference)
            .and_then(|reference| self.tx.schema().object(reference.to.first()?));
        let (Some(parent), Some(id)) = (parent, row.text(name)) else { return Ok(()) };
        let editable = changeable(self.tx.schema(), self.rights.caller(), parent, "t", Action::Edit);
        if self.holds(parent, id, &editable)? { Ok(()) } else { Err(RestError::insufficient_access()) }
    }
}

fn no_access_to_reference() -> RestError {
    let message = "insufficient access rights on cross-reference id";
    RestError::new(400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", message).about(Vec::<String>::new())
}

/// `other` is the record that has the values already; none when the caller may not see it.
fn duplicate(object: &SObject, names: &[&str], row: &Row, other: Option<&String>) -> RestError {
    let text = |name: &str| row.text(name).unwrap_or_default().to_owned();
    let (code, message) = match object.name.as_str() {
        "PermissionSetAssignment" => (
            "DUPLICATE_VALUE",
            format!(
                "Duplicate PermissionSetAssignment. Assignee: {}; Permission Set: {}",
                text("AssigneeId"),
                text("PermissionSetId")
            ),
        ),
        "User" if names == ["Username"] => (
            "DUPLICATE_USERNAME",
            "Duplicate Username.<br>The username already exists in this or another Salesforce organization. \
             Usernames must be unique across all Salesforce organizations."
                .to_owned(),
        ),
        _ => {
            let (fields, id) = match other {
                Some(id) => (names.join(", "), id.as_str()),
                None => ("<unknown>".to_owned(), "<unknown>"),
            };
            let message = format!("duplicate value found: {fields} duplicates value on record with id: {id}");
            ("DUPLICATE_VALUE", message)
        }
    };
    let listed: &[&str] = if names.iter().all(|name| is_key(object, name)) { names } else { &[] };
    RestError::new(400, code, message).about(listed.iter().copied())
}

fn is_key(object: &SObject, name: &str) -> bool {
    object
        .field(name)
        .is_some_and(|field| field.external_id && !matches!(field.kind, FieldType::Reference(_)))
}
