//! Permission sets: the `PermissionSet` row and the rows that hang on it, replaced as a whole.

use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, params_from_iter};

use super::{Applied, Applier, key_prefix};
use crate::failure::Failure;
use crate::metadata::component::{
    ComponentType, Definition, FieldAccess, ObjectAccess, PermissionSet, Placed,
};
use crate::metadata::components::{self, PRINCIPAL};
use crate::metadata::run::ApplyError;
use crate::metadata::shapes::Problem;
use crate::schema::{Access, USER_PERMISSIONS};

/// What the org has under a permission set's name.
pub(super) struct PermissionSetRow {
    pub(super) id: String,
    pub(super) session_based: bool,
}

/// An entity a permission set opens: the row's id and type.
struct Opened {
    id: String,
    entity_type: &'static str,
}

impl Applier<'_, '_> {
    pub(super) fn permission_set_row(&self, name: &str) -> Result<Option<PermissionSetRow>, ApplyError> {
        let row = self.tx.query_row(
            "SELECT \"Id\", \"HasActivationRequired\" FROM \"PermissionSet\" WHERE \"Name\" = ?1 AND NOT \"IsOwnedByProfile\"",
            [name],
            |row| Ok(PermissionSetRow { id: row.get(0)?, session_based: row.get(1)? }),
        );
        Ok(row.optional()?)
    }

    pub(super) fn permission_set(
        &self,
        name: &str,
        set: &PermissionSet,
        definition: &Definition,
    ) -> Result<Applied, ApplyError> {
        let opened = self.check_permission_set(set)?;
        let existing = self.permission_set_row(name)?;
        let text = serde_json::to_string(definition).map_err(Failure::from)?;
        let stored = components::find(self.tx, ComponentType::PermissionSet.name(), name)?;
        let changed = existing.is_none() || stored.is_none_or(|stored| stored.definition != text);
        let created = existing.is_none();
        let id = match existing {
            Some(row) => row.id,
            None => self.tx.new_id(key_prefix(ComponentType::PermissionSet))?,
        };
        // Written even when the text is the same: what the set granted may have been removed since.
        self.write_row(&id, name, set, created)?;
        self.replace_details(&id, set, opened)?;
        components::put(self.tx, ComponentType::PermissionSet.name(), name, &id, &text)?;
        Ok(Applied { id, created, changed, warning: None })
    }

    pub(super) fn remove_permission_set(&self, name: &str) -> Result<Option<String>, ApplyError> {
        let Some(row) = self.permission_set_row(name)? else { return Ok(None) };
        let assigned: i64 = self.tx.query_row(
            "SELECT count(*) FROM \"PermissionSetAssignment\" WHERE \"PermissionSetId\" = ?1",
            [&row.id],
            |row| row.get(0),
        )?;
        if assigned > 0 {
            let text = format!(
                "The permission set {name} is assigned to {assigned} user(s). Remove the assignments and try again"
            );
            return Err(Problem::new(text).into());
        }
        self.delete_details(&row.id)?;
        self.tx
            .execute("DELETE FROM \"SessionPermSetActivation\" WHERE \"PermissionSetId\" = ?1", [&row.id])?;
        self.tx.execute("DELETE FROM \"PermissionSet\" WHERE \"Id\" = ?1", [&row.id])?;
        components::remove(self.tx, ComponentType::PermissionSet.name(), name)?;
        Ok(Some(row.id))
    }

    fn check_permission_set(&self, set: &PermissionSet) -> Result<Vec<Opened>, ApplyError> {
        for permission in &set.user_permissions {
            if self.tx.schema().user_permission_column(&permission.name).is_none() {
                return Err(Problem::at(
                    format!("Unknown user permission: {}", permission.name),
                    permission.at(),
                )
                .into());
            }
        }
        for object in &set.objects {
            self.check_object(object)?;
        }
        for field in &set.fields {
            self.check_field(field)?;
        }
        let mut opened = Vec::new();
        for principal in &set.credential_principals {
            opened.push(self.principal(principal)?);
        }
        for metadata_type in &set.custom_metadata_types {
            opened.push(self.metadata_type(metadata_type)?);
        }
        Ok(opened)
    }

    fn check_object(&self, access: &ObjectAccess) -> Result<(), ApplyError> {
        let name = &access.object.name;
        let known =
            self.tx.schema().object(name).filter(|object| matches!(object.access, Access::Business(_)));
        if known.is_none() {
            let text = format!("In field: object - no CustomObject named {name} found");
            return Err(Problem::at(text, access.object.at()).into());
        }
        let needs = [
            (access.create, access.read, "Create", "Read"),
            (access.edit, access.read, "Edit", "Read"),
            (access.delete, access.edit, "Delete", "Edit"),
            (access.view_all, access.read, "View All", "Read"),
            (
                access.modify_all,
                access.delete && access.view_all,
                "Modify All",
                "Read, Edit, Delete, View All",
            ),
        ];
        match needs.into_iter().find(|(wanted, given, ..)| *wanted && !given) {
            Some((_, _, wanted, missing)) => {
                let text = format!("Permission {wanted} {name} depends on permission(s): {missing} {name}");
                Err(Problem::at(text, access.object.at()).into())
            }
            None => Ok(()),
        }
    }

