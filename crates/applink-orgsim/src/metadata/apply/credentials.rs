//! External credentials with their principals, and named credentials.

use url::Url;

use super::{Applied, Applier};
use crate::metadata::component::{ComponentType, Definition, ExternalCredential, NamedCredential};
use crate::metadata::components::{self, PRINCIPAL};
use crate::metadata::run::ApplyError;
use crate::metadata::shapes::Problem;

impl Applier<'_, '_> {
    pub(super) fn external_credential(
        &self,
        name: &str,
        credential: &ExternalCredential,
        definition: &Definition,
    ) -> Result<Applied, ApplyError> {
        let applied = self.store(ComponentType::ExternalCredential, name, definition)?;
        let wanted: Vec<String> =
            credential.principals.iter().map(|principal| format!("{name}-{principal}")).collect();
        for principal in self.principals_of(name)? {
            if !wanted.contains(&principal) {
                self.remove_principal(&principal)?;
            }
        }
        for principal in wanted {
            if components::find(self.tx, PRINCIPAL, &principal)?.is_none() {
                components::put(self.tx, PRINCIPAL, &principal, &self.tx.new_id("0pu")?, "null")?;
            }
        }
        Ok(applied)
    }

    pub(super) fn remove_principals(&self, credential: &str) -> Result<(), ApplyError> {
        for principal in self.principals_of(credential)? {
            self.remove_principal(&principal)?;
        }
        Ok(())
    }

    fn principals_of(&self, credential: &str) -> Result<Vec<String>, ApplyError> {
        let mut principals = components::names(self.tx, PRINCIPAL)?;
        // Credential names have no hyphen, so the first one ends the name.
        principals
            .retain(|principal| principal.split_once('-').is_some_and(|(owner, _)| owner == credential));
        Ok(principals)
    }

    /// A principal takes the access that permission sets give to it along.
    fn remove_principal(&self, principal: &str) -> Result<(), ApplyError> {
        if let Some(stored) = components::find(self.tx, PRINCIPAL, principal)? {
            self.tx.execute("DELETE FROM \"SetupEntityAccess\" WHERE \"SetupEntityId\" = ?1", [stored.id])?;
        }
        Ok(components::remove(self.tx, PRINCIPAL, principal)?)
    }

    pub(super) fn check_named_credential(&self, credential: &NamedCredential) -> Result<(), ApplyError> {
        let secured = credential.kind.as_deref() == Some("SecuredEndpoint");
        let url = credential.url.as_deref().ok_or_else(|| {
            Problem::new("Required field is missing: Url (a namedCredentialParameters of parameterType Url)")
        })?;
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        if parsed
            .is_none_or(|url| !url.username().is_empty() || url.query().is_some() || url.fragment().is_some())
        {
            return Err(Problem::new(format!(
                "The named credential's URL {url:?} is invalid: it must be http(s)://host[:port][/path]"
            ))
            .into());
        }
        match &credential.external_credential {
            Some(name) => self.require("externalCredential", ComponentType::ExternalCredential.name(), name),
            None if secured => {
                let text = "Required field is missing: externalCredential (a namedCredentialParameters of parameterType Authentication)";
                Err(Problem::new(text).into())
            }
            None => Ok(()),
        }
    }
}
