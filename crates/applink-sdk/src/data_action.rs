//! Data actions: what Data Cloud tells an app when rows change. See [`docs::data_cloud`](crate::docs::data_cloud).
//!
//! 1. Whoever sends it signed it: the mesh, or the control plane on our behalf, says so; anything else is refused.
//! 2. The body is read, the changed values in it too (they come as JSON inside of text).

#[cfg(feature = "axum")]
mod extract;

#[cfg(feature = "axum")]
pub use extract::DataActionError;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::{Error, decode};

/// One request of Data Cloud: some events of one data action target.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DataActions {
    /// When Data Cloud put it together.
    #[serde(default)]
    pub creation_date_time: Option<String>,
    /// The events.
    pub events: Vec<DataActionEvent>,
    /// The shapes of the events' values, by [`DataActionEvent::schema_version`].
    #[serde(default)]
    pub schemas: Vec<DataActionSchema>,
}

/// The shape of events' values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DataActionSchema {
    /// Its id.
    pub schema_id: String,
    /// The schema itself, as Data Cloud writes it.
    pub schema: String,
}

/// A row changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DataActionEvent {
    /// The data action's API name.
    #[serde(default)]
    pub action_developer_name: String,
    /// What happened to the row.
    pub event_prompt: Prompt,
    /// When it happened.
    #[serde(default)]
    pub event_creation_date_time: Option<String>,
    /// When it was sent.
    #[serde(default)]
    pub event_publish_date_time: Option<String>,
    /// `CDCEvent` for changes of rows.
    #[serde(default)]
    pub event_type: String,
    /// The same for every try to deliver this event: keep it to notice repeats.
    pub event_uuid: String,
    /// Which of [`DataActions::schemas`] is its shape.
    #[serde(rename = "EventSchemaVersion", default)]
    pub schema_version: Option<String>,
    /// Its place in the org's stream of events.
    #[serde(default, deserialize_with = "text")]
    pub offset: Option<String>,
    /// The same, for asking for a replay.
    #[serde(default, deserialize_with = "text")]
    pub replay_id: Option<String>,
    /// The object whose row changed, such as `ClickEvent__dlm`.
    #[serde(default)]
    pub source_object_developer_name: String,
    /// The row as it is now; empty when it was deleted.
    #[serde(rename = "PayloadCurrentValue", default, deserialize_with = "row")]
    pub current: Map<String, Value>,
    /// The row as it was; empty when it is new.
    #[serde(rename = "PayloadPrevValue", default, deserialize_with = "row")]
    pub previous: Map<String, Value>,
    /// What Data Cloud says besides.
    #[serde(rename = "PayloadMetadata", default)]
    pub metadata: Value,
}

/// What happened to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompt {
    /// It is new.
    Insert,
    /// Some of its values are others.
    Update,
    /// It is gone.
    Delete,
    /// A word this version does not know.
    Other(String),
}

/// A value that is another than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangedValue<'a> {
    /// The column.
    pub name: &'a str,
    /// What it was; none when the row is new.
    pub before: Option<&'a Value>,
    /// What it is; none when the row is gone.
    pub now: Option<&'a Value>,
}

impl DataActions {
    /// Reads a body, changed values and all. Whether it is signed is not its question: the extractor of this name
    /// (feature `axum`) answers that.
    ///
    /// # Errors
    /// [`Error::Decode`] with the place.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|source| Error::Decode { path: "the body".to_owned(), source })?;
        decode(value)
    }
}

impl DataActionEvent {
    /// The columns whose values are others than before, by name.
    pub fn changed(&self) -> Vec<ChangedValue<'_>> {
        let mut names: Vec<&str> =
            self.current.keys().chain(self.previous.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| ChangedValue { name, before: self.previous.get(name), now: self.current.get(name) })
            .filter(|value| value.before != value.now)
            .collect()
    }

    /// The row as it is now, as a type of the app's own.
    ///
    /// # Errors
    /// [`Error::Decode`] with the column.
    pub fn current_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(Value::Object(self.current.clone()))
    }

    /// The row as it was, as a type of the app's own.
    ///
    /// # Errors
    /// [`Error::Decode`] with the column.
    pub fn previous_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(Value::Object(self.previous.clone()))
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.to_ascii_uppercase().as_str() {
            "INSERT" => Self::Insert,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            _ => Self::Other(word),
        })
    }
}

