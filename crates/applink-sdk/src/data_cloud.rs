//! SQL and rows of a Data Cloud org. See [`docs::data_cloud`](crate::docs::data_cloud).

mod query;
mod rows;

pub use query::{Batch, Column, Query, Row, Rows};
pub use rows::{Delete, Upsert};

use applink_api::org::OrgType;
use applink_salesforce::rest::OrgCall;
use http::Method;

use crate::error::Error;
use crate::org::Org;

/// SQL and rows of a Data Cloud org. From [`Org::data_cloud`].
#[derive(Clone, Copy, Debug)]
pub struct DataCloud<'a> {
    org: &'a Org,
}

impl<'a> DataCloud<'a> {
    pub(crate) fn of(org: &'a Org) -> Self {
        Self { org }
    }

    /// A SQL query: [`send`](Query::send) for the first batch, [`rows`](Query::rows) for every row.
    pub fn query(self, sql: impl Into<String>) -> Query<'a> {
        Query::of(self, sql.into())
    }

    /// The batch that follows. Of the last batch that is an empty one.
    ///
    /// # Errors
    /// [`Error::Org`]; also when the result is too old, or the org names the batch by an id that is none.
    pub async fn next(self, batch: &Batch) -> Result<Batch, Error> {
        match batch.next_call()? {
            Some(call) => self.batch(&call).await,
            None => Ok(batch.followed_by_nothing()),
        }
    }

    /// Creates rows of an ingestion connector's object, or changes those whose key is there already.
    pub fn upsert(self, connector: impl Into<String>, object: impl Into<String>) -> Upsert<'a> {
        Upsert::of(self, connector.into(), object.into())
    }

    /// Deletes rows by their keys.
    pub fn delete(self, connector: impl Into<String>, object: impl Into<String>) -> Delete<'a> {
        Delete::of(self, connector.into(), object.into())
    }

    async fn batch(self, call: &OrgCall) -> Result<Batch, Error> {
        self.ensure_data_cloud()?;
        Batch::read(self.org.send(call).await?.json()?)
    }

    /// Sends rows or keys; the org takes them in and applies them later.
    async fn ingest(self, method: Method, path: &str, body: Vec<u8>) -> Result<(), Error> {
        self.ensure_data_cloud()?;
        let json = http::HeaderValue::from_static("application/json");
        self.org.send(&OrgCall::new(method, path).bytes(json, body)).await.map(drop)
    }

    /// A Salesforce org's token is no good at a tenant, and its host is none.
    fn ensure_data_cloud(self) -> Result<(), Error> {
        match self.org.session().org_type() {
            OrgType::DataCloudOrg => Ok(()),
            OrgType::SalesforceOrg => Err(Error::NotDataCloud),
        }
    }
}

/// One segment of a path.
fn segment(role: &'static str, text: &str) -> Result<String, Error> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain && !text.is_empty() && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err(applink_salesforce::error::OrgError::BadName { role, text: text.to_owned() }.into())
}
