//! SQL queries.

use std::collections::VecDeque;
use std::sync::Arc;

use applink_salesforce::error::OrgError;
use applink_salesforce::rest::OrgCall;
use futures_util::Stream;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::DataCloud;
use crate::error::{Error, decode};

/// What must be encoded in a segment of a path.
const OF_A_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query that was not sent yet. From [`DataCloud::query`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `send` or `rows` is used"]
pub struct Query<'a> {
    from: DataCloud<'a>,
    sql: String,
}

impl<'a> Query<'a> {
    pub(super) fn of(from: DataCloud<'a>, sql: String) -> Self {
        Self { from, sql }
    }

    /// The first batch.
    ///
    /// # Errors
    /// [`Error::Org`] with what the org says of the SQL; [`Error::NotDataCloud`].
    pub async fn send(self) -> Result<Batch, Error> {
        self.from.batch(&self.call()?).await
    }

    /// Every row, fetched batch by batch while you read: no more than one batch is in memory.
    pub fn rows(self) -> Rows<'a> {
        let next = self.call().map(Some).unwrap_or_default();
        Rows { from: self.from, next, ready: VecDeque::new() }
    }

    fn call(&self) -> Result<OrgCall, Error> {
        Ok(OrgCall::new(Method::POST, "/api/v2/query").json(&json!({"sql": self.sql}))?)
    }
}

/// A batch of rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// Its rows.
    pub rows: Vec<Row>,
    /// The columns, in the order of the query.
    pub columns: Arc<[Column]>,
    /// Whether this is the last batch.
    pub done: bool,
    /// The org's id of the query.
    pub query_id: Option<String>,
    next: Option<String>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name, such as `page__c`.
    pub name: String,
    /// Its SQL type, such as `VARCHAR`, as far as the org says.
    pub kind: Option<String>,
}

/// One row. Column names match without regard to case.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    columns: Arc<[Column]>,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBatch {
    data: Vec<WireRow>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(default)]
    query_id: Option<String>,
    #[serde(default)]
    next_batch_id: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Rows are lists; where the core API answers, each is wrapped.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireRow {
    Plain(Vec<Value>),
    #[serde(rename_all = "camelCase")]
    Wrapped {
        row_data: Vec<Value>,
    },
}

impl Batch {
    pub(super) fn read(body: Value) -> Result<Self, Error> {
        let wire: WireBatch = decode(body)?;
        let columns = in_order(wire.metadata);
        let next = wire.next_batch_id.filter(|id| !id.is_empty() && wire.done != Some(true));
        let rows = wire.data.into_iter().map(|row| {
            let values = match row {
                WireRow::Plain(values) | WireRow::Wrapped { row_data: values } => values,
            };
            Row { columns: Arc::clone(&columns), values }
        });
        Ok(Self {
            rows: rows.collect(),
            done: next.is_none(),
            query_id: wire.query_id,
            columns: Arc::clone(&columns),
            next,
        })
    }

    /// Whatever the org's id is made of, it is one segment of the path. Encoding does not help against `.` and `..`.
    pub(super) fn next_call(&self) -> Result<Option<OrgCall>, Error> {
        let Some(id) = self.next.as_deref() else { return Ok(None) };
        if matches!(id, "." | "..") {
            return Err(OrgError::BadName { role: "the id of a batch", text: id.to_owned() }.into());
        }
        let id = utf8_percent_encode(id, OF_A_SEGMENT);
        Ok(Some(OrgCall::get(format!("/api/v2/query/{id}"))))
    }

    pub(super) fn followed_by_nothing(&self) -> Self {
        Self { rows: Vec::new(), done: true, next: None, ..self.clone() }
    }

    /// Every row as a type of the app's own.
    ///
    /// # Errors
    /// [`Error::Decode`] with the place, such as `[3].page__c`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        decode(Value::Array(self.rows.iter().map(Row::to_json).collect()))
    }
}

/// Metadata is an object; each column says its place in it.
fn in_order(metadata: Map<String, Value>) -> Arc<[Column]> {
    let mut columns: Vec<(u64, Column)> = metadata
        .into_iter()
        .enumerate()
        .map(|(index, (name, about))| {
            let place = about.get("placeInOrder").and_then(Value::as_u64);
            let kind = about.get("type").and_then(Value::as_str).map(str::to_owned);
            (place.unwrap_or(u64::try_from(index).unwrap_or(u64::MAX)), Column { name, kind })
        })
        .collect();
    columns.sort_by_key(|(place, _)| *place);
    columns.into_iter().map(|(_, column)| column).collect()
}

