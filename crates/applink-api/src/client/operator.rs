//! `/operator`: what an operator sets up, with an operator key.

use serde::de::IgnoredAny;

use super::ClientError;
use super::transport::{Call, Transport, one_segment};
use crate::ids::AddonId;
use crate::operator::{
    AddonInfo, ApiKeyInfo, App, CreateAddon, CreateApiKey, CreateApp, CreateAttachment, CreateExpiringApiKey,
    CreatedApiKey, EraseName, ErasedName, ProvisionedAddon, Removal, RotationKind, SetAppUrl, StartRotation,
    VaultStatus,
};

/// Apps, add-ons and API keys. From [`super::Client::operator`].
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    pub(super) transport: &'a Transport,
}

impl Operator<'_> {
    /// Makes an API key that ends by itself.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_expiring_key(
        &self,
        request: &CreateExpiringApiKey,
    ) -> Result<CreatedApiKey, ClientError> {
        self.post(&["operator", "keys"], request).await
    }

    /// Erases a person's name from the audit log; the log stays whole.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn erase_name(&self, name: &str) -> Result<ErasedName, ClientError> {
        self.post(&["operator", "audit", "erase-name"], &EraseName { name: name.to_owned() }).await
    }

    /// How the vault stands: keys, processes, rotations.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn vault(&self) -> Result<VaultStatus, ClientError> {
        self.transport.fetch(Call::get(self.transport.root_url(&["operator", "vault"]))).await
    }

    /// Begins a rotation of keys.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when one is under way, or there is no other master key to rotate to.
    pub async fn rotate_keys(&self, kind: RotationKind) -> Result<VaultStatus, ClientError> {
        self.post(&["operator", "vault", "rotations"], &StartRotation { kind }).await
    }

    /// Every app the control plane knows.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list_apps(&self) -> Result<Vec<App>, ClientError> {
        self.transport.fetch(Call::get(self.transport.root_url(&["operator", "apps"]))).await
    }

    /// Makes an app known.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is taken.
    pub async fn create_app(&self, request: &CreateApp) -> Result<App, ClientError> {
        self.post(&["operator", "apps"], request).await
    }

    /// Changes where orgs call an app (uuid or name).
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such app.
    pub async fn set_app_url(&self, app: &str, url: &str) -> Result<App, ClientError> {
        let app = one_segment("app", app)?;
        let url_of_app = self.transport.root_url(&["operator", "apps", app, "url"]);
        self.transport.fetch(Call::put(url_of_app, &SetAppUrl { url: url.to_owned() })?).await
    }

    /// Provisions an add-on and attaches it to its first app. The only time the token is shown.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_addon(&self, request: &CreateAddon) -> Result<ProvisionedAddon, ClientError> {
        self.post(&["operator", "addons"], request).await
    }

    /// Attaches an add-on (uuid or name) to another app, with a token of its own.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn attach_addon(
        &self,
        addon: &str,
        request: &CreateAttachment,
    ) -> Result<ProvisionedAddon, ClientError> {
        let addon = one_segment("add-on", addon)?;
        self.post(&["operator", "addons", addon, "attachments"], request).await
    }

    /// Every add-on, with what it is attached to.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list_addons(&self) -> Result<Vec<AddonInfo>, ClientError> {
        self.get(&["operator", "addons"]).await
    }

    /// One add-on (uuid or name).
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such add-on.
    pub async fn addon(&self, addon: &str) -> Result<AddonInfo, ClientError> {
        self.get(&["operator", "addons", one_segment("add-on", addon)?]).await
    }

    /// Removes an attachment of an add-on (uuid or name); its token is void at once.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn detach_addon(&self, addon: &str, attachment: uuid::Uuid) -> Result<(), ClientError> {
        let (addon, attachment) = (one_segment("add-on", addon)?, attachment.to_string());
        let url = self.transport.root_url(&["operator", "addons", addon, "attachments", &attachment]);
        self.transport.fetch_if_any::<IgnoredAny>(Call::delete(url)).await.map(drop)
    }

    /// Takes an add-on (uuid or name) out of use at once; what is in orgs is cleared up in the background.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn destroy_addon(&self, addon: &str) -> Result<Removal, ClientError> {
        let url = self.transport.root_url(&["operator", "addons", one_segment("add-on", addon)?]);
        self.transport.fetch(Call::delete(url)).await
    }

    /// How the removal of an add-on goes, or went.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there was none.
    pub async fn removal(&self, addon: AddonId) -> Result<Removal, ClientError> {
        self.get(&["operator", "removals", &addon.to_string()]).await
    }

    /// Every removal, newest first.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list_removals(&self) -> Result<Vec<Removal>, ClientError> {
        self.get(&["operator", "removals"]).await
    }

    /// Every live API key, without its secret.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list_keys(&self) -> Result<Vec<ApiKeyInfo>, ClientError> {
        self.get(&["operator", "keys"]).await
    }

    /// Makes a key void at once.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such live key.
    pub async fn revoke_key(&self, key: uuid::Uuid) -> Result<(), ClientError> {
        let url = self.transport.root_url(&["operator", "keys", &key.to_string()]);
        self.transport.fetch_if_any::<IgnoredAny>(Call::delete(url)).await.map(drop)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ClientError> {
        self.transport.fetch(Call::get(self.transport.root_url(segments))).await
    }

    /// Makes an API key. The only time the key is shown.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_key(&self, request: &CreateApiKey) -> Result<CreatedApiKey, ClientError> {
        self.post(&["operator", "keys"], request).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        segments: &[&str],
        request: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        self.transport.fetch(Call::post(self.transport.root_url(segments), request)?).await
    }
}

impl std::fmt::Debug for Operator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operator")
    }
}
