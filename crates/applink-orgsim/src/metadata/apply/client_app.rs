//! The external client app family. Once its OAuth settings are there, the app is an OAuth client of the org.

use super::{Applied, Applier};
use crate::keys;
use crate::metadata::component::{ClientAppGlobalOauth, ComponentType, Definition};
use crate::metadata::components;
use crate::metadata::run::ApplyError;
use crate::metadata::shapes::Problem;
use crate::oauth::clients::{self, Client, Permitted};
use crate::oauth::scopes;
use crate::secrets;

/// The parts that hang on an application.
const PARTS: [ComponentType; 4] = [
    ComponentType::ClientAppOauth,
    ComponentType::ClientAppGlobalOauth,
    ComponentType::ClientAppPolicies,
    ComponentType::ClientAppOauthPolicies,
];

impl Applier<'_, '_> {
    pub(super) fn client_app_part(
        &self,
        component_type: ComponentType,
        name: &str,
        definition: &Definition,
    ) -> Result<Applied, ApplyError> {
        let application = application_of(definition).unwrap_or(name);
        if component_type != ComponentType::ExternalClientApplication {
            self.require(
                "externalClientApplication",
                ComponentType::ExternalClientApplication.name(),
                application,
            )?;
        }
        match definition {
            Definition::ExternalClientApplication(_) => self.check_no_other_client(name)?,
            Definition::ClientAppOauth(oauth) => check_scopes(&oauth.scopes)?,
            Definition::ClientAppGlobalOauth(oauth) => self.check_global_oauth(application, oauth)?,
            Definition::ClientAppOauthPolicies(policies) => {
                for set in &policies.permission_sets {
                    self.require_permission_set(set)?;
                }
            }
            _ => {}
        }
        let earlier = self.application_with_part(component_type, name)?;
        let applied = self.store(component_type, name, definition)?;
        self.sync_client(application)?;
        if let Some(earlier) = earlier.filter(|earlier| earlier != application) {
            self.sync_client(&earlier)?;
        }
        Ok(applied)
    }

    /// The application that a stored part hangs on; none for what is no such part.
    pub(super) fn application_with_part(
        &self,
        component_type: ComponentType,
        name: &str,
    ) -> Result<Option<String>, ApplyError> {
        let part = components::definition(self.tx, component_type, name)?;
        Ok(part.as_ref().and_then(application_of).map(str::to_owned))
    }

    pub(super) fn remove_client_app_parts(&self, application: &str) -> Result<(), ApplyError> {
        for part in PARTS {
            for (name, definition) in components::definitions(self.tx, part)? {
                if application_of(&definition) == Some(application) {
                    components::remove(self.tx, part.name(), &name)?;
                }
            }
        }
        Ok(clients::remove(self.tx, application)?)
    }

    /// An application must not take over a client that was not deployed.
    fn check_no_other_client(&self, name: &str) -> Result<(), ApplyError> {
        let deployed = components::exists(self.tx, ComponentType::ExternalClientApplication, name)?;
        if deployed || clients::find_by_name(self.tx, name)?.is_none() {
            return Ok(());
        }
        let text = format!("In field: fullName - an OAuth client named {name} exists already");
        Err(Problem::new(text).into())
    }

    fn require_permission_set(&self, name: &str) -> Result<(), ApplyError> {
        match self.permission_set_row(name)? {
            Some(_) => Ok(()),
            None => Err(Problem::new(format!(
                "In field: commaSeparatedPermissionSet - no PermissionSet named {name} found"
            ))
            .into()),
        }
    }

    fn check_global_oauth(&self, application: &str, oauth: &ClientAppGlobalOauth) -> Result<(), ApplyError> {
        for callback in &oauth.callback_urls {
            if url::Url::parse(callback).is_err() {
                return Err(Problem::new(format!("In field: callbackUrl - {callback:?} is not a URL")).into());
            }
        }
        if let Some(pem) = &oauth.certificate {
            keys::public_key_from_pem(pem)
                .map_err(|error| Problem::new(format!("In field: certificate - {error}")))?;
        }
        if let Some(key) = &oauth.consumer_key
            && clients::find(self.tx, key)?.is_some_and(|client| client.name != application)
        {
            return Err(Problem::new("In field: consumerKey - Consumer Key already taken").into());
        }
        Ok(())
    }