/// An object, or a text that holds one; nothing and an empty text are an empty row.
fn row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    use serde::de::Error as _;
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Map::new()),
        Value::Object(row) => Ok(row),
        Value::String(text) if text.trim().is_empty() => Ok(Map::new()),
        Value::String(text) => match serde_json::from_str(&text).map_err(D::Error::custom)? {
            Value::Object(row) => Ok(row),
            Value::Null => Ok(Map::new()),
            _ => Err(D::Error::custom("expected the text of a JSON object")),
        },
        _ => Err(D::Error::custom("expected a JSON object or its text")),
    }
}

/// A text, or a number as one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn body(prompt: &str, current: Value, previous: Value) -> Vec<u8> {
        json!({"creationDateTime": "2026-01-01T00:00:00Z", "count": 1,
            "schemas": [{"schemaId": "s", "schema": "{}"}],
            "events": [{"ActionDeveloperName": "OnClick", "EventPrompt": prompt, "EventType": "CDCEvent", "EventUuid": "u",
                "EventSchemaVersion": "s", "Offset": 7, "ReplayId": "8", "SourceObjectDeveloperName": "ClickEvent__dlm",
                "PayloadCurrentValue": current, "PayloadPrevValue": previous, "PayloadMetadata": "{}"}]})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn the_values_that_changed_are_told() {
        let body = body(
            "UPDATE",
            json!("{\"id__c\":\"e1\",\"page__c\":\"/b\",\"n__c\":1}"),
            json!("{\"id__c\":\"e1\",\"page__c\":\"/a\",\"n__c\":1}"),
        );
        let actions = DataActions::from_json(&body).unwrap();
        let event = &actions.events[0];
        assert_eq!(
            (&event.event_prompt, event.offset.as_deref(), event.replay_id.as_deref()),
            (&Prompt::Update, Some("7"), Some("8"))
        );
        let changed = event.changed();
        assert_eq!(
            changed,
            [ChangedValue { name: "page__c", before: Some(&json!("/a")), now: Some(&json!("/b")) }]
        );
        #[derive(Deserialize)]
        struct Click {
            #[serde(rename = "page__c")]
            page: String,
        }
        assert_eq!(event.current_as::<Click>().unwrap().page, "/b");
        assert_eq!(event.previous_as::<Click>().unwrap().page, "/a");
    }

    #[test]
    fn a_new_row_was_nothing_and_a_deleted_one_is_nothing() {
        let new = DataActions::from_json(&body("INSERT", json!("{\"a\":1}"), json!(""))).unwrap();
        assert_eq!(new.events[0].changed()[0].before, None);
        let gone = DataActions::from_json(&body("delete", json!(null), json!({"a": 1}))).unwrap();
        assert_eq!((&gone.events[0].event_prompt, gone.events[0].current.len()), (&Prompt::Delete, 0));
        let other = DataActions::from_json(&body("MERGE", json!(""), json!(""))).unwrap();
        assert_eq!(other.events[0].event_prompt, Prompt::Other("MERGE".to_owned()));
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        for (bad, place) in [
            (b"nonsense".to_vec(), "the body"),
            (b"{}".to_vec(), "."),
            (body("INSERT", json!("[1]"), json!("")), "events[0].PayloadCurrentValue"),
            (body("INSERT", json!("{"), json!("")), "events[0].PayloadCurrentValue"),
            (body("INSERT", json!(7), json!("")), "events[0].PayloadCurrentValue"),
        ] {
            match DataActions::from_json(&bad).unwrap_err() {
                Error::Decode { path, .. } => assert_eq!(path, place),
                other => panic!("{other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = DataActions::from_json(&bytes);
            if let Ok(actions) = DataActions::from_json(&body(&text, json!(text), json!({"a": text}))) {
                let _ = actions.events[0].changed();
            }
        }
    }
}
