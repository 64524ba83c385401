//! Schemas.

use super::super::code::Code;
use super::super::operations::Place;
use super::super::references;
use super::super::tree::{Node, Value};
use super::{Lint, names};

const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "object", "array"];

impl Lint<'_> {
    /// Looks at a schema and everything inside it. What `$ref` leads to has its turn with the components.
    pub(super) fn schema(&mut self, schema: &Place<'_>, is_outermost: bool) {
        if references::target(schema.node).is_some() || !self.is_new(schema.node) {
            return;
        }
        let Some(map) = schema.node.as_map() else {
            let message = format!("a schema must be a mapping, not {}", schema.node.kind());
            self.find(Code::WrongKind, &schema.path, schema.node.at, message);
            return;
        };
        if map.contains_key("type") {
            self.schema_type(schema);
        }
        self.description(schema);
        self.extension(schema, &["agent", "privacy"]);
        if let Some(not) = schema.get("not") {
            let message = "External Services does not support `not`";
            self.find(Code::KeywordUnsupported, &not.path, not.node.at, message);
        }
        if let Some(default) = schema.get("default").filter(|_| !is_outermost) {
            let message = "the org fills in defaults of outermost values only, not this one";
            self.find(Code::DefaultIgnored, &default.path, default.node.at, message);
        }
        self.properties(schema);
        self.inside(schema);
    }

    fn schema_type(&mut self, schema: &Place<'_>) {
        let Some(node) = schema.node.get("type") else { return };
        let path = format!("{}.type", schema.path);
        match &node.value {
            Value::Text(text) if TYPES.contains(&text.as_str()) => {}
            Value::Text(text) => {
                let shown: String = text.chars().take(40).collect();
                let message =
                    format!("`{}` is no type; known are {}", shown.escape_debug(), TYPES.join(", "));
                self.find(Code::SchemaType, path, node.at, message);
            }
            _ => {
                let message = format!("`type` names one type of OpenAPI 3.0, this is {}", node.kind());
                self.find(Code::SchemaType, path, node.at, message);
            }
        }
        if node.as_text() == Some("array") && schema.node.get("items").is_none() {
            let message = "this list has no `items`, so callers would not know what to put in";
            self.find(Code::ArrayWithoutItems, &schema.path, schema.node.at, message);
        }
    }

    fn properties(&mut self, schema: &Place<'_>) {
        let properties = schema.get("properties");
        let map = properties.as_ref().and_then(|properties| properties.node.as_map());
        if map.is_some() || schema.node.get("type").and_then(Node::as_text) == Some("object") {
            self.objects = self.objects.saturating_add(1);
        }
        let (Some(properties), Some(map)) = (properties, map) else { return };
        self.properties = self.properties.saturating_add(map.len());
        let names = map.iter().map(|(name, entry)| (name.as_str(), entry.key_at, properties.path.as_str()));
        names::collisions(Code::PropertyNameCollision, "properties", names, self.findings);
        for (name, key_at, property) in properties.entries() {
            self.name_length(name, &property.path, key_at);
            self.schema(&property, false);
        }
    }

    fn inside(&mut self, schema: &Place<'_>) {
        if let Some(items) = schema.get("items") {
            self.schema(&items, false);
        }
        if let Some(additional) =
            schema.get("additionalProperties").filter(|place| place.node.as_bool().is_none())
        {
            self.schema(&additional, false);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(list) = schema.get(keyword) else { continue };
            for (index, node) in list.node.as_list().unwrap_or_default().iter().enumerate() {
                self.schema(&list.item(index, node), false);
            }
        }
    }
}
