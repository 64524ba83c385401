//! External service registrations.

use uuid::Uuid;

use super::Applier;
use crate::metadata::component::{ComponentType, ExternalServiceRegistration};
use crate::metadata::components;
use crate::metadata::run::ApplyError;
use crate::metadata::shapes::Problem;
use crate::services::{Operation, Service};

impl Applier<'_, '_> {
    /// Checks a registration; the answer is what the deployer should know although it works.
    pub(super) fn check_registration(
        &self,
        registration: &ExternalServiceRegistration,
    ) -> Result<Option<String>, ApplyError> {
        check_provider(registration)?;
        if !registration.status.eq_ignore_ascii_case("Complete") {
            return Ok(Some(format!(
                "The registration's status is {}: its operations can't be called",
                registration.status
            )));
        }
        let credential = registration
            .named_credential
            .as_deref()
            .ok_or_else(|| Problem::new("Required field is missing: namedCredentialReference"))?;
        self.require("namedCredentialReference", ComponentType::NamedCredential.name(), credential)?;
        let service = read_schema(registration)?;
        for listed in &registration.operations {
            if service.operation(&listed.name).is_none() {
                let text = format!(
                    "The operation {} is not in the schema, which has: {}",
                    listed.name,
                    operation_names(&service)
                );
                return Err(Problem::new(text).into());
            }
        }
        let mut warnings = Vec::new();
        for operation in &service.operations {
            warnings.extend(self.check_authorization(operation)?);
        }
        warnings.dedup();
        Ok((!warnings.is_empty()).then(|| warnings.join("; ")))
    }

    /// What `x-sfdc.heroku.authorization` names must be there.
    fn check_authorization(&self, operation: &Operation) -> Result<Option<String>, ApplyError> {
        let authorization = &operation.authorization;
        if let Some(app) = &authorization.external_client_app {
            let field = format!("externalClientApp of operation {}", operation.name);
            self.require(&field, ComponentType::ExternalClientApplication.name(), app)?;
        }
        if let Some(name) = &authorization.permission_set {
            match self.permission_set_row(name)? {
                Some(row) if row.session_based => {}
                Some(_) => {
                    let text = format!(
                        "The permission set {name} of operation {} is not session-based (hasActivationRequired)",
                        operation.name
                    );
                    return Err(Problem::new(text).into());
                }
                None => {
                    let text = format!(
                        "In field: permissionSet of operation {} - no PermissionSet named {name} found",
                        operation.name
                    );
                    return Err(Problem::new(text).into());
                }
            }
        }
        let Some(app) = &authorization.connected_app else { return Ok(None) };
        let known = components::exists(self.tx, ComponentType::ConnectedApp, app)?;
        Ok((!known).then(|| {
            format!(
                "There is no connected app {app}; name an external client app with externalClientApp instead"
            )
        }))
    }
}

fn check_provider(registration: &ExternalServiceRegistration) -> Result<(), Problem> {
    if registration.provider_type.as_deref() != Some("Heroku") {
        return Ok(());
    }
    let parts = [
        ("registrationProvider", &registration.provider),
        ("registrationProviderAsset", &registration.provider_asset),
    ];
    for (field, value) in parts {
        let value =
            value.as_deref().ok_or_else(|| Problem::new(format!("Required field is missing: {field}")))?;
        if Uuid::try_parse(value).is_err() {
            return Err(Problem::new(format!("In field: {field} - {value:?} is not a UUID")));
        }
    }
    Ok(())
}

fn read_schema(registration: &ExternalServiceRegistration) -> Result<Service, Problem> {
    let known_type =
        registration.schema_type.as_deref().is_none_or(|kind| matches!(kind, "OpenApi" | "OpenApi3"));
    if !known_type {
        return Err(Problem::new("In field: schemaType - expected OpenApi3"));
    }
    let schema =
        registration.schema.as_deref().ok_or_else(|| Problem::new("Required field is missing: schema"))?;
    Service::read(schema).map_err(|error| Problem::new(format!("The schema can't be used: {error}")))
}

fn operation_names(service: &Service) -> String {
    service.operations.iter().map(|operation| operation.name.as_str()).collect::<Vec<_>>().join(", ")
}
