//! `/webhooks`.

use uuid::Uuid;

use super::ClientError;
use super::transport::{Call, Transport};
use crate::webhook::{
    CreateWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookDelivery, WebhookWithSecret,
};

/// Endpoints that are told what happens. From [`super::Client::webhooks`]; every call needs an API key.
#[derive(Clone, Copy)]
pub struct Webhooks<'a> {
    pub(super) transport: &'a Transport,
}

impl Webhooks<'_> {
    /// All of them.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<Webhook>, ClientError> {
        self.transport.fetch(Call::get(self.transport.url(&["webhooks"])).managing()).await
    }

    /// One.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn get(&self, id: Uuid) -> Result<Webhook, ClientError> {
        self.transport.fetch(Call::get(self.url(id, &[])).managing()).await
    }

    /// Makes one. The only time its secret is shown, but for [`Webhooks::rotate_secret`].
    ///
    /// # Errors
    /// Any [`ClientError`]; 422 when the URL or an event type won't do.
    pub async fn create(&self, request: &CreateWebhook) -> Result<WebhookWithSecret, ClientError> {
        self.transport.fetch(Call::post(self.transport.url(&["webhooks"]), request)?).await
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn update(&self, id: Uuid, request: &UpdateWebhook) -> Result<Webhook, ClientError> {
        self.transport.fetch(Call::patch(self.url(id, &[]), request)?).await
    }

    /// Removes one, with what is still to be delivered to it.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn remove(&self, id: Uuid) -> Result<Webhook, ClientError> {
        self.transport.fetch(Call::delete(self.url(id, &[]))).await
    }

    /// Gives it a new secret; the former one signs too for a while.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn rotate_secret(
        &self,
        id: Uuid,
        request: RotateSecret,
    ) -> Result<WebhookWithSecret, ClientError> {
        self.transport.fetch(Call::post(self.url(id, &["rotate-secret"]), &request)?).await
    }

    /// Sends it a `webhook.test` event; [`Webhooks::deliveries`] tells what came of it.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when it is switched off.
    pub async fn test(&self, id: Uuid) -> Result<WebhookDelivery, ClientError> {
        self.transport.fetch(Call::post(self.url(id, &["test"]), &serde_json::json!({}))?).await
    }

    /// The newest deliveries with their attempts, newest first.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn deliveries(&self, id: Uuid) -> Result<Vec<WebhookDelivery>, ClientError> {
        self.transport.fetch(Call::get(self.url(id, &["deliveries"])).managing()).await
    }

    fn url(&self, id: Uuid, further: &[&str]) -> url::Url {
        let id = id.to_string();
        let mut segments = vec!["webhooks", &id];
        segments.extend(further);
        self.transport.url(&segments)
    }
}

impl std::fmt::Debug for Webhooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}
