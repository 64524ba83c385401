//! `/connections/datacloud/{connection}/data_action_targets`.

use super::ClientError;
use super::connections::WITH_ORG;
use super::transport::{Call, Transport, one_segment};
use crate::data_action_target::{CreateDataActionTarget, DataActionTarget};

/// Webhooks of a Data Cloud org. From [`super::Client::data_action_targets`].
#[derive(Clone, Copy)]
pub struct DataActionTargets<'a> {
    pub(super) transport: &'a Transport,
    pub(super) connection: &'a str,
}

impl DataActionTargets<'_> {
    /// All of them; none when there is no such connection.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<Vec<DataActionTarget>, ClientError> {
        let connection = one_segment("connection", self.connection)?;
        let path = ["connections", "datacloud", connection, "data_action_targets"];
        self.transport.fetch(Call::get(self.transport.url(&path))).await
    }

    /// One, by API name.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn get(&self, api_name: &str) -> Result<DataActionTarget, ClientError> {
        self.transport.fetch(Call::get(self.url(api_name, None)?)).await
    }

    /// Makes one: `pending` at first.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when the name is in use; 422 when no app is named or the path won't do.
    pub async fn create(&self, request: &CreateDataActionTarget) -> Result<DataActionTarget, ClientError> {
        let connection = one_segment("connection", self.connection)?;
        let path = ["connections", "datacloud", connection, "data_action_targets"];
        self.transport.fetch(Call::post(self.transport.url(&path), request)?.within(WITH_ORG)).await
    }

    /// Has the org make a new signing key; the former one counts for a while.
    ///
    /// # Errors
    /// Any [`ClientError`]; 409 when it is not `created`.
    pub async fn rotate_signing_key(&self, api_name: &str) -> Result<DataActionTarget, ClientError> {
        let url = self.url(api_name, Some("rotate_signing_key"))?;
        self.transport.fetch(Call::post(url, &serde_json::json!({}))?).await
    }

    /// Removes one from the org, and then here.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is none.
    pub async fn remove(&self, api_name: &str) -> Result<DataActionTarget, ClientError> {
        self.transport.fetch(Call::delete(self.url(api_name, None)?).within(WITH_ORG)).await
    }

    fn url(&self, api_name: &str, verb: Option<&str>) -> Result<url::Url, ClientError> {
        let connection = one_segment("connection", self.connection)?;
        let api_name = one_segment("data action target", api_name)?;
        let mut path = vec!["connections", "datacloud", connection, "data_action_targets", api_name];
        path.extend(verb);
        Ok(self.transport.url(&path))
    }
}

impl std::fmt::Debug for DataActionTargets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataActionTargets")
    }
}
