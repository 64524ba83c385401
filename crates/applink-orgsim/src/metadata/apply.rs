//! Puts components into the org, each checked against what the org has by then: what an earlier component of
//! the same package brought counts, what a failed one would have brought does not.

mod client_app;
mod credentials;
mod permission_set;
mod registration;

use serde_json::Value;

use super::component::{ComponentType, Definition};
use super::components;
use super::run::ApplyError;
use super::shapes::Problem;
use crate::db::Tx;
use crate::rights::UserPermissions;
use crate::state::OrgState;

/// Names longer than this are refused.
const MAX_NAME_CHARS: usize = 80;

/// What applying a component did.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) id: String,
    pub(crate) created: bool,
    pub(crate) changed: bool,
    pub(crate) warning: Option<String>,
}

/// Applies components in one transaction.
pub(crate) struct Applier<'a, 'c> {
    state: &'a OrgState,
    tx: &'a Tx<'c>,
    permissions: UserPermissions,
}

impl<'a, 'c> Applier<'a, 'c> {
    pub(crate) fn new(state: &'a OrgState, tx: &'a Tx<'c>, permissions: UserPermissions) -> Self {
        Self { state, tx, permissions }
    }

    /// Checks a component against the org and puts it in.
    pub(crate) fn apply(
        &self,
        component_type: ComponentType,
        name: &str,
        definition: &Definition,
    ) -> Result<Applied, ApplyError> {
        self.check_rights(component_type, Some(definition))?;
        check_name(component_type, name)?;
        match definition {
            Definition::ExternalCredential(credential) => {
                self.external_credential(name, credential, definition)
            }
            Definition::NamedCredential(credential) => {
                self.check_named_credential(credential)?;
                self.store(component_type, name, definition)
            }
            Definition::ConnectedApp(_) => self.connected_app(name, definition),
            Definition::PermissionSet(set) => self.permission_set(name, set, definition),
            Definition::ExternalServiceRegistration(registration) => {
                let warning = self.check_registration(registration)?;
                Ok(Applied { warning, ..self.store(component_type, name, definition)? })
            }
            Definition::ExternalClientApplication(_)
            | Definition::ClientAppOauth(_)
            | Definition::ClientAppGlobalOauth(_)
            | Definition::ClientAppPolicies(_)
            | Definition::ClientAppOauthPolicies(_) => self.client_app_part(component_type, name, definition),
        }
    }

    /// Removes a component; `None` when there is none.
    pub(crate) fn remove(
        &self,
        component_type: ComponentType,
        name: &str,
    ) -> Result<Option<String>, ApplyError> {
        let stored = components::find(self.tx, component_type.name(), name)?;
        self.check_rights(component_type, None)?;
        if component_type == ComponentType::PermissionSet {
            return self.remove_permission_set(name);
        }
        let Some(stored) = stored else { return Ok(None) };
        self.check_unreferenced(component_type, name)?;
        let application = self.application_with_part(component_type, name)?;
        components::remove(self.tx, component_type.name(), name)?;
        match component_type {
            ComponentType::ExternalCredential => self.remove_principals(name)?,
            ComponentType::ExternalClientApplication => self.remove_client_app_parts(name)?,
            _ => {}
        }
        if let Some(application) = application {
            self.sync_client(&application)?;
        }
        Ok(Some(stored.id))
    }

    /// Setting up anything needs "Customize Application", a Heroku registration "Manage Heroku AppLink" too.
    fn check_rights(
        &self,
        component_type: ComponentType,
        definition: Option<&Definition>,
    ) -> Result<(), ApplyError> {
        let refused = |permission: &str| {
            let text = format!(
                "You do not have the level of access necessary: {} needs the user permission {permission}",
                component_type.name()
            );
            Err(Problem::new(text).into())
        };
        if !self.permissions.has("CustomizeApplication") {
            return refused("CustomizeApplication");
        }
        let is_client_app = matches!(
            component_type,
            ComponentType::ExternalClientApplication
                | ComponentType::ClientAppGlobalOauth
                | ComponentType::ClientAppOauth
                | ComponentType::ClientAppPolicies
                | ComponentType::ClientAppOauthPolicies
        );
        let manages = ["ModifyAllData", "ExternalClientAppAdmin"].iter().any(|one| self.permissions.has(one));
        if is_client_app && !manages {
            return refused("ExternalClientAppAdmin");
        }
        let heroku = match definition {
            Some(Definition::ExternalServiceRegistration(registration)) => {
                registration.provider_type.as_deref() == Some("Heroku")
            }
            Some(_) => false,
            None => component_type == ComponentType::ExternalServiceRegistration,
        };
        if heroku && !self.permissions.has("ManageHerokuAppLink") {
            return refused("ManageHerokuAppLink");
        }
        Ok(())
    }

