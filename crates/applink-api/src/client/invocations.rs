//! `/invocations`: what a mesh asks.

use super::ClientError;
use super::transport::{Call, Transport};
use crate::invocation::{DataActionAuthRequest, InvocationAuthRequest, InvocationVerdict};

/// Whether calls really come from a connected org. From [`super::Client::invocations`].
#[derive(Clone, Copy)]
pub struct Invocations<'a> {
    pub(super) transport: &'a Transport,
}

impl Invocations<'_> {
    /// Asks whether the org's token is genuine and the org connected.
    ///
    /// # Errors
    /// Any [`ClientError`]; 401 or 403 when the answer is no.
    pub async fn authenticate(
        &self,
        request: &InvocationAuthRequest,
    ) -> Result<InvocationVerdict, ClientError> {
        let url = self.transport.url(&["invocations", "authentication"]);
        self.transport.fetch(Call::post(url, request)?.reading()).await
    }

    /// Asks whether a data action is signed with a key of its target.
    ///
    /// # Errors
    /// Any [`ClientError`]; 403 when the answer is no, 409 when an app took that very event minutes ago.
    pub async fn authenticate_data_action(&self, request: &DataActionAuthRequest) -> Result<(), ClientError> {
        let url = self.transport.url(&["data_action_targets", "authenticate"]);
        let _: Option<serde_json::Value> =
            self.transport.fetch_if_any(Call::post(url, request)?.reading()).await?;
        Ok(())
    }
}

impl std::fmt::Debug for Invocations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invocations")
    }
}