impl Row {
    /// The values, in the order of the columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// A column's value, `null` included; `None` when the query has no such column.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let index = self.columns.iter().position(|known| known.name.eq_ignore_ascii_case(column))?;
        self.values.get(index)
    }

    /// A text; `None` also when it is `null`.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str()
    }

    /// A number; `None` also when it is `null`. Some orgs write decimals as text.
    pub fn number(&self, column: &str) -> Option<f64> {
        let value = self.get(column)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    /// The row as a type of the app's own.
    ///
    /// # Errors
    /// [`Error::Decode`] with the column.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(self.to_json())
    }

    fn to_json(&self) -> Value {
        let names = self.columns.iter().map(|column| column.name.clone());
        Value::Object(names.zip(self.values.iter().cloned()).collect())
    }
}

/// The rows of a query, one after the other. From [`Query::rows`].
#[derive(Debug)]
pub struct Rows<'a> {
    from: DataCloud<'a>,
    /// The batch to fetch when nothing is ready.
    next: Option<OrgCall>,
    ready: VecDeque<Row>,
}

impl<'a> Rows<'a> {
    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Org`] of the batch it had to fetch. The batch can be asked for again by calling this again.
    pub async fn next(&mut self) -> Result<Option<Row>, Error> {
        while self.ready.is_empty() {
            let Some(call) = &self.next else { return Ok(None) };
            let batch = self.from.batch(call).await?;
            self.next = batch.next_call()?;
            self.ready = batch.rows.into();
        }
        Ok(self.ready.pop_front())
    }

    /// The same as a [`Stream`], for who works with those. It ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Row, Error>> + Send + use<'a> {
        futures_util::stream::try_unfold(self, |mut rows| async move {
            Ok(rows.next().await?.map(|row| (row, rows)))
        })
    }

    /// All that are left, in memory.
    ///
    /// # Errors
    /// As [`Rows::next`].
    pub async fn collect(mut self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_in_the_order_of_the_query() {
        let body = json!({"data": [["e1", 2, null]], "done": false, "nextBatchId": "b-1", "queryId": "q", "metadata": {
            "a__c": {"type": "DECIMAL", "placeInOrder": 1, "typeCode": 3},
            "b__c": {"placeInOrder": 2},
            "id__c": {"type": "VARCHAR", "placeInOrder": 0}}});
        let batch = Batch::read(body).unwrap();
        assert_eq!(
            batch.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            ["id__c", "a__c", "b__c"]
        );
        let row = &batch.rows[0];
        assert_eq!(
            (row.text("ID__C"), row.number("a__c"), row.get("b__c")),
            (Some("e1"), Some(2.0), Some(&Value::Null))
        );
        assert!(!batch.done && batch.next_call().unwrap().is_some());
        assert!(batch.followed_by_nothing().next_call().unwrap().is_none());
    }

    #[test]
    fn the_last_batch_has_no_id_or_an_empty_one() {
        for (next, done) in [
            (json!(null), json!(true)),
            (json!(""), json!(true)),
            (json!("x"), json!(true)),
            (json!(""), json!(null)),
        ] {
            let batch =
                Batch::read(json!({"data": [], "nextBatchId": next, "done": done, "metadata": {}})).unwrap();
            assert!(batch.done, "{next} {done}");
        }
        assert!(
            Batch::read(json!({"data": [{"rowData": [1]}], "metadata": {}})).unwrap().rows[0].values()
                == [json!(1)]
        );
        let error = Batch::read(json!({"data": [7]})).unwrap_err();
        assert!(matches!(error, Error::Decode { ref path, .. } if path.starts_with("data[0]")), "{error:?}");
    }

    proptest! {
        #[test]
        fn any_answer_is_a_batch_or_an_error(text in "\\PC{0,40}", n in any::<i64>()) {
            for body in [json!(text), json!({"data": [[text, n]], "metadata": {"a": n, "b": text}, "nextBatchId": text})] {
                if let Ok(batch) = Batch::read(body) {
                    let _ = (batch.next_call(), batch.rows[0].text("a"), batch.decode::<Value>().unwrap());
                }
            }
        }
    }
}
