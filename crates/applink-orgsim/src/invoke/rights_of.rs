//! Step 2: may this user call this service, and what does the call run with?

use rusqlite::OptionalExtension;

use super::refusal::{self, Refusal};
use crate::db::{DbError, Tx};
use crate::metadata::component::ExternalServiceRegistration;
use crate::metadata::components::{self, PRINCIPAL};
use crate::rights::{self, Caller};
use crate::services::Operation;
use crate::users::User;

/// Checks that the user holds a permission set that opens the service's credential; the answer is the URL
/// the service's operations are called under.
pub(super) fn check(
    tx: &Tx<'_>,
    user: &User,
    service: &str,
    registration: &ExternalServiceRegistration,
) -> Result<String, Refusal> {
    let name = registration.named_credential.as_deref().unwrap_or_default();
    let credential = components::named_credential(tx, name)?.ok_or_else(|| {
        refusal::not_callable(format!("The named credential {name:?} of {service} is gone"))
    })?;
    if !credential.callouts_enabled {
        return Err(refusal::not_callable(format!("Callouts are disabled in the named credential {name:?}")));
    }
    if let Some(external) = &credential.external_credential
        && !holds_principal(tx, user, external)?
    {
        return Err(refusal::no_credential_access(external, &user.username, &opening_sets(tx, external)?));
    }
    let base_path = registration.service_binding.as_deref().and_then(base_path).unwrap_or_default();
    Ok(format!("{}{base_path}", credential.url.unwrap_or_default().trim_end_matches('/')))
}

/// `basePath` of a service binding, without a trailing slash.
fn base_path(binding: &str) -> Option<String> {
    let binding: serde_json::Value = serde_json::from_str(binding).ok()?;
    let path = binding.get("basePath")?.as_str()?.trim_matches('/');
    (!path.is_empty()).then(|| format!("/{path}"))
}

/// Whether a granted permission set opens one of the credential's principals.
fn holds_principal(tx: &Tx<'_>, user: &User, credential: &str) -> Result<bool, DbError> {
    let sql = format!(
        "{} SELECT EXISTS (SELECT 1 FROM \"SetupEntityAccess\" a JOIN _component p ON p.id = a.\"SetupEntityId\" \
         WHERE p.type = '{PRINCIPAL}' AND substr(p.full_name, 1, length(?4) + 1) = ?4 || '-' \
         AND a.\"ParentId\" IN (SELECT \"Id\" FROM granted))",
        rights::PREAMBLE
    );
    let mut parameters = rights::preamble_params(tx, &Caller::user(user.id.clone(), String::new()));
    parameters.push(credential.to_owned().into());
    Ok(tx.prepare_cached(&sql)?.query_row(rusqlite::params_from_iter(parameters), |row| row.get(0))?)
}

/// The names of the permission sets that open a credential.
fn opening_sets(tx: &Tx<'_>, credential: &str) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(
        "SELECT DISTINCT s.\"Name\" FROM \"SetupEntityAccess\" a JOIN _component p ON p.id = a.\"SetupEntityId\" \
         JOIN \"PermissionSet\" s ON s.\"Id\" = a.\"ParentId\" \
         WHERE substr(p.full_name, 1, length(?1) + 1) = ?1 || '-' ORDER BY 1",
    )?;
    let rows = statement.query_map([credential], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The permission set the operation runs with; it must be assigned to the user.
pub(super) fn elevation(tx: &Tx<'_>, user: &User, operation: &Operation) -> Result<Option<String>, Refusal> {
    let Some(name) = &operation.authorization.permission_set else { return Ok(None) };
    let assigned: Option<String> = tx
        .query_row(
            "SELECT s.\"Id\" FROM \"PermissionSet\" s JOIN \"PermissionSetAssignment\" a ON a.\"PermissionSetId\" = s.\"Id\" \
             WHERE s.\"Name\" = ?1 AND a.\"AssigneeId\" = ?2 AND a.\"IsActive\" AND NOT a.\"IsRevoked\" \
             AND (a.\"ExpirationDate\" IS NULL OR a.\"ExpirationDate\" > ?3)",
            (name, &user.id, tx.now_micros()),
            |row| row.get(0),
        )
        .optional()
        .map_err(DbError::from)?;
    assigned.map(Some).ok_or_else(|| refusal::permission_set_not_assigned(name, &user.username))
}
