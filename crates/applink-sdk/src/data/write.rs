//! Creating, changing and deleting single records.

use applink_salesforce::rest::OrgCall;
pub use applink_salesforce::rest::Saved;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::org::Org;

/// Fields on their way into a record; the first one that can't be written as JSON is reported on sending.
#[derive(Debug, Default)]
struct Fields {
    map: Map<String, Value>,
    error: Option<Error>,
}

impl Fields {
    fn set(&mut self, name: String, value: impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => _ = self.map.insert(name, value),
            Err(source) => _ = self.error.get_or_insert(Error::Encode { field: name, source }),
        }
    }

    fn set_all(&mut self, fields: impl Serialize) {
        match serde_json::to_value(fields) {
            Ok(Value::Object(map)) => self.map.extend(map),
            Ok(_) => {
                let source = serde::ser::Error::custom("the fields of a record are not a map or a struct");
                _ = self.error.get_or_insert(Error::Encode { field: "fields".to_owned(), source });
            }
            Err(source) => {
                _ = self.error.get_or_insert(Error::Encode { field: "fields".to_owned(), source });
            }
        }
    }

    fn finish(self) -> Result<Value, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Value::Object(self.map)),
        }
    }
}

macro_rules! field_setters {
    () => {
        /// Sets a field; `serde_json::Value::Null` empties it.
        pub fn field(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
            self.fields.set(name.into(), value);
            self
        }

        /// Sets fields from a map or a struct.
        pub fn fields(mut self, fields: impl Serialize) -> Self {
            self.fields.set_all(fields);
            self
        }
    };
}

/// A record to be created. From [`Data::create`](crate::data::Data::create).
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Create<'a> {
    org: &'a Org,
    sobject: String,
    fields: Fields,
}

impl<'a> Create<'a> {
    pub(super) fn of(org: &'a Org, sobject: String) -> Self {
        Self { org, sobject, fields: Fields::default() }
    }

    field_setters!();

    /// Creates it.
    ///
    /// # Errors
    /// [`Error::Org`]: `REQUIRED_FIELD_MISSING`, `DUPLICATE_VALUE`, ….
    pub async fn send(self) -> Result<Saved, Error> {
        let call = OrgCall::create(&self.sobject, &self.fields.finish()?)?;
        Ok(self.org.send(&call).await?.saved()?)
    }
}

/// A record to be changed. From [`Data::update`](crate::data::Data::update).
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Update<'a> {
    org: &'a Org,
    sobject: String,
    id: String,
    fields: Fields,
}

impl<'a> Update<'a> {
    pub(super) fn of(org: &'a Org, sobject: String, id: String) -> Self {
        Self { org, sobject, id, fields: Fields::default() }
    }

    field_setters!();

    /// Changes it.
    ///
    /// # Errors
    /// [`Error::Org`]: `NOT_FOUND`, `INSUFFICIENT_ACCESS_OR_READONLY`, ….
    pub async fn send(self) -> Result<(), Error> {
        let call = OrgCall::update(&self.sobject, &self.id, &self.fields.finish()?)?;
        self.org.send(&call).await.map(drop)
    }
}

/// A record to be created or changed. From [`Data::upsert`](crate::data::Data::upsert).
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Upsert<'a> {
    org: &'a Org,
    sobject: String,
    field: String,
    value: String,
    only_update: bool,
    fields: Fields,
}

impl<'a> Upsert<'a> {
    pub(super) fn of(org: &'a Org, sobject: String, field: String, value: String) -> Self {
        Self { org, sobject, field, value, only_update: false, fields: Fields::default() }
    }

    field_setters!();

    /// Changes a record that is there, never creates one.
    pub fn only_update(mut self) -> Self {
        self.only_update = true;
        self
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Org`], with [`Ambiguous`](crate::OrgError::Ambiguous) when several records have the value.
    pub async fn send(self) -> Result<Saved, Error> {
        let mut call = OrgCall::upsert(&self.sobject, &self.field, &self.value, &self.fields.finish()?)?;
        if self.only_update {
            call = call.query_param("updateOnly", "true");
        }
        Ok(self.org.send(&call).await?.saved()?)
    }
}

/// A record to be deleted. From [`Data::delete`](crate::data::Data::delete).
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Delete<'a> {
    org: &'a Org,
    sobject: String,
    id: String,
}

impl<'a> Delete<'a> {
    pub(super) fn of(org: &'a Org, sobject: String, id: String) -> Self {
        Self { org, sobject, id }
    }

    /// Deletes it.
    ///
    /// # Errors
    /// [`Error::Org`]: `ENTITY_IS_DELETED`, ….
    pub async fn send(self) -> Result<(), Error> {
        self.org.send(&OrgCall::delete(&self.sobject, &self.id)?).await.map(drop)
    }
}