    /// Makes or updates the OAuth client of an application from the parts that are there; without global OAuth
    /// settings it has none.
    pub(super) fn sync_client(&self, application: &str) -> Result<(), ApplyError> {
        let parts = self.parts_of(application)?;
        let Some(oauth) = parts.iter().find_map(|part| match part {
            Definition::ClientAppGlobalOauth(oauth) => Some(oauth),
            _ => None,
        }) else {
            return Ok(clients::remove(self.tx, application)?);
        };
        let existing = clients::find_by_name(self.tx, application)?;
        if let Some(existing) = &existing
            && oauth.consumer_key.as_ref().is_some_and(|key| *key != existing.consumer_key)
        {
            clients::remove(self.tx, application)?;
        }
        let mut client = self.client(application, oauth, existing)?;
        for part in &parts {
            amend(&mut client, part);
        }
        Ok(clients::save(self.tx, &client)?)
    }

    fn client(
        &self,
        application: &str,
        oauth: &ClientAppGlobalOauth,
        existing: Option<Client>,
    ) -> Result<Client, ApplyError> {
        let label =
            match components::definition(self.tx, ComponentType::ExternalClientApplication, application)? {
                Some(Definition::ExternalClientApplication(app)) => app.label,
                _ => None,
            };
        let key = oauth
            .consumer_key
            .clone()
            .or_else(|| existing.as_ref().map(|client| client.consumer_key.clone()));
        let public_key = oauth.certificate.as_deref().and_then(|pem| keys::public_key_from_pem(pem).ok());
        Ok(Client {
            name: application.to_owned(),
            label: label.unwrap_or_else(|| application.to_owned()),
            consumer_key: key.unwrap_or_else(|| secrets::consumer_key(self.tx.entropy())),
            secret_fingerprint: oauth
                .consumer_secret_fingerprint
                .clone()
                .or_else(|| existing.and_then(|client| client.secret_fingerprint)),
            callbacks: oauth.callback_urls.clone(),
            scopes: Vec::new(),
            enabled: true,
            pkce_required: oauth.pkce_required,
            secret_required: !oauth.secret_optional,
            secret_required_for_refresh: oauth.secret_required_for_refresh,
            rotates_refresh_tokens: oauth.rotates_refresh_tokens,
            keeps_grant_on_replay: false,
            introspects_all_tokens: oauth.introspects_all_tokens,
            public_key,
            permitted: Permitted::SelfAuthorized,
            session_timeout_minutes: None,
            client_credentials_user: None,
            refresh_tokens_last_seconds: None,
            ip_restricted: false,
            withheld_scopes: Vec::new(),
        })
    }

    fn parts_of(&self, application: &str) -> Result<Vec<Definition>, ApplyError> {
        let mut parts = Vec::new();
        for part in PARTS {
            let all = components::definitions(self.tx, part)?.into_iter().map(|(_, definition)| definition);
            parts.extend(all.filter(|definition| application_of(definition) == Some(application)));
        }
        Ok(parts)
    }
}

/// What the other parts add to a client.
fn amend(client: &mut Client, part: &Definition) {
    match part {
        Definition::ClientAppOauth(oauth) => {
            client.scopes = oauth
                .scopes
                .iter()
                .filter_map(|scope| scopes::from_metadata(scope))
                .map(str::to_owned)
                .collect();
        }
        Definition::ClientAppPolicies(policies) => client.enabled = policies.enabled,
        Definition::ClientAppOauthPolicies(policies) => {
            client.session_timeout_minutes = policies.session_timeout_minutes;
            if policies.admin_approved {
                client.permitted = Permitted::AdminApproved {
                    profiles: policies.profiles.clone(),
                    permission_sets: policies.permission_sets.clone(),
                };
            }
        }
        _ => {}
    }
}

fn application_of(definition: &Definition) -> Option<&str> {
    match definition {
        Definition::ClientAppOauth(part) => Some(&part.application),
        Definition::ClientAppGlobalOauth(part) => Some(&part.application),
        Definition::ClientAppPolicies(part) => Some(&part.application),
        Definition::ClientAppOauthPolicies(part) => Some(&part.application),
        _ => None,
    }
}

fn check_scopes(names: &[String]) -> Result<(), Problem> {
    match names.iter().find(|name| scopes::from_metadata(name).is_none()) {
        Some(unknown) => Err(Problem::new(format!(
            "In field: commaSeparatedOauthScopes - '{unknown}' is not a valid OAuth scope"
        ))),
        None => Ok(()),
    }
}
