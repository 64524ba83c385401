//! `/connections`.

use std::time::Duration;

use super::ClientError;
use super::transport::{Call, Transport, one_segment};
use crate::connection::{ConnectJwtRequest, ConnectRequest, Connection, UpdateConnection};
use crate::org::OrgType;

/// The service itself waits for an org here.
pub(super) const WITH_ORG: Duration = Duration::from_secs(60);

/// Orgs that trust the add-on. From [`super::Client::connections`].
#[derive(Clone, Copy)]
pub struct Connections<'a> {
    pub(super) transport: &'a Transport,
}

impl Connections<'_> {
    /// All of them.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<Connection>, ClientError> {
        self.transport.fetch(Call::get(self.transport.url(&["connections"]))).await
    }

    /// One, by name or uuid.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn get(&self, name_or_id: &str) -> Result<Connection, ClientError> {
        let name = one_segment("connection", name_or_id)?;
        self.transport.fetch(Call::get(self.transport.url(&["connections", name]))).await
    }

    /// Starts to connect a Salesforce org in a browser: the answer is `connecting`, with a `redirect_uri`.
    ///
    /// Sending it twice is safe: the service answers the same row again while it is `connecting`.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is in use.
    pub async fn connect(&self, request: &ConnectRequest) -> Result<Connection, ClientError> {
        self.connect_to(OrgType::SalesforceOrg, request).await
    }

    /// The same with an org of any type.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is in use.
    pub async fn connect_to(
        &self,
        org_type: OrgType,
        request: &ConnectRequest,
    ) -> Result<Connection, ClientError> {
        let url = self.transport.url(&["connections", org_type.topic()]);
        self.transport.fetch(Call::post(url, request)?.repeatable()).await
    }

    /// Connects a Salesforce org by a signed assertion, without a browser.
    ///
    /// # Errors
    /// Any [`ClientError`]; 422 when the org refuses the assertion.
    pub async fn connect_jwt(&self, request: &ConnectJwtRequest) -> Result<Connection, ClientError> {
        let url = self.transport.url(&["connections", "salesforce", "jwt"]);
        self.transport.fetch(Call::post(url, request)?.within(WITH_ORG)).await
    }

    /// Renames a connection, logs in again without interrupting what runs, or rotates a JWT connection's key.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the new name is in use; 422 when the org refuses the new credentials.
    pub async fn update(
        &self,
        name_or_id: &str,
        change: &UpdateConnection,
    ) -> Result<Connection, ClientError> {
        let name = one_segment("connection", name_or_id)?;
        let call = Call::patch(self.transport.url(&["connections", name]), change)?;
        self.transport.fetch(call.within(WITH_ORG)).await
    }

    /// Ends the trust. The answer, when there is one, is the connection as it is now.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn disconnect(&self, name_or_id: &str) -> Result<Option<Connection>, ClientError> {
        let name = one_segment("connection", name_or_id)?;
        let call = Call::delete(self.transport.url(&["connections", name])).within(WITH_ORG);
        self.transport.fetch_if_any(call).await
    }
}

impl std::fmt::Debug for Connections<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections")
    }
}