    /// Keeps a definition, telling whether it is new or differs.
    fn store(
        &self,
        component_type: ComponentType,
        name: &str,
        definition: &Definition,
    ) -> Result<Applied, ApplyError> {
        let text = serde_json::to_string(definition).map_err(crate::failure::Failure::from)?;
        let stored = components::find(self.tx, component_type.name(), name)?;
        let (id, created, changed) = match stored {
            Some(stored) => {
                let changed = serde_json::from_str::<Value>(&stored.definition).ok()
                    != serde_json::from_str(&text).ok();
                (stored.id, false, changed)
            }
            None => (self.tx.new_id(key_prefix(component_type))?, true, true),
        };
        components::put(self.tx, component_type.name(), name, &id, &text)?;
        Ok(Applied { id, created, changed, warning: None })
    }

    /// Connected apps can be changed but no longer made: since Spring '26 an org refuses their creation.
    fn connected_app(&self, name: &str, definition: &Definition) -> Result<Applied, ApplyError> {
        let exists = components::exists(self.tx, ComponentType::ConnectedApp, name)?;
        if !exists && self.state.identity().api_version >= 66 {
            let text = "You can't create a connected app in this org. Since Spring '26 use an external client app instead";
            return Err(Problem::new(text).into());
        }
        self.store(ComponentType::ConnectedApp, name, definition)
    }

    /// A component that others point at can't be removed.
    fn check_unreferenced(&self, component_type: ComponentType, name: &str) -> Result<(), ApplyError> {
        let referrer = match component_type {
            ComponentType::NamedCredential => self.registration_with_credential(name)?,
            ComponentType::ExternalCredential => self.named_credential_with(name)?,
            _ => None,
        };
        match referrer {
            Some(referrer) => {
                let text = format!(
                    "This {} is referenced elsewhere in the org. Remove the usage and try again: {referrer}",
                    component_type.name()
                );
                Err(Problem::new(text).into())
            }
            None => Ok(()),
        }
    }

    fn registration_with_credential(&self, name: &str) -> Result<Option<String>, ApplyError> {
        let all = components::definitions(self.tx, ComponentType::ExternalServiceRegistration)?;
        let uses = |definition: &Definition| matches!(definition, Definition::ExternalServiceRegistration(registration) if registration.named_credential.as_deref() == Some(name));
        Ok(all
            .into_iter()
            .find(|(_, definition)| uses(definition))
            .map(|(name, _)| format!("ExternalServiceRegistration {name}")))
    }

    fn named_credential_with(&self, name: &str) -> Result<Option<String>, ApplyError> {
        let all = components::definitions(self.tx, ComponentType::NamedCredential)?;
        let uses = |definition: &Definition| matches!(definition, Definition::NamedCredential(credential) if credential.external_credential.as_deref() == Some(name));
        Ok(all
            .into_iter()
            .find(|(_, definition)| uses(definition))
            .map(|(name, _)| format!("NamedCredential {name}")))
    }

    /// Fails like an org when a name is not there, helping when only its case is wrong.
    fn require(&self, field: &str, component_type: &str, name: &str) -> Result<(), ApplyError> {
        if components::find(self.tx, component_type, name)?.is_some() {
            return Ok(());
        }
        let near = components::names(self.tx, component_type)?
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name));
        let hint = near
            .map(|known| format!("; names are case-sensitive, did you mean {known}?"))
            .unwrap_or_default();
        Err(Problem::new(format!("In field: {field} - no {component_type} named {name} found{hint}")).into())
    }
}

/// API names: a letter first, then letters, digits and single underscores, none at the end.
fn check_name(component_type: ComponentType, name: &str) -> Result<(), ApplyError> {
    let fits = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.ends_with('_')
        && !name.contains("__")
        && name.len() <= MAX_NAME_CHARS;
    if fits {
        return Ok(());
    }
    let text = format!(
        "The {} name {name:?} is invalid: it must begin with a letter, hold only letters, digits and single \
         underscores, not end with one, and have at most {MAX_NAME_CHARS} characters",
        component_type.name()
    );
    Err(Problem::new(text).into())
}

/// Ids of components; prefixes that are not public are this simulator's own.
const fn key_prefix(component_type: ComponentType) -> &'static str {
    match component_type {
        ComponentType::ExternalCredential => "0pt",
        ComponentType::NamedCredential => "0XA",
        ComponentType::ConnectedApp => "0H4",
        ComponentType::ExternalClientApplication => "0xI",
        ComponentType::ClientAppOauth => "0xJ",
        ComponentType::ClientAppGlobalOauth => "0xK",
        ComponentType::ClientAppPolicies => "0xL",
        ComponentType::ClientAppOauthPolicies => "0xM",
        ComponentType::PermissionSet => "0PS",
        ComponentType::ExternalServiceRegistration => "0xS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_api_names() {
        let fits = |name: &str| check_name(ComponentType::PermissionSet, name).is_ok();
        assert!(fits("ProvisioningService") && fits("a_1"));
        for name in ["", "1a", "a-b", "a__b", "a_", "ä", &"a".repeat(81)] {
            assert!(!fits(name), "{name}");
        }
    }
}
