//! Steps 2 and 3: Data Cloud tells of the click, and the app reacts.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use applink_sdk::data_action::{DataActionEvent, DataActions, Prompt};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;

/// So many looks at one product are interest.
const LOOKS: usize = 3;

/// Who looked at what how often.
#[derive(Debug, Default)]
pub struct Interest {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By visitor and product.
    looks: BTreeMap<(String, String), usize>,
    /// Events that were counted: Data Cloud may send one again. An app that is more than a sample keeps them where they
    /// outlive it, and not for ever.
    events: HashSet<String>,
}

/// The part of a row that matters here.
#[derive(Deserialize)]
struct Look {
    #[serde(rename = "visitor__c")]
    visitor: String,
    #[serde(rename = "product__c")]
    product: Option<String>,
}

impl Interest {
    /// Counts an event once. Whether it was the look that makes interest.
    pub fn count(&self, event: &DataActionEvent) -> bool {
        let Ok(Look { visitor, product: Some(product) }) = event.current_as::<Look>() else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if event.event_prompt != Prompt::Insert || !seen.events.insert(event.event_uuid.clone()) {
            return false;
        }
        let looks = seen.looks.entry((visitor, product)).or_default();
        *looks += 1;
        *looks == LOOKS
    }

    fn shown(&self) -> Value {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let interested = seen.looks.iter().filter(|(_, looks)| **looks >= LOOKS);
        interested
            .map(
                |((visitor, product), looks)| json!({"visitor": visitor, "product": product, "looks": looks}),
            )
            .collect()
    }
}

/// `POST /clicks`: only what Data Cloud signed comes so far.
pub async fn react(State(app): State<App>, actions: DataActions) -> StatusCode {
    for event in &actions.events {
        if app.interest.count(event) {
            tracing::info!(visitor = %event.current["visitor__c"], product = %event.current["product__c"], "somebody is interested");
        }
    }
    StatusCode::NO_CONTENT
}

/// `GET /api/interested`.
pub async fn interested(State(app): State<App>) -> Json<Value> {
    Json(app.interest.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(uuid: &str, prompt: &str) -> DataActionEvent {
        let body = json!({"events": [{"EventPrompt": prompt, "EventUuid": uuid,
            "PayloadCurrentValue": "{\"visitor__c\":\"ada\",\"product__c\":\"EDGE\"}"}]});
        DataActions::from_json(body.to_string().as_bytes()).unwrap().events.remove(0)
    }

    #[test]
    fn the_third_look_is_interest_and_no_event_counts_twice() {
        let interest = Interest::default();
        let counted: Vec<bool> =
            ["a", "a", "b", "b", "c", "d"].map(|uuid| interest.count(&event(uuid, "INSERT"))).into();
        assert_eq!(counted, [false, false, false, false, true, false]);
        assert!(!interest.count(&event("e", "UPDATE")));
        assert_eq!(interest.shown(), json!([{"visitor": "ada", "product": "EDGE", "looks": 4}]));
    }
}
