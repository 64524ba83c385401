//! The components an org holds, by type and full name.
//!
//! Permission sets live in their sObject tables as well; there the `PermissionSet` row decides whether one
//! exists, and its id is the component's.

use rusqlite::OptionalExtension;

use super::component::{ComponentType, Definition, ExternalServiceRegistration, NamedCredential};
use crate::db::{DbError, Tx};
use crate::failure::Failure;

/// The type name under which principals of external credentials are kept: `<credential>-<principal>`.
pub(crate) const PRINCIPAL: &str = "ExternalCredentialParameter";

/// A stored component.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) definition: String,
}

pub(crate) fn find(tx: &Tx<'_>, component_type: &str, full_name: &str) -> Result<Option<Stored>, DbError> {
    let stored = tx
        .prepare_cached("SELECT id, definition FROM _component WHERE type = ?1 AND full_name = ?2")?
        .query_row((component_type, full_name), |row| {
            Ok(Stored { id: row.get(0)?, definition: row.get(1)? })
        });
    Ok(stored.optional()?)
}

pub(crate) fn exists(tx: &Tx<'_>, component_type: ComponentType, full_name: &str) -> Result<bool, DbError> {
    Ok(find(tx, component_type.name(), full_name)?.is_some())
}

/// The full names of a type, sorted.
pub(crate) fn names(tx: &Tx<'_>, component_type: &str) -> Result<Vec<String>, DbError> {
    let mut statement =
        tx.prepare_cached("SELECT full_name FROM _component WHERE type = ?1 ORDER BY full_name")?;
    let rows = statement.query_map([component_type], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All definitions of a type, with their names.
pub(crate) fn definitions(
    tx: &Tx<'_>,
    component_type: ComponentType,
) -> Result<Vec<(String, Definition)>, Failure> {
    let mut statement =
        tx.prepare_cached("SELECT full_name, definition FROM _component WHERE type = ?1 ORDER BY full_name")?;
    let rows =
        statement.query_map([component_type.name()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (name, definition): (String, String) = row?;
        Ok((name, serde_json::from_str(&definition)?))
    })
    .collect()
}

pub(crate) fn definition(
    tx: &Tx<'_>,
    component_type: ComponentType,
    full_name: &str,
) -> Result<Option<Definition>, Failure> {
    let stored = find(tx, component_type.name(), full_name)?;
    Ok(stored.map(|stored| serde_json::from_str(&stored.definition)).transpose()?)
}

/// The registration of a service; service names compare without regard to case, as in Apex.
pub(crate) fn registration(
    tx: &Tx<'_>,
    service: &str,
) -> Result<Option<(String, ExternalServiceRegistration)>, Failure> {
    let all = definitions(tx, ComponentType::ExternalServiceRegistration)?;
    let found = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(service));
    Ok(found.and_then(|(name, definition)| match definition {
        Definition::ExternalServiceRegistration(registration) => Some((name, *registration)),
        _ => None,
    }))
}

/// When a component was last put in; 0 when there is none.
pub(crate) fn modified_micros(
    tx: &Tx<'_>,
    component_type: ComponentType,
    full_name: &str,
) -> Result<i64, DbError> {
    let modified = tx
        .prepare_cached("SELECT modified_micros FROM _component WHERE type = ?1 AND full_name = ?2")?
        .query_row((component_type.name(), full_name), |row| row.get(0))
        .optional()?;
    Ok(modified.unwrap_or_default())
}

pub(crate) fn named_credential(tx: &Tx<'_>, full_name: &str) -> Result<Option<NamedCredential>, Failure> {
    Ok(match definition(tx, ComponentType::NamedCredential, full_name)? {
        Some(Definition::NamedCredential(credential)) => Some(credential),
        _ => None,
    })
}

/// Puts a component in or replaces it.
pub(crate) fn put(
    tx: &Tx<'_>,
    component_type: &str,
    full_name: &str,
    id: &str,
    definition: &str,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO _component (type, full_name, id, definition, created_micros, modified_micros) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (type, full_name) \
         DO UPDATE SET id = excluded.id, definition = excluded.definition, modified_micros = excluded.modified_micros",
        (component_type, full_name, id, definition, tx.now_micros()),
    )?;
    Ok(())
}

pub(crate) fn remove(tx: &Tx<'_>, component_type: &str, full_name: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM _component WHERE type = ?1 AND full_name = ?2", (component_type, full_name))?;
    Ok(())
}