    fn check_field(&self, access: &FieldAccess) -> Result<(), ApplyError> {
        let name = &access.field.name;
        let at = access.field.at();
        let found =
            name.split_once('.').and_then(|(object, field)| self.tx.schema().object(object)?.field(field));
        let Some(field) = found else {
            return Err(
                Problem::at(format!("In field: field - no CustomField named {name} found"), at).into()
            );
        };
        if !field.permissionable {
            return Err(Problem::at(format!("You cannot deploy to a required field: {name}"), at).into());
        }
        if access.editable && !access.readable {
            return Err(
                Problem::at(format!("Field {name} can't be editable without being readable"), at).into()
            );
        }
        Ok(())
    }

    fn principal(&self, principal: &Placed) -> Result<Opened, ApplyError> {
        let stored = components::find(self.tx, PRINCIPAL, &principal.name)?;
        let text = || {
            format!("In field: externalCredentialPrincipal - no {PRINCIPAL} named {} found", principal.name)
        };
        let stored = stored.ok_or_else(|| Problem::at(text(), principal.at()))?;
        Ok(Opened { id: stored.id, entity_type: PRINCIPAL })
    }

    fn metadata_type(&self, metadata_type: &Placed) -> Result<Opened, ApplyError> {
        let id = self.tx.schema().definition_id(&metadata_type.name);
        let text =
            || format!("In field: customMetadataType - no CustomObject named {} found", metadata_type.name);
        let id = id.ok_or_else(|| Problem::at(text(), metadata_type.at()))?;
        Ok(Opened { id, entity_type: "CustomEntityDefinition" })
    }

    fn write_row(&self, id: &str, name: &str, set: &PermissionSet, created: bool) -> Result<(), ApplyError> {
        let now = self.tx.now_row_micros();
        if created {
            self.tx.execute(
                "INSERT INTO \"PermissionSet\" (\"Id\", \"Name\", \"IsCustom\", \"CreatedDate\") VALUES (?1, ?2, 1, ?3)",
                (id, name, now),
            )?;
        }
        let mut columns = vec![
            ("Label".to_owned(), SqlValue::Text(set.label.clone())),
            ("Description".to_owned(), set.description.clone().map_or(SqlValue::Null, SqlValue::Text)),
            ("HasActivationRequired".to_owned(), SqlValue::Integer(i64::from(set.session_based))),
            ("LastModifiedDate".to_owned(), SqlValue::Integer(now)),
            ("SystemModstamp".to_owned(), SqlValue::Integer(now)),
        ];
        for (permission, _) in USER_PERMISSIONS {
            let held =
                set.user_permissions.iter().any(|granted| granted.name.eq_ignore_ascii_case(permission));
            columns.push((format!("Permissions{permission}"), SqlValue::Integer(i64::from(held))));
        }
        let assignments: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(index, (column, _))| format!("\"{column}\" = ?{}", index + 2))
            .collect();
        let values =
            std::iter::once(SqlValue::Text(id.to_owned())).chain(columns.into_iter().map(|(_, value)| value));
        let sql = format!("UPDATE \"PermissionSet\" SET {} WHERE \"Id\" = ?1", assignments.join(", "));
        self.tx.execute(&sql, params_from_iter(values))?;
        Ok(())
    }

    fn delete_details(&self, id: &str) -> Result<(), ApplyError> {
        for table in ["ObjectPermissions", "FieldPermissions", "SetupEntityAccess"] {
            self.tx.execute(&format!("DELETE FROM \"{table}\" WHERE \"ParentId\" = ?1"), [id])?;
        }
        Ok(())
    }

    fn replace_details(&self, id: &str, set: &PermissionSet, opened: Vec<Opened>) -> Result<(), ApplyError> {
        self.delete_details(id)?;
        for access in &set.objects {
            self.insert_object(id, access)?;
        }
        for access in &set.fields {
            self.insert_field(id, access)?;
        }
        for entity in opened {
            self.tx.execute(
                "INSERT INTO \"SetupEntityAccess\" (\"Id\", \"ParentId\", \"SetupEntityId\", \"SetupEntityType\", \"SystemModstamp\") \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (self.tx.new_id("0J0")?, id, entity.id, entity.entity_type, self.tx.now_row_micros()),
            )?;
        }
        Ok(())
    }

    fn insert_object(&self, id: &str, access: &ObjectAccess) -> Result<(), ApplyError> {
        let object = self
            .tx
            .schema()
            .object(&access.object.name)
            .map_or(access.object.name.as_str(), |object| object.name.as_str());
        self.tx.execute(
            "INSERT INTO \"ObjectPermissions\" (\"Id\", \"ParentId\", \"SobjectType\", \"PermissionsCreate\", \"PermissionsRead\", \
             \"PermissionsEdit\", \"PermissionsDelete\", \"PermissionsViewAllRecords\", \"PermissionsModifyAllRecords\") \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (self.tx.new_id("110")?, id, object, access.create, access.read, access.edit, access.delete, access.view_all, access.modify_all),
        )?;
        Ok(())
    }

    fn insert_field(&self, id: &str, access: &FieldAccess) -> Result<(), ApplyError> {
        let (object, field) = access.field.name.split_once('.').unwrap_or_default();
        let object = self.tx.schema().object(object);
        let object_name = object.map_or("", |object| object.name.as_str());
        let field = object.and_then(|object| object.field(field)).map_or(field, |field| field.name.as_str());
        self.tx.execute(
            "INSERT INTO \"FieldPermissions\" (\"Id\", \"ParentId\", \"SobjectType\", \"Field\", \"PermissionsRead\", \"PermissionsEdit\") \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (self.tx.new_id("01k")?, id, object_name, format!("{object_name}.{field}"), access.readable, access.editable),
        )?;
        Ok(())
    }
}
