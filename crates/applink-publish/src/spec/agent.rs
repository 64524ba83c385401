//! `x-sfdc.agent`: the topic at the document's root, and what an operation, a parameter or a property says to agents.
//!
//! ```yaml
//! x-sfdc:
//!   agent:
//!     topic: {name: Orders, classificationDescription: …, scope: …, instructions: [ … ]}
//! paths:
//!   /orders:
//!     get:
//!       x-sfdc:
//!         agent: {action: {publishAsAgentAction: true}}
//!         privacy: {isPii: true}
//! ```

use super::code::Code;
use super::extension::X_SFDC;
use super::finding::Finding;
use super::operations::Place;
use super::tree::{Node, Position, Value};

/// What a document says to agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// The one topic of a document.
    pub topic: Option<Topic>,
}

/// A topic: when an agent picks it, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its API name.
    pub name: String,
    /// When to pick it.
    pub classification_description: String,
    /// What it may do.
    pub scope: String,
    /// How it is done, step by step.
    pub instructions: Vec<String>,
    /// Its place.
    pub at: Position,
}

const FIELDS: [&str; 4] = ["name", "classificationDescription", "scope", "instructions"];

/// Reads the topic of a document.
pub fn read(root: &Place<'_>, findings: &mut Vec<Finding>) -> Agent {
    let topic = [X_SFDC, "agent", "topic"]
        .iter()
        .try_fold(root.clone(), |place, key| place.mapping(key, findings))
        .and_then(|place| topic(&place, findings));
    Agent { topic }
}

fn topic(place: &Place<'_>, findings: &mut Vec<Finding>) -> Option<Topic> {
    for (key, at, value) in place.entries() {
        if !FIELDS.contains(&key) {
            let key: String = key.chars().take(40).collect();
            let message = format!("`{key}` means nothing in a topic; known are {}", FIELDS.join(", "));
            findings.push(Finding::new(Code::ExtensionKey, &value.path, at, message));
        }
    }
    let missing: Vec<&str> = FIELDS.into_iter().filter(|key| texts(place, key).is_empty()).collect();
    if !missing.is_empty() {
        let message = format!("the topic has no text for {}", missing.join(", "));
        findings.push(Finding::new(Code::TopicIncomplete, &place.path, place.node.at, message));
        return None;
    }
    let one = |key| texts(place, key).join("\n");
    let name = one("name");
    if !is_topic_name(&name) {
        let shown: String = name.chars().take(60).collect::<String>().escape_debug().to_string();
        let message = format!(
            "`{shown}` can't be a topic's name: a letter first, then letters, digits, spaces and `_`"
        );
        let at = place.node.get("name").map_or(place.node.at, |node| node.at);
        findings.push(Finding::new(Code::TopicName, format!("{}.name", place.path), at, message));
    }
    Some(Topic {
        name,
        classification_description: one("classificationDescription"),
        scope: one("scope"),
        instructions: texts(place, "instructions"),
        at: place.node.at,
    })
}

/// A text, or a list of texts; empty ones do not count.
fn texts(place: &Place<'_>, key: &str) -> Vec<String> {
    let list = match place.node.get(key).map(|node| &node.value) {
        Some(Value::Text(text)) => vec![text.clone()],
        Some(Value::List(list)) => list.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    list.into_iter().filter(|text| !text.trim().is_empty()).collect()
}

fn is_topic_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_'))
}

/// Whether an operation is published as an agent action, and whether its queries hold personal data.
pub fn action(operation: &Place<'_>, findings: &mut Vec<Finding>) -> (bool, bool) {
    let mut flag = |path: &[&str]| flag(operation, path, findings).unwrap_or(false);
    (flag(&[X_SFDC, "agent", "action", "publishAsAgentAction"]), flag(&[X_SFDC, "privacy", "isPii"]))
}

/// A truth value below `x-sfdc`; another kind of value is a finding.
pub fn flag(place: &Place<'_>, path: &[&str], findings: &mut Vec<Finding>) -> Option<bool> {
    let found = path.iter().try_fold(place.clone(), |place, key| place.get(key))?;
    let value = found.node.as_bool();
    if value.is_none() {
        let message = format!("this must be true or false, not {}", found.node.kind());
        findings.push(Finding::new(Code::WrongKind, &found.path, found.node.at, message));
    }
    value
}
