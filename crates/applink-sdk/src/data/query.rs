//! Queries.

use std::collections::VecDeque;

use applink_salesforce::rest::OrgCall;

use crate::data::record::{Page, Record};
use crate::error::Error;
use crate::org::Org;

/// A query that was not sent yet. From [`Data::query`](crate::data::Data::query).
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `send` or `all` is used"]
pub struct Query<'a> {
    org: &'a Org,
    soql: String,
    with_deleted: bool,
    page_size: Option<u16>,
}

impl<'a> Query<'a> {
    pub(super) fn of(org: &'a Org, soql: String) -> Self {
        Self { org, soql, with_deleted: false, page_size: None }
    }

    /// Finds deleted and archived records too.
    pub fn with_deleted(mut self) -> Self {
        self.with_deleted = true;
        self
    }

    /// Asks for pages of this many records; the org takes 200 to 2,000 and treats it as a wish.
    pub fn page_size(mut self, records: u16) -> Self {
        self.page_size = Some(records);
        self
    }

    /// The first page.
    ///
    /// # Errors
    /// [`Error::Org`]: `MALFORMED_QUERY`, `INVALID_FIELD`, `INVALID_TYPE` (also for what the user may not see), ….
    pub async fn send(self) -> Result<Page, Error> {
        page(self.org, &self.call()).await
    }

    /// Every record, fetched page by page while you read.
    pub fn all(self) -> Records<'a> {
        Records { org: self.org, next: Some(self.call()), ready: VecDeque::new() }
    }

    fn call(&self) -> OrgCall {
        let call = if self.with_deleted {
            OrgCall::query_with_deleted(&self.soql)
        } else {
            OrgCall::query(&self.soql)
        };
        match self.page_size {
            Some(size) => call.batch_size(size),
            None => call,
        }
    }
}

/// The records of a query, one after the other. From [`Query::all`].
#[derive(Debug)]
pub struct Records<'a> {
    org: &'a Org,
    /// The page to fetch when nothing is ready.
    next: Option<OrgCall>,
    ready: VecDeque<Record>,
}

impl Records<'_> {
    /// The next record; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Org`] of the page it had to fetch. The page can be asked for again by calling this again.
    pub async fn next(&mut self) -> Result<Option<Record>, Error> {
        while self.ready.is_empty() {
            let Some(call) = &self.next else { return Ok(None) };
            let page = page(self.org, call).await?;
            self.next = page.next().map(OrgCall::query_more);
            self.ready = page.records.into();
        }
        Ok(self.ready.pop_front())
    }

    /// All that are left, in memory.
    ///
    /// # Errors
    /// As [`Records::next`].
    pub async fn collect(mut self) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        while let Some(record) = self.next().await? {
            records.push(record);
        }
        Ok(records)
    }
}

pub(super) async fn page(org: &Org, call: &OrgCall) -> Result<Page, Error> {
    let answer = org.send(call).await?;
    let origin = org.session().org().origin().clone();
    Page::of(answer.page(&origin)?, &origin)
}
