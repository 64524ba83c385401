//! `/audit` and `/invocations`.

use url::Url;

use super::ClientError;
use super::transport::{Call, Transport};
use crate::audit::AuditEntry;
use crate::mesh_report::InvocationRecord;
use crate::time::Timestamp;

/// What happened. From [`super::Client::audit`]; every call needs an API key or a fresh sign-on.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    pub(super) transport: &'a Transport,
}

impl Audit<'_> {
    /// The newest entries of the add-on, the oldest of them first.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<AuditEntry>, ClientError> {
        self.list_before(None).await
    }

    /// The newest entries that are not after `before`, the oldest of them first: how one pages back. A service that does
    /// not know of pages answers the newest.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list_before(&self, before: Option<Timestamp>) -> Result<Vec<AuditEntry>, ClientError> {
        self.transport.fetch(Call::get(self.page("audit", before)).managing()).await
    }

    /// The newest calls that meshes told in detail, the oldest of them first.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn invocations(&self) -> Result<Vec<InvocationRecord>, ClientError> {
        self.invocations_before(None).await
    }

    /// As [`list_before`](Self::list_before), of calls.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn invocations_before(
        &self,
        before: Option<Timestamp>,
    ) -> Result<Vec<InvocationRecord>, ClientError> {
        self.transport.fetch(Call::get(self.page("invocations", before)).managing()).await
    }

    fn page(&self, noun: &str, before: Option<Timestamp>) -> Url {
        let mut url = self.transport.url(&[noun]);
        if let Some(before) = before {
            url.query_pairs_mut().append_pair("before", &before.to_string());
        }
        url
    }
}

impl std::fmt::Debug for Audit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}
