//! Whose rights a call runs with, as SQL.
//!
//! 1. A caller's *granted* permission sets are those assigned to the user (the profile's own set among
//!    them), minus session-based ones that are not activated for the caller's own session. [`PREAMBLE`]
//!    works them out in SQL, in every statement anew, so an activation that ended is gone at once.
//! 2. Object permissions, sharing and set-up permissions become predicates over a row's table
//!    ([`readable`], [`changeable`]) that SOQL and records put into their `WHERE`.
//! 3. [`Rights`] is the same knowledge read once per call, to decide which *names* exist for the caller:
//!    an object or field that may not be read is answered like one that isn't there.

use std::collections::{HashMap, HashSet};

use rusqlite::types::Value as SqlValue;

use crate::db::{DbError, Tx};
use crate::schema::{Access, Field, SObject, Schema, Sharing, USER_PERMISSIONS};

/// Starts every statement that carries a caller's rights. Parameters: `?1` the user's id, `?2` the session's
/// id, `?3` now in microseconds. Declares `granted` (permission set ids) and `subordinates` (ids of users
/// below the caller in the role hierarchy).
pub const PREAMBLE: &str = r#"WITH RECURSIVE granted("Id") AS MATERIALIZED (
  SELECT psa."PermissionSetId" FROM "PermissionSetAssignment" psa
  JOIN "PermissionSet" ps ON ps."Id" = psa."PermissionSetId"
  WHERE psa."AssigneeId" = ?1 AND psa."IsActive" AND NOT psa."IsRevoked"
    AND (psa."ExpirationDate" IS NULL OR psa."ExpirationDate" > ?3)
    AND (NOT ps."HasActivationRequired" OR EXISTS (
      SELECT 1 FROM "SessionPermSetActivation" a
      WHERE a."PermissionSetId" = ps."Id" AND a."AuthSessionId" = ?2))),
lower_roles("Id") AS (
  SELECT r."Id" FROM "UserRole" r JOIN "User" me ON me."UserRoleId" = r."ParentRoleId" WHERE me."Id" = ?1
  UNION SELECT r."Id" FROM "UserRole" r JOIN lower_roles ON r."ParentRoleId" = lower_roles."Id"),
subordinates("Id") AS MATERIALIZED (
  SELECT u."Id" FROM "User" u WHERE u."UserRoleId" IN (SELECT "Id" FROM lower_roles))
"#;

const EVERYTHING: &str = "1";

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The org itself: every right.
    System,
    /// A user's session.
    User {
        /// 18-character user id (`005…`).
        user_id: String,
        /// 18-character session id (`0Ak…`); session-based permission sets count only while activated for it.
        session_id: String,
    },
}

impl Caller {
    /// A user in a session.
    pub fn user(user_id: impl Into<String>, session_id: impl Into<String>) -> Self {
        Self::User { user_id: user_id.into(), session_id: session_id.into() }
    }

    /// The user's id; `None` for the org itself.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::User { user_id, .. } => Some(user_id),
        }
    }

    fn session_id(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::User { session_id, .. } => Some(session_id),
        }
    }
}

/// What can be done with an sObject's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make one.
    Create,
    /// See one.
    Read,
    /// Change one.
    Edit,
    /// Delete one.
    Delete,
}

/// The user permissions a caller holds.
#[derive(Debug, Clone, Default)]
pub struct UserPermissions {
    everything: bool,
    held: HashSet<&'static str>,
}

impl UserPermissions {
    /// Whether the caller holds the permission, named as in metadata: `ApiEnabled`, `ManageHerokuAppLink`.
    pub fn has(&self, permission: &str) -> bool {
        self.everything || self.held.contains(permission)
    }
}

/// The first three parameters of every statement that starts with [`PREAMBLE`].
pub fn preamble_params(tx: &Tx<'_>, caller: &Caller) -> Vec<SqlValue> {
    let text = |id: Option<&str>| id.map_or(SqlValue::Null, |id| SqlValue::Text(id.to_owned()));
    vec![text(caller.user_id()), text(caller.session_id()), SqlValue::Integer(tx.now_micros())]
}

