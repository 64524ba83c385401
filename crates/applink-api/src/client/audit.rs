//! `/audit` and `/invocations`.

use super::ClientError;
use super::transport::{Call, Transport};
use crate::audit::AuditEntry;
use crate::mesh_report::InvocationRecord;

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
        self.transport.fetch(Call::get(self.transport.url(&["audit"])).managing()).await
    }

    /// The newest calls that meshes told in detail, the oldest of them first.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn invocations(&self) -> Result<Vec<InvocationRecord>, ClientError> {
        self.transport.fetch(Call::get(self.transport.url(&["invocations"])).managing()).await
    }
}

impl std::fmt::Debug for Audit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}
