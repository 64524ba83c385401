//! `/keys`.

use serde::de::IgnoredAny;
use uuid::Uuid;

use super::ClientError;
use super::transport::{Call, Transport};
use crate::operator::{ApiKeyInfo, CreateOwnApiKey, CreatedApiKey};

/// API keys of the add-on. From [`super::Client::keys`].
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    pub(super) transport: &'a Transport,
}

impl Keys<'_> {
    /// Those that count.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<ApiKeyInfo>, ClientError> {
        self.transport.fetch(Call::get(self.transport.url(&["keys"])).managing()).await
    }

    /// Makes one of the person who asks. The only time it is shown.
    ///
    /// # Errors
    /// Any [`ClientError`]; 403 when a key asks, 409 when the person has two already.
    pub async fn create(&self, request: CreateOwnApiKey) -> Result<CreatedApiKey, ClientError> {
        self.transport.fetch(Call::post(self.transport.url(&["keys"]), &request)?).await
    }

    /// Makes one void.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn revoke(&self, id: Uuid) -> Result<(), ClientError> {
        let url = self.transport.url(&["keys", &id.to_string()]);
        self.transport.fetch_if_any::<IgnoredAny>(Call::delete(url)).await.map(drop)
    }
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}
