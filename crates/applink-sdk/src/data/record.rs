//! What a query answers.

use applink_salesforce::OrgOrigin;
use applink_salesforce::rest::{NextRecords, QueryPage};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, decode};

/// One page of records.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// How many records the whole query has.
    pub total_size: u64,
    /// Whether this is the last page.
    pub done: bool,
    /// This page's records.
    pub records: Vec<Record>,
    next: Option<NextRecords>,
}

/// One record, with everything the org sent and in its order. Field names match without regard to case.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    object_type: String,
    url: Option<String>,
    fields: Vec<(String, Field)>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// A value as the org sent it, `null` included; a compound field (an address, a location) is an object.
    Value(Value),
    /// A parent: `Owner` of `SELECT Owner.Name …`.
    Record(Box<Record>),
    /// Children: `OpportunityLineItems` of `SELECT (SELECT Id FROM OpportunityLineItems) …`. No children at all
    /// come as `null`.
    Children(Box<Page>),
}

impl Page {
    pub(super) fn of(page: QueryPage, org: &OrgOrigin) -> Result<Self, Error> {
        let records = page.records.into_iter().map(|row| Record::of(row, org)).collect::<Result<_, _>>()?;
        Ok(Self { total_size: page.total_size, done: page.done, records, next: page.next })
    }

    /// Where the next page is.
    pub(super) fn next(&self) -> Option<&NextRecords> {
        self.next.as_ref()
    }

    pub(super) fn followed_by_nothing(&self) -> Self {
        Self { total_size: self.total_size, done: true, records: Vec::new(), next: None }
    }

    /// Every record as a type of the app's own.
    ///
    /// # Errors
    /// [`Error::Decode`] with the place, such as `[3].Name`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        decode(Value::Array(self.records.iter().map(Record::to_json).collect()))
    }
}

impl Record {
    fn of(row: Map<String, Value>, org: &OrgOrigin) -> Result<Self, Error> {
        let mut record =
            Self { object_type: String::new(), url: None, fields: Vec::with_capacity(row.len()) };
        for (name, value) in row {
            if name == "attributes" {
                record.set_attributes(&value);
            } else {
                record.fields.push((name, Field::of(value, org)?));
            }
        }
        Ok(record)
    }

    fn set_attributes(&mut self, attributes: &Value) {
        let text = |key: &str| attributes.get(key).and_then(Value::as_str).map(str::to_owned);
        self.object_type = text("type").unwrap_or_default();
        self.url = text("url");
    }

    /// `Account`, …; `AggregateResult` for grouped queries.
    pub fn object_type(&self) -> &str {
        &self.object_type
    }

    /// The record's path in the REST API, when it has one.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The record's id, when the query asked for it.
    pub fn id(&self) -> Option<&str> {
        self.text("Id")
    }

    /// A field, `null` included; `None` when the query didn't ask for it.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| field)
    }

    /// A field's JSON value, when it is one (and not a record or a page).
    pub fn value(&self, name: &str) -> Option<&Value> {
        match self.get(name) {
            Some(Field::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// A text field; `None` also when it is `null`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A number field; `None` also when it is `null`.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    /// A check box; `None` also when it is `null`.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// A parent; `None` also when there is none.
    pub fn record(&self, name: &str) -> Option<&Record> {
        match self.get(name) {
            Some(Field::Record(record)) => Some(record),
            _ => None,
        }
    }

    /// Children on their first page; `None` also when there are none.
    pub fn children(&self, name: &str) -> Option<&Page> {
        match self.get(name) {
            Some(Field::Children(page)) => Some(page),
            _ => None,
        }
    }

    /// Names and fields, in the org's order and spelling.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field))
    }

    /// The record as a type of the app's own. Parents are objects, children arrays of objects.
    ///
    /// # Errors
    /// [`Error::Decode`] with the place, such as `Owner.Name`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(self.to_json())
    }

    /// The record as JSON, without its `attributes`. Parents are objects, children arrays of objects.
    pub fn to_json(&self) -> Value {
        Value::Object(self.fields.iter().map(|(name, field)| (name.clone(), field.to_json())).collect())
    }
}

