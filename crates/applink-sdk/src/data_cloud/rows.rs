//! Rows in and out, through the streaming ingestion API.

use http::Method;
use serde::Serialize;

use super::{DataCloud, segment};
use crate::error::Error;

/// The org takes 200 KB at once; this leaves room for the frame around the rows.
const LARGEST_BODY: usize = 195 * 1024;

/// Rows to be sent. From [`DataCloud::upsert`].
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Upsert<'a> {
    from: DataCloud<'a>,
    connector: String,
    object: String,
    rows: Result<Parts, Error>,
}

/// Keys to be deleted. From [`DataCloud::delete`].
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Delete<'a> {
    from: DataCloud<'a>,
    connector: String,
    object: String,
    keys: Result<Parts, Error>,
}

impl<'a> Upsert<'a> {
    pub(super) fn of(from: DataCloud<'a>, connector: String, object: String) -> Self {
        Self { from, connector, object, rows: Ok(Parts::default()) }
    }

    /// Adds a row: an object with every field of the connector's schema, `null` where there is no value.
    pub fn row<T: Serialize + ?Sized>(mut self, row: &T) -> Self {
        self.rows = self.rows.and_then(|mut rows| rows.add(row, &self.object).map(|()| rows));
        self
    }

    /// Adds rows.
    pub fn rows<T: Serialize>(self, rows: impl IntoIterator<Item = T>) -> Self {
        rows.into_iter().fold(self, |upsert, row| upsert.row(&row))
    }

    /// Sends them, in as many requests as their size needs. How many rows the org took; it applies them later. When a
    /// request fails, those before it were taken: sending all of them again does no harm.
    ///
    /// # Errors
    /// [`Error::Org`] with the row the org finds wrong; [`Error::NotDataCloud`]; [`Error::Encode`].
    pub async fn send(self) -> Result<usize, Error> {
        self.rows?.send(self.from, Method::POST, "data", (&self.connector, &self.object)).await
    }
}

impl<'a> Delete<'a> {
    pub(super) fn of(from: DataCloud<'a>, connector: String, object: String) -> Self {
        Self { from, connector, object, keys: Ok(Parts::default()) }
    }

    /// Adds a key.
    pub fn key<T: Serialize + ?Sized>(mut self, key: &T) -> Self {
        self.keys = self.keys.and_then(|mut keys| keys.add(key, &self.object).map(|()| keys));
        self
    }

    /// Adds keys.
    pub fn keys<T: Serialize>(self, keys: impl IntoIterator<Item = T>) -> Self {
        keys.into_iter().fold(self, |delete, key| delete.key(&key))
    }

    /// Sends them. How many keys the org took; it applies them later.
    ///
    /// # Errors
    /// [`Error::Org`]; [`Error::NotDataCloud`]; [`Error::Encode`].
    pub async fn send(self) -> Result<usize, Error> {
        self.keys?.send(self.from, Method::DELETE, "ids", (&self.connector, &self.object)).await
    }
}

/// JSON values, by commas, in parts that each fit a request.
#[derive(Debug, Default)]
struct Parts {
    parts: Vec<Vec<u8>>,
    count: usize,
}

impl Parts {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T, object: &str) -> Result<(), Error> {
        let json = serde_json::to_vec(value)
            .map_err(|source| Error::Encode { field: format!("{object}[{}]", self.count), source })?;
        match self.parts.last_mut().filter(|part| part.len() + json.len() < LARGEST_BODY) {
            Some(part) => {
                part.push(b',');
                part.extend_from_slice(&json);
            }
            None => self.parts.push(json),
        }
        self.count += 1;
        Ok(())
    }

    async fn send(
        self,
        from: DataCloud<'_>,
        method: Method,
        key: &str,
        (connector, object): (&str, &str),
    ) -> Result<usize, Error> {
        let connector = segment("a connector's name", connector)?;
        let object = segment("an object's name", object)?;
        let path = format!("/api/v1/ingest/sources/{connector}/{object}");
        for part in self.parts {
            let mut body = format!("{{\"{key}\":[").into_bytes();
            body.extend_from_slice(&part);
            body.extend_from_slice(b"]}");
            from.ingest(method.clone(), &path, body).await?;
        }
        Ok(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn parts_fit_a_request_and_keep_every_row() {
        let mut parts = Parts::default();
        for n in 0..300 {
            parts.add(&json!({"id": n, "text": "x".repeat(2_000)}), "O").unwrap();
        }
        assert!(parts.parts.len() > 3 && parts.parts.iter().all(|part| part.len() < LARGEST_BODY));
        let rows = parts.parts.iter().flat_map(|part| {
            let text = format!("[{}]", String::from_utf8(part.clone()).unwrap());
            serde_json::from_str::<Vec<Value>>(&text).unwrap()
        });
        assert_eq!(
            rows.map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>(),
            (0..300).collect::<Vec<_>>()
        );
    }
}
