//! Queries and records. See [`docs::data`](crate::docs::data).

mod query;
mod record;
mod write;

pub use query::{Query, Records};
pub use record::{Field, Page, Record};
pub use write::{Create, Delete, Saved, Update, Upsert};

use applink_salesforce::rest::OrgCall;

use crate::error::Error;
use crate::org::Org;

/// Queries and records of an org. From [`Org::data`].
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    org: &'a Org,
}

impl<'a> Data<'a> {
    pub(crate) fn of(org: &'a Org) -> Self {
        Self { org }
    }

    /// A SOQL query: [`send`](Query::send) for one page, [`all`](Query::all) for every record.
    pub fn query(self, soql: impl Into<String>) -> Query<'a> {
        Query::of(self.org, soql.into())
    }

    /// The page that follows. Of the last page that is an empty page.
    ///
    /// # Errors
    /// [`Error::Org`]; `INVALID_QUERY_LOCATOR` when the page is too old.
    pub async fn query_more(self, page: &Page) -> Result<Page, Error> {
        let Some(next) = page.next() else { return Ok(page.followed_by_nothing()) };
        query::page(self.org, &OrgCall::query_more(next)).await
    }

    /// Creates a record of this type.
    pub fn create(self, sobject: impl Into<String>) -> Create<'a> {
        Create::of(self.org, sobject.into())
    }

    /// Changes fields of the record with this id.
    pub fn update(self, sobject: impl Into<String>, id: impl Into<String>) -> Update<'a> {
        Update::of(self.org, sobject.into(), id.into())
    }

    /// Creates the record whose external id field has this value, or changes the one that has it.
    pub fn upsert(
        self,
        sobject: impl Into<String>,
        field: impl Into<String>,
        value: impl Into<String>,
    ) -> Upsert<'a> {
        Upsert::of(self.org, sobject.into(), field.into(), value.into())
    }

    /// Deletes the record with this id.
    pub fn delete(self, sobject: impl Into<String>, id: impl Into<String>) -> Delete<'a> {
        Delete::of(self.org, sobject.into(), id.into())
    }
}
