//! `/connections/salesforce/{connection}/apps`.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use super::ClientError;
use super::transport::{Call, Transport, one_segment};
use crate::ids::AppUuid;
use crate::publication::{
    HistoryEntry, PART_APP_REQUEST, PART_METADATA, Publication, PublishRequest, PublishedDocument,
};

/// A deploy in an org may take minutes, and the service answers when it is done.
const DEPLOY: Duration = Duration::from_secs(15 * 60);

/// Apps published into orgs. From [`super::Client::publications`].
#[derive(Clone, Copy)]
pub struct Publications<'a> {
    pub(super) transport: &'a Transport,
}

/// What a publish sends: the request, and the zip with the OpenAPI document and optional metadata.
#[derive(Clone, Debug)]
pub struct Package {
    /// The client name and what else was asked for.
    pub request: PublishRequest,
    /// Zip with `api-spec.yaml` or `api-spec.json` at its root (see [`crate::publication`]).
    pub zip: Vec<u8>,
}

/// The service answers one publication, the public clients' tests a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Published {
    One(Box<Publication>),
    Several(Vec<Publication>),
}

impl Publications<'_> {
    /// Where `app` is published through `connection`.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such connection.
    pub async fn list(&self, connection: &str, app: AppUuid) -> Result<Vec<Publication>, ClientError> {
        let connection = one_segment("connection", connection)?;
        let url = self.transport.url(&["connections", "salesforce", connection, "apps", &app.to_string()]);
        self.transport.fetch(Call::get(url)).await
    }

    /// Starts to remove a published app from the org. It is gone when [`list`](Self::list) no longer has it; until
    /// then its `removal` says how that goes.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such publication.
    pub async fn remove(
        &self,
        connection: &str,
        app: AppUuid,
        client_name: &str,
    ) -> Result<Publication, ClientError> {
        let connection = one_segment("connection", connection)?;
        let client = one_segment("publication", client_name)?;
        let app = app.to_string();
        let url = self.transport.url(&["connections", "salesforce", connection, "apps", &app, client]);
        self.transport.fetch(Call::delete(url)).await
    }

    /// The deploys of one publication, the newest first.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such publication.
    pub async fn history(
        &self,
        connection: &str,
        app: AppUuid,
        client_name: &str,
    ) -> Result<Vec<HistoryEntry>, ClientError> {
        let connection = one_segment("connection", connection)?;
        let client = one_segment("publication", client_name)?;
        let app = app.to_string();
        let segments = ["connections", "salesforce", connection, "apps", &app, client, "history"];
        self.transport.fetch(Call::get(self.transport.url(&segments))).await
    }

    /// One of those deploys, with its document.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::is_not_found`] when there is no such deploy.
    pub async fn document(
        &self,
        connection: &str,
        app: AppUuid,
        client_name: &str,
        number: i64,
    ) -> Result<PublishedDocument, ClientError> {
        let connection = one_segment("connection", connection)?;
        let client = one_segment("publication", client_name)?;
        let (app, number) = (app.to_string(), number.to_string());
        let segments = ["connections", "salesforce", connection, "apps", &app, client, "history", &number];
        self.transport.fetch(Call::get(self.transport.url(&segments))).await
    }

    /// Publishes the app named by [`super::ClientBuilder::app`] and waits until the org has taken it or not.
    ///
    /// It is repeated only when it certainly was not sent.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::Pending`] when the org takes longer than the service waits; 422 with
    /// `problems` when the document can't be published or the org refuses it.
    pub async fn publish(
        &self,
        connection: &str,
        package: &Package,
    ) -> Result<Vec<Publication>, ClientError> {
        let connection = one_segment("connection", connection)?;
        let url = self.transport.url(&["connections", "salesforce", connection, "apps"]);
        let call = Call::post_package(url, package).within(DEPLOY);
        Ok(match self.transport.fetch_when_done(call).await? {
            Some(Published::One(publication)) => vec![*publication],
            Some(Published::Several(publications)) => publications,
            None => Vec::new(),
        })
    }
}

impl Package {
    /// The two parts in the order and with the names every AppLink service knows.
    pub(super) fn form(&self) -> Result<Form, ClientError> {
        let request = serde_json::to_vec(&self.request).map_err(ClientError::Encode)?;
        Ok(Form::new()
            .part(PART_METADATA, blob(self.zip.clone(), "application/zip")?)
            .part(PART_APP_REQUEST, blob(request, "application/json")?))
    }
}

fn blob(bytes: Vec<u8>, mime: &str) -> Result<Part, ClientError> {
    Part::bytes(bytes).file_name("blob").mime_str(mime).map_err(ClientError::Setup)
}

impl std::fmt::Debug for Publications<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Publications")
    }
}
