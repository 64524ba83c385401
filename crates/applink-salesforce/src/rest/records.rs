//! Queries and single records.

use http::{HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{ApiError, OrgError, WireError};
use crate::hosts::OrgOrigin;
use crate::ids::RecordId;
use crate::rest::call::{OrgAnswer, OrgCall, own_url};

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One page of a query's result.
#[derive(Debug)]
pub struct QueryPage {
    /// How many records the whole query has.
    pub total_size: u64,
    /// Whether this is the last page.
    pub done: bool,
    /// Where the next page is.
    pub next: Option<NextRecords>,
    /// This page's records, field order as in the query.
    pub records: Vec<Map<String, Value>>,
}

/// Where the next page of a query is: a path of the org that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRecords(String);

impl NextRecords {
    /// A next-records path or URL of the org, as it stands in an answer (also of a sub-query).
    ///
    /// # Errors
    /// [`OrgError::ForeignOrigin`] when it belongs to another origin.
    pub fn of(text: &str, org: &OrgOrigin) -> Result<Self, OrgError> {
        let url = own_url(org, text)?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self(format!("{}{query}", url.path())))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The record's id.
    pub id: RecordId,
    /// Whether it is new.
    pub created: bool,
}

impl OrgCall {
    /// The first page of a SOQL query.
    pub fn query(soql: &str) -> Self {
        Self::data(Method::GET, "query").query_param("q", soql)
    }

    /// The same, with deleted and archived records.
    pub fn query_with_deleted(soql: &str) -> Self {
        Self::data(Method::GET, "queryAll").query_param("q", soql)
    }

    /// Asks for pages of this size; the org takes 200 to 2,000 and treats it as a wish.
    #[must_use]
    pub fn batch_size(self, records: u16) -> Self {
        let options = HeaderValue::from_str(&format!("batchSize={}", records.clamp(200, 2000)));
        let name = HeaderName::from_static("sforce-query-options");
        match options.ok().map(|value| self.clone().header(name, value)) {
            Some(Ok(call)) => call,
            _ => self,
        }
    }

    /// The page that follows.
    pub fn query_more(next: &NextRecords) -> Self {
        Self::get(next.as_str())
    }

    /// Creates a record of type `sobject` from a JSON object of fields.
    ///
    /// # Errors
    /// [`OrgError::BadName`] when `sobject` is not an API name.
    pub fn create(sobject: &str, fields: &Value) -> Result<Self, OrgError> {
        Self::data(Method::POST, format!("sobjects/{}", api_name("an object's name", sobject)?)).json(fields)
    }

    /// Changes fields of the record with this id.
    ///
    /// # Errors
    /// [`OrgError::BadName`] or [`OrgError::BadId`].
    pub fn update(sobject: &str, id: &str, fields: &Value) -> Result<Self, OrgError> {
        Self::data(Method::PATCH, record_path(sobject, id)?).json(fields)
    }

    /// Reads the record with this id; all fields when none are named.
    ///
    /// # Errors
    /// [`OrgError::BadName`] or [`OrgError::BadId`].
    pub fn read(sobject: &str, id: &str, fields: &[&str]) -> Result<Self, OrgError> {
        for field in fields {
            api_name("a field's name", field)?;
        }
        let call = Self::data(Method::GET, record_path(sobject, id)?);
        Ok(if fields.is_empty() { call } else { call.query_param("fields", fields.join(",")) })
    }

    /// Creates or changes the record whose external id `field` has this value.
    ///
    /// # Errors
    /// [`OrgError::BadName`] for names, and for a value that is empty or can't stand in a path (`.` and `..`).
    pub fn upsert(sobject: &str, field: &str, value: &str, fields: &Value) -> Result<Self, OrgError> {
        let sobject = api_name("an object's name", sobject)?;
        let field = api_name("a field's name", field)?;
        if matches!(value, "" | "." | "..") {
            return Err(OrgError::BadName { role: "an external id's value", text: value.to_owned() });
        }
        let value = utf8_percent_encode(value, SEGMENT);
        Self::data(Method::PATCH, format!("sobjects/{sobject}/{field}/{value}")).json(fields)
    }

    /// Deletes the record with this id.
    ///
    /// # Errors
    /// [`OrgError::BadName`] or [`OrgError::BadId`].
    pub fn delete(sobject: &str, id: &str) -> Result<Self, OrgError> {
        record_path(sobject, id).map(|path| Self::data(Method::DELETE, path))
    }
}

fn record_path(sobject: &str, id: &str) -> Result<String, OrgError> {
    let id: RecordId = id.parse().map_err(OrgError::BadId)?;
    Ok(format!("sobjects/{}/{id}", api_name("an object's name", sobject)?))
}

/// An API name: letters, digits and `_`, a letter first.
fn api_name<'a>(role: &'static str, text: &'a str) -> Result<&'a str, OrgError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(text);
    }
    Err(OrgError::BadName { role, text: text.to_owned() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    total_size: u64,
    done: bool,
    #[serde(default)]
    next_records_url: Option<String>,
    records: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct WireSaved {
    #[serde(default)]
    id: Option<RecordId>,
    success: bool,
    #[serde(default)]
    created: Option<bool>,
    #[serde(default)]
    errors: Vec<WireError>,
}

impl OrgAnswer {
    /// This answer as a page of a query to `org`.
    ///
    /// # Errors
    /// [`OrgError::Shape`] or [`OrgError::Unexpected`]; [`OrgError::ForeignOrigin`] when the next page is said to
    /// be elsewhere.
    pub fn page(&self, org: &OrgOrigin) -> Result<QueryPage, OrgError> {
        let wire: WirePage = self.json()?;
        let next = wire.next_records_url.as_deref().map(|text| NextRecords::of(text, org)).transpose()?;
        Ok(QueryPage { total_size: wire.total_size, done: wire.done, next, records: wire.records })
    }

    /// This answer as the outcome of a create or an upsert.
    ///
    /// # Errors
    /// [`OrgError::Rejected`] when the body says so in spite of the status; [`OrgError::Shape`].
    pub fn saved(&self) -> Result<Saved, OrgError> {
        let status = self.status();
        let wire: WireSaved = self.json()?;
        // Without `created` (before version 46, and on create) the status tells.
        let created = wire.created.unwrap_or(status == http::StatusCode::CREATED);
        match wire.id {
            Some(id) if wire.success => Ok(Saved { id, created }),
            _ if wire.errors.is_empty() => Err(OrgError::Unexpected { status }),
            _ => Err(OrgError::Rejected {
                status,
                errors: wire.errors.into_iter().map(ApiError::from).collect(),
            }),
        }
    }
}
