//! An org's REST API, as one user.
//!
//! A request is an [`OrgCall`], plain data that can be kept and sent again with a fresh token. [`Org::send`]
//! sends it: to the org's own origin only, never across a redirect. [`Org::query`] and its siblings are calls
//! whose answers have a type.

mod call;
mod records;
mod version;

use secrecy::{ExposeSecret, SecretString};

pub use call::{OrgAnswer, OrgCall};
pub use records::{NextRecords, QueryPage, Saved};
pub use version::{ApiVersion, VersionError};

use crate::egress::{OrgEgress, Traffic};
use crate::error::{OrgError, refusal_of};
use crate::hosts::OrgOrigin;

/// Header that correlates a call across systems.
pub const REQUEST_ID: &str = "x-request-id";

/// One org, called as one user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Org {
    egress: OrgEgress,
    origin: OrgOrigin,
    version: ApiVersion,
    access_token: SecretString,
    request_id: Option<String>,
}

impl Org {
    /// The org at `origin`, as the user whose token this is.
    pub fn new(
        egress: OrgEgress,
        origin: OrgOrigin,
        version: ApiVersion,
        access_token: SecretString,
    ) -> Self {
        Self { egress, origin, version, access_token, request_id: None }
    }

    /// Sends this id as `x-request-id` with every call.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The org's own URL.
    pub fn origin(&self) -> &OrgOrigin {
        &self.origin
    }

    /// The API version calls are made with.
    pub fn version(&self) -> &ApiVersion {
        &self.version
    }

    /// The token calls are made with.
    pub fn access_token(&self) -> &SecretString {
        &self.access_token
    }

    /// Sends one call. The answer is a success (2xx).
    ///
    /// # Errors
    /// [`OrgError`]; [`OrgError::SessionExpired`] on 401, [`OrgError::ForeignOrigin`] when the call names
    /// another origin than the org's (nothing is sent then).
    pub async fn send(&self, call: &OrgCall) -> Result<OrgAnswer, OrgError> {
        let url = call.url(&self.origin, &self.version)?;
        let client = self.egress.client(&self.origin, Traffic::Rest);
        let mut request = client.request(call.method().clone(), url).headers(call.headers().clone());
        request = request.bearer_auth(self.access_token.expose_secret());
        if let Some(id) = &self.request_id {
            request = request.header(REQUEST_ID, id);
        }
        if let Some((content_type, body)) = call.body() {
            request = request.header(http::header::CONTENT_TYPE, content_type).body(body.clone());
        }
        let answer = self.egress.send(self.origin.authority(), Traffic::Rest, request).await?;
        if answer.status.is_success() { Ok(OrgAnswer::from(answer)) } else { Err(refusal_of(&answer)) }
    }

    /// One page of a SOQL query.
    ///
    /// # Errors
    /// [`OrgError`]: `MALFORMED_QUERY`, `INVALID_FIELD`, `INVALID_TYPE` (also for what the user may not see), ….
    pub async fn query(&self, soql: &str) -> Result<QueryPage, OrgError> {
        self.send(&OrgCall::query(soql)).await?.page(&self.origin)
    }

    /// The page that follows.
    ///
    /// # Errors
    /// [`OrgError`]; `INVALID_QUERY_LOCATOR` when it is too old.
    pub async fn query_more(&self, next: &NextRecords) -> Result<QueryPage, OrgError> {
        self.send(&OrgCall::query_more(next)).await?.page(&self.origin)
    }

    /// Every record of a query, page by page. Holds all of them in memory.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn query_all(
        &self,
        soql: &str,
    ) -> Result<Vec<serde_json::Map<String, serde_json::Value>>, OrgError> {
        let mut page = self.query(soql).await?;
        let mut records = std::mem::take(&mut page.records);
        while let Some(next) = page.next {
            page = self.query_more(&next).await?;
            records.append(&mut page.records);
        }
        Ok(records)
    }

    /// Creates a record.
    ///
    /// # Errors
    /// [`OrgError`]: `REQUIRED_FIELD_MISSING`, `DUPLICATE_VALUE`, ….
    pub async fn create(&self, sobject: &str, fields: &serde_json::Value) -> Result<Saved, OrgError> {
        self.send(&OrgCall::create(sobject, fields)?).await?.saved()
    }

    /// Changes fields of a record.
    ///
    /// # Errors
    /// [`OrgError`]: `NOT_FOUND`, `INSUFFICIENT_ACCESS_OR_READONLY`, ….
    pub async fn update(&self, sobject: &str, id: &str, fields: &serde_json::Value) -> Result<(), OrgError> {
        self.send(&OrgCall::update(sobject, id, fields)?).await.map(drop)
    }

    /// Creates the record whose external id field has this value, or changes it when there is one.
    ///
    /// # Errors
    /// [`OrgError`]; [`OrgError::Ambiguous`] when several records have the value.
    pub async fn upsert(
        &self,
        sobject: &str,
        field: &str,
        value: &str,
        fields: &serde_json::Value,
    ) -> Result<Saved, OrgError> {
        self.send(&OrgCall::upsert(sobject, field, value, fields)?).await?.saved()
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`OrgError`]: `ENTITY_IS_DELETED`, ….
    pub async fn delete(&self, sobject: &str, id: &str) -> Result<(), OrgError> {
        self.send(&OrgCall::delete(sobject, id)?).await.map(drop)
    }

    /// The newest API version the org serves.
    ///
    /// # Errors
    /// [`OrgError`]; [`OrgError::Unexpected`] when it lists none.
    pub async fn newest_version(&self) -> Result<ApiVersion, OrgError> {
        let answer = self.send(&OrgCall::get("/services/data")).await?;
        version::newest(&answer)
    }
}