/// The shape of children inside a record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireChildren {
    total_size: u64,
    done: bool,
    #[serde(default)]
    next_records_url: Option<String>,
    records: Vec<Map<String, Value>>,
}

impl Field {
    fn of(value: Value, org: &OrgOrigin) -> Result<Self, Error> {
        let Value::Object(object) = value else { return Ok(Self::Value(value)) };
        if object.contains_key("attributes") {
            return Ok(Self::Record(Box::new(Record::of(object, org)?)));
        }
        let is_page = ["totalSize", "done", "records"].iter().all(|key| object.contains_key(*key));
        if !is_page {
            return Ok(Self::Value(Value::Object(object)));
        }
        let wire: WireChildren = decode(Value::Object(object))?;
        let next = wire.next_records_url.map(|url| NextRecords::of(&url, org)).transpose()?;
        let page = QueryPage { total_size: wire.total_size, done: wire.done, next, records: wire.records };
        Ok(Self::Children(Box::new(Page::of(page, org)?)))
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Record(record) => record.to_json(),
            Self::Children(page) => Value::Array(page.records.iter().map(Record::to_json).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use applink_salesforce::error::OrgError;

    use super::*;

    fn record(json: &str) -> Result<Record, Error> {
        let org = OrgOrigin::vouched_for("https://acme.my.salesforce.com").unwrap();
        Record::of(serde_json::from_str(json).unwrap(), &org)
    }

    const DEAL: &str = r#"{"attributes":{"type":"Opportunity","url":"/services/data/v66.0/sobjects/Opportunity/006"},
        "Id":"006","Name":"","Amount":0,"IsClosed":false,"NextStep":null,
        "BillingAddress":{"city":"Paris","street":null},
        "Owner":{"attributes":{"type":"User"},"Name":"Guy"},
        "OpportunityLineItems":{"totalSize":1,"done":true,"records":[{"attributes":{"type":"OpportunityLineItem"},"Quantity":2.5}]},
        "Contacts":null}"#;

    #[test]
    fn nothing_is_lost_and_case_does_not_matter() {
        let deal = record(DEAL).unwrap();
        assert_eq!(deal.object_type(), "Opportunity");
        assert_eq!(deal.text("NAME"), Some(""));
        assert_eq!(deal.number("amount"), Some(0.0));
        assert_eq!(deal.boolean("isclosed"), Some(false));
        assert_eq!(deal.get("nextStep"), Some(&Field::Value(Value::Null)));
        assert_eq!(deal.get("Missing"), None);
        assert_eq!(deal.value("BillingAddress").unwrap()["city"], "Paris");
        assert_eq!(deal.record("owner").unwrap().text("name"), Some("Guy"));
        assert_eq!(deal.children("opportunitylineitems").unwrap().records[0].number("Quantity"), Some(2.5));
        assert_eq!(deal.children("Contacts"), None);
        let names: Vec<&str> = deal.fields().map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["Id", "Name", "Amount"]);
    }

    #[test]
    fn a_type_that_does_not_fit_is_named_by_its_place() {
        #[derive(Deserialize, Debug)]
        #[serde(rename_all = "PascalCase")]
        struct Deal {
            #[expect(dead_code, reason = "only its decoding matters")]
            opportunity_line_items: Vec<Line>,
        }
        #[derive(Deserialize, Debug)]
        #[serde(rename_all = "PascalCase")]
        struct Line {
            #[expect(dead_code, reason = "only its decoding matters")]
            quantity: u8,
        }
        let error = record(DEAL).unwrap().decode::<Deal>().unwrap_err();
        assert!(
            matches!(&error, Error::Decode { path, .. } if path == "OpportunityLineItems[0].Quantity"),
            "{error:?}"
        );
    }

    #[test]
    fn children_elsewhere_are_refused() {
        let foreign = r#"{"Lines":{"totalSize":9,"done":false,"nextRecordsUrl":"https://evil.example/q","records":[]}}"#;
        assert!(matches!(record(foreign), Err(Error::Org(OrgError::ForeignOrigin { .. }))));
    }
}