/// The user permissions a caller holds.
///
/// # Errors
/// When SQLite refuses.
pub fn user_permissions(tx: &Tx<'_>, caller: &Caller) -> Result<UserPermissions, DbError> {
    if *caller == Caller::System {
        return Ok(UserPermissions { everything: true, held: HashSet::new() });
    }
    let columns: Vec<String> = USER_PERMISSIONS
        .iter()
        .map(|(name, _)| format!("coalesce(max(p.\"Permissions{name}\"), 0)"))
        .collect();
    let sql = format!(
        "{PREAMBLE} SELECT {} FROM \"PermissionSet\" p WHERE p.\"Id\" IN (SELECT \"Id\" FROM granted)",
        columns.join(", ")
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let held = statement.query_row(rusqlite::params_from_iter(preamble_params(tx, caller)), |row| {
        let mut held = HashSet::new();
        for (index, (name, _)) in USER_PERMISSIONS.iter().enumerate() {
            if row.get::<_, bool>(index)? {
                held.insert(*name);
            }
        }
        Ok(held)
    })?;
    Ok(UserPermissions { everything: false, held })
}

/// The predicate that holds for the rows of `alias` the caller may read.
pub(crate) fn readable(schema: &Schema, caller: &Caller, object: &SObject, alias: &str) -> String {
    row_predicate(schema, caller, object, alias, Action::Read)
}

/// The predicate that holds for the rows of `alias` the caller may edit or delete.
pub(crate) fn changeable(
    schema: &Schema,
    caller: &Caller,
    object: &SObject,
    alias: &str,
    action: Action,
) -> String {
    row_predicate(schema, caller, object, alias, action)
}

/// The predicate that holds for the rows of `alias` the caller may give to another owner: their own, those of
/// users below them, and any with "Transfer Record" or modify-all.
pub(crate) fn transferable(caller: &Caller, object: &SObject, alias: &str) -> String {
    if *caller == Caller::System {
        return EVERYTHING.to_owned();
    }
    format!(
        "({} OR {} OR {})",
        owned_predicate(alias),
        all_rows_permitted(object, Action::Edit),
        holds_any(&["TransferAnyEntity"])
    )
}

fn row_predicate(schema: &Schema, caller: &Caller, object: &SObject, alias: &str, action: Action) -> String {
    if *caller == Caller::System {
        return EVERYTHING.to_owned();
    }
    match object.access {
        Access::Business(sharing) => business_predicate(schema, caller, object, sharing, alias, action),
        Access::Setup { read, own, write } => setup_predicate(read, own, write, alias, action),
        Access::CustomMetadata => custom_metadata_predicate(schema, object, action),
    }
}

fn business_predicate(
    schema: &Schema,
    caller: &Caller,
    object: &SObject,
    sharing: Sharing,
    alias: &str,
    action: Action,
) -> String {
    let permitted = object_permitted(object, action);
    let all_rows = all_rows_permitted(object, action);
    let owned = if object.has_owner() { owned_predicate(alias) } else { EVERYTHING.to_owned() };
    let shared = match (sharing, action) {
        (Sharing::PublicRead | Sharing::PublicReadWrite, Action::Read)
        | (Sharing::PublicReadWrite, Action::Edit) => EVERYTHING.to_owned(),
        (Sharing::ControlledByParent(field), _) => {
            parent_predicate(schema, caller, object, field, alias, action)
        }
        _ => owned,
    };
    format!("({permitted} AND ({shared} OR {all_rows}))")
}

fn owned_predicate(alias: &str) -> String {
    format!("({alias}.\"OwnerId\" = ?1 OR {alias}.\"OwnerId\" IN (SELECT \"Id\" FROM subordinates))")
}

/// A detail row is read with its parent, and changed or deleted by whoever may edit the parent.
fn parent_predicate(
    schema: &Schema,
    caller: &Caller,
    object: &SObject,
    field: &str,
    alias: &str,
    action: Action,
) -> String {
    let Some(parent) = object
        .field(field)
        .and_then(Field::reference)
        .and_then(|reference| schema.object(reference.to.first()?))
    else {
        return "0".to_owned();
    };
    let inner = format!("{alias}_p");
    let action = if action == Action::Read { Action::Read } else { Action::Edit };
    let allowed = row_predicate(schema, caller, parent, &inner, action);
    format!(
        "EXISTS (SELECT 1 FROM \"{}\" {inner} WHERE {inner}.\"Id\" = {alias}.\"{field}\" AND {allowed})",
        parent.name
    )
}

fn setup_predicate(read: &[&str], own: Option<&str>, write: &[&str], alias: &str, action: Action) -> String {
    if action != Action::Read {
        return holds_any(write);
    }
    if read.is_empty() {
        return EVERYTHING.to_owned();
    }
    match own {
        Some(column) => format!("({alias}.\"{column}\" = ?1 OR {})", holds_any(read)),
        None => holds_any(read),
    }
}

fn custom_metadata_predicate(schema: &Schema, object: &SObject, action: Action) -> String {
    if action != Action::Read {
        return "0".to_owned();
    }
    let definition = schema.definition_id(&object.name).unwrap_or_default();
    format!(
        "({} OR EXISTS (SELECT 1 FROM \"SetupEntityAccess\" sea WHERE sea.\"SetupEntityId\" = '{definition}' \
         AND sea.\"ParentId\" IN (SELECT \"Id\" FROM granted)))",
        holds_any(&["CustomizeApplication"])
    )
}

/// Holds when a granted permission set has one of these user permissions. The names are the program's own.
fn holds_any(permissions: &[&str]) -> String {
    let columns: Vec<String> = permissions.iter().map(|name| format!("p.\"Permissions{name}\"")).collect();
    if columns.is_empty() {
        return "0".to_owned();
    }
    format!(
        "EXISTS (SELECT 1 FROM \"PermissionSet\" p WHERE p.\"Id\" IN (SELECT \"Id\" FROM granted) AND ({}))",
        columns.join(" OR ")
    )
}

fn object_permitted(object: &SObject, action: Action) -> String {
    let flags: &[&str] = match governing(object, action).1 {
        Action::Create => &["PermissionsCreate"],
        Action::Read => &["PermissionsRead"],
        Action::Edit => &["PermissionsEdit"],
        Action::Delete => &["PermissionsDelete"],
    };
    let data =
        if action == Action::Read { vec!["ViewAllData", "ModifyAllData"] } else { vec!["ModifyAllData"] };
    format!("({} OR {})", object_flag(object, flags), holds_any(&data))
}

fn all_rows_permitted(object: &SObject, action: Action) -> String {
    let (flags, data): (&[&str], &[&str]) = match action {
        Action::Read => {
            (&["PermissionsViewAllRecords", "PermissionsModifyAllRecords"], &["ViewAllData", "ModifyAllData"])
        }
        _ => (&["PermissionsModifyAllRecords"], &["ModifyAllData"]),
    };
    format!("({} OR {})", object_flag(object, flags), holds_any(data))
}

/// The sObject whose permissions count, and which of them.
fn governing(object: &SObject, action: Action) -> (&str, Action) {
    match (object.governed_by, action) {
        (None, _) => (&object.name, action),
        (Some(name), Action::Read) => (name, Action::Read),
        (Some(name), _) => (name, Action::Edit),
    }
}

fn object_flag(object: &SObject, flags: &[&str]) -> String {
    let columns: Vec<String> = flags.iter().map(|flag| format!("op.\"{flag}\"")).collect();
    format!(
        "EXISTS (SELECT 1 FROM \"ObjectPermissions\" op WHERE op.\"SobjectType\" = '{}' \
         AND op.\"ParentId\" IN (SELECT \"Id\" FROM granted) AND ({}))",
        governing(object, Action::Read).0,
        columns.join(" OR ")
    )
}

/// What a caller's permission sets say about objects and fields, read once per call.
#[derive(Debug, Clone)]
pub struct Rights {
    caller: Caller,
    permissions: UserPermissions,
    objects: HashMap<String, ObjectFlags>,
    fields: HashMap<String, FieldFlags>,
    metadata_types: HashSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct ObjectFlags {
    create: bool,
    read: bool,
    edit: bool,
    delete: bool,
}

#[derive(Debug, Clone, Copy)]
struct FieldFlags {
    read: bool,
    edit: bool,
}

impl Rights {
    /// Reads the caller's rights.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn load(tx: &Tx<'_>, caller: &Caller) -> Result<Self, DbError> {
        let permissions = user_permissions(tx, caller)?;
        let (objects, fields, metadata_types) = match caller {
            Caller::System => (HashMap::new(), HashMap::new(), HashSet::new()),
            Caller::User { .. } => {
                (load_objects(tx, caller)?, load_fields(tx, caller)?, load_metadata_types(tx, caller)?)
            }
        };
        Ok(Self { caller: caller.clone(), permissions, objects, fields, metadata_types })
    }

    /// Whose rights these are.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The user permissions held.
    pub fn permissions(&self) -> &UserPermissions {
        &self.permissions
    }

    /// Whether the caller may do this with rows of the sObject at all (sharing apart).
    pub fn may(&self, schema: &Schema, object: &SObject, action: Action) -> bool {
        if self.caller == Caller::System {
            return true;
        }
        match object.access {
            Access::Business(_) => self.may_business(object, action),
            Access::Setup { read, own, write } => match action {
                Action::Read => read.is_empty() || own.is_some() || self.holds_any(read),
                _ => self.holds_any(write),
            },
            Access::CustomMetadata => {
                action == Action::Read
                    && (self.permissions.has("CustomizeApplication")
                        || schema
                            .definition_id(&object.name)
                            .is_some_and(|id| self.metadata_types.contains(&id)))
            }
        }
    }

    /// Whether the field exists for the caller.
    pub fn may_read_field(&self, object: &SObject, field: &Field) -> bool {
        self.field_allows(object, field, |flags| flags.read)
    }

    /// Whether field-level security lets the caller set the field.
    pub fn may_edit_field(&self, object: &SObject, field: &Field) -> bool {
        self.field_allows(object, field, |flags| flags.edit)
    }

    fn may_business(&self, object: &SObject, action: Action) -> bool {
        if self.permissions.has("ModifyAllData")
            || (action == Action::Read && self.permissions.has("ViewAllData"))
        {
            return true;
        }
        let (name, action) = governing(object, action);
        self.objects.get(&name.to_lowercase()).is_some_and(|flags| match action {
            Action::Create => flags.create,
            Action::Read => flags.read,
            Action::Edit => flags.edit,
            Action::Delete => flags.delete,
        })
    }

    fn holds_any(&self, permissions: &[&str]) -> bool {
        permissions.iter().any(|permission| self.permissions.has(permission))
    }

    fn field_allows(&self, object: &SObject, field: &Field, allows: impl Fn(&FieldFlags) -> bool) -> bool {
        let governed = field.permissionable && matches!(object.access, Access::Business(_));
        if self.caller == Caller::System || !governed {
            return true;
        }
        let key = format!("{}.{}", object.name, field.name).to_lowercase();
        self.fields.get(&key).is_some_and(allows)
    }
}

fn load_objects(tx: &Tx<'_>, caller: &Caller) -> Result<HashMap<String, ObjectFlags>, DbError> {
    let sql = format!(
        "{PREAMBLE} SELECT lower(\"SobjectType\"), max(\"PermissionsCreate\"), max(\"PermissionsRead\"), \
         max(\"PermissionsEdit\"), max(\"PermissionsDelete\") FROM \"ObjectPermissions\" \
         WHERE \"ParentId\" IN (SELECT \"Id\" FROM granted) GROUP BY 1"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(preamble_params(tx, caller)), |row| {
        let flags =
            ObjectFlags { create: row.get(1)?, read: row.get(2)?, edit: row.get(3)?, delete: row.get(4)? };
        Ok((row.get(0)?, flags))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn load_fields(tx: &Tx<'_>, caller: &Caller) -> Result<HashMap<String, FieldFlags>, DbError> {
    let sql = format!(
        "{PREAMBLE} SELECT lower(\"Field\"), max(\"PermissionsRead\" OR \"PermissionsEdit\"), \
         max(\"PermissionsEdit\") FROM \"FieldPermissions\" \
         WHERE \"ParentId\" IN (SELECT \"Id\" FROM granted) GROUP BY 1"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(preamble_params(tx, caller)), |row| {
        Ok((row.get(0)?, FieldFlags { read: row.get(1)?, edit: row.get(2)? }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn load_metadata_types(tx: &Tx<'_>, caller: &Caller) -> Result<HashSet<String>, DbError> {
    let sql = format!(
        "{PREAMBLE} SELECT \"SetupEntityId\" FROM \"SetupEntityAccess\" \
         WHERE \"ParentId\" IN (SELECT \"Id\" FROM granted)"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows =
        statement.query_map(rusqlite::params_from_iter(preamble_params(tx, caller)), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
