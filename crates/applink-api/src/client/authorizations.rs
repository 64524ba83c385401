//! `/authorizations`.

use super::ClientError;
use super::connections::WITH_ORG;
use super::transport::{Call, Transport, one_segment};
use crate::authorization::{
    Authorization, AuthorizeJwtRequest, AuthorizeRequest, RefreshRequest, UpdateAuthorization,
};
use crate::org::OrgType;

/// Stored users. From [`super::Client::authorizations`].
#[derive(Clone, Copy)]
pub struct Authorizations<'a> {
    pub(super) transport: &'a Transport,
}

impl Authorizations<'_> {
    /// All of them, without tokens.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<Authorization>, ClientError> {
        self.transport.fetch(Call::get(self.transport.url(&["authorizations"]))).await
    }

    /// One, by developer name, alias or uuid. To an app (add-on token and [`super::ClientBuilder::app`]) the
    /// answer carries a live access token in `org.user_auth`.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn get(&self, name_or_id: &str) -> Result<Authorization, ClientError> {
        let name = one_segment("authorization", name_or_id)?;
        self.transport.fetch(Call::get(self.transport.url(&["authorizations", name]))).await
    }

    /// Reports that the org refused the access token of the last [`get`](Self::get); the answer carries a
    /// fresh one. The add-on token is enough.
    ///
    /// # Errors
    /// Any [`ClientError`]; 404 or 405 from a service without this route: [`get`](Self::get) again then.
    pub async fn refresh(
        &self,
        name_or_id: &str,
        report: &RefreshRequest,
    ) -> Result<Authorization, ClientError> {
        let name = one_segment("authorization", name_or_id)?;
        let url = self.transport.url(&["authorizations", name, "refresh"]);
        self.transport.fetch(Call::post(url, report)?.reading().within(WITH_ORG)).await
    }

    /// Starts to store a Salesforce user in a browser: the answer is `authorizing`, with a `redirect_uri`.
    ///
    /// Sending it twice is safe: the service answers the same row again while it is `authorizing`.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is in use.
    pub async fn add(&self, request: &AuthorizeRequest) -> Result<Authorization, ClientError> {
        self.add_to(OrgType::SalesforceOrg, request).await
    }

    /// The same with a user of an org of any type.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is in use.
    pub async fn add_to(
        &self,
        org_type: OrgType,
        request: &AuthorizeRequest,
    ) -> Result<Authorization, ClientError> {
        let url = self.transport.url(&["authorizations", org_type.topic()]);
        self.transport.fetch(Call::post(url, request)?.repeatable()).await
    }

    /// Stores a Salesforce user by a signed assertion, without a browser.
    ///
    /// # Errors
    /// Any [`ClientError`]; 422 when the org refuses the assertion.
    pub async fn add_jwt(&self, request: &AuthorizeJwtRequest) -> Result<Authorization, ClientError> {
        self.add_jwt_to(OrgType::SalesforceOrg, request).await
    }

    /// The same with a user of an org of any type.
    ///
    /// # Errors
    /// Any [`ClientError`]; 422 when the org refuses the assertion.
    pub async fn add_jwt_to(
        &self,
        org_type: OrgType,
        request: &AuthorizeJwtRequest,
    ) -> Result<Authorization, ClientError> {
        let url = self.transport.url(&["authorizations", org_type.topic(), "jwt"]);
        self.transport.fetch(Call::post(url, request)?.within(WITH_ORG)).await
    }

    /// Renames an authorization, logs in again without interrupting what runs, or rotates a JWT authorization's key.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the new name is in use; 422 when the org refuses the new credentials.
    pub async fn update(
        &self,
        name_or_id: &str,
        change: &UpdateAuthorization,
    ) -> Result<Authorization, ClientError> {
        let name = one_segment("authorization", name_or_id)?;
        let call = Call::patch(self.transport.url(&["authorizations", name]), change)?;
        self.transport.fetch(call.within(WITH_ORG)).await
    }

    /// Forgets a user's credentials.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn remove(&self, name_or_id: &str) -> Result<(), ClientError> {
        let name = one_segment("authorization", name_or_id)?;
        let call = Call::delete(self.transport.url(&["authorizations", name])).within(WITH_ORG);
        self.transport.fetch_if_any::<serde_json::Value>(call).await.map(drop)
    }
}

impl std::fmt::Debug for Authorizations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorizations")
    }
}
