//! OpenAPI 3.1 in the words of 3.0, as far as there are any.
//!
//! External Services reads 3.0. What 3.1 only says differently is rewritten, what 3.0 can't say is a finding:
//!
//! | 3.1 | 3.0 |
//! |---|---|
//! | `type: [string, 'null']` | `type: string`, `nullable: true` |
//! | `const: x` | `enum: [x]` |
//! | `examples: [x, …]` in a schema | `example: x` |
//! | `exclusiveMinimum: 5` | `minimum: 5`, `exclusiveMinimum: true`; likewise the maximum |
//! | `contentEncoding: base64` | `format: byte` |
//! | `items: true` | `items: {}` |

use indexmap::IndexMap;

use super::code::Code;
use super::finding::Finding;
use super::tree::{Entry, Node, Position, Value};

/// Keywords 3.0 has no words for.
const UNSAYABLE: [&str; 16] = [
    "if",
    "then",
    "else",
    "prefixItems",
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "minContains",
    "maxContains",
    "$dynamicRef",
    "$defs",
    "pathItems",
];

/// Keywords that say nothing to an org.
const DROPPED: [&str; 7] =
    ["$schema", "$id", "$anchor", "$comment", "$vocabulary", "contentMediaType", "jsonSchemaDialect"];

/// Keys below which names are chosen by the author.
const NAMES: [&str; 14] = [
    "properties",
    "schemas",
    "parameters",
    "responses",
    "headers",
    "requestBodies",
    "callbacks",
    "links",
    "securitySchemes",
    "paths",
    "content",
    "encoding",
    "mapping",
    "variables",
];

/// Keywords whose values are data.
const DATA: [&str; 4] = ["example", "default", "enum", "const"];

/// Rewrites a whole document.
pub(super) fn to_3_0(document: Node, findings: &mut Vec<Finding>) -> Node {
    let mut rewriting = Rewriting { path: vec!["$".to_owned()], findings };
    let Value::Map(mut map) = document.value else { return document };
    if let Some(webhooks) = map.shift_remove("webhooks") {
        rewriting.unsayable("webhooks", webhooks.key_at);
    }
    if let Some(version) = map.get_mut("openapi") {
        version.node.value = Value::Text("3.0.3".to_owned());
    }
    rewriting.keywords(Node { at: document.at, value: Value::Map(map) })
}

struct Rewriting<'a> {
    path: Vec<String>,
    findings: &'a mut Vec<Finding>,
}

impl Rewriting<'_> {
    fn at_key(&mut self, key: &str, node: Node, rewrite: fn(&mut Self, Node) -> Node) -> Node {
        self.path.push(key.to_owned());
        let node = rewrite(self, node);
        self.path.pop();
        node
    }

    fn unsayable(&mut self, key: &str, at: Position) {
        let message = format!("`{key}` can't be said in OpenAPI 3.0, which is what External Services reads");
        let path = format!("{}.{key}", self.path.join("."));
        self.findings.push(Finding::new(Code::Keyword31, path, at, message));
    }

    /// A mapping whose keys are names.
    fn names(&mut self, node: Node) -> Node {
        match node.value {
            Value::Map(map) => {
                let map = map.into_iter().map(|(key, entry)| {
                    let rewritten = self.at_key(&key, entry.node, Self::keywords);
                    (key, Entry { key_at: entry.key_at, node: rewritten })
                });
                Node { at: node.at, value: Value::Map(map.collect()) }
            }
            _ => self.keywords(node),
        }
    }

    /// A value whose keys are keywords.
    fn keywords(&mut self, node: Node) -> Node {
        match node.value {
            Value::List(list) => {
                let list = list
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.at_key(&format!("[{index}]"), item, Self::keywords));
                Node { at: node.at, value: Value::List(list.collect()) }
            }
            Value::Map(map) => {
                let mut rewritten = IndexMap::with_capacity(map.len());
                for (key, entry) in map {
                    self.keyword(key, entry, &mut rewritten);
                }
                Node { at: node.at, value: Value::Map(rewritten) }
            }
            _ => node,
        }
    }

    fn keyword(&mut self, key: String, entry: Entry, map: &mut IndexMap<String, Entry>) {
        let key_at = entry.key_at;
        if UNSAYABLE.contains(&key.as_str()) {
            self.unsayable(&key, key_at);
            return;
        }
        if DROPPED.contains(&key.as_str()) {
            return;
        }
        match (key.as_str(), entry.node.value) {
            ("type", Value::List(types)) => self.types(types, key_at, map),
            ("type", Value::Text(only)) if only == "null" => self.unsayable("type: 'null'", key_at),
            ("const", value) => {
                let only = Node { at: entry.node.at, value };
                insert(map, "enum", key_at, Value::List(vec![only]));
            }
            ("examples", Value::List(list)) => {
                if let Some(first) = list.into_iter().next() {
                    insert(map, "example", key_at, first.value);
                }
            }
            ("exclusiveMinimum", limit @ Value::Number(_)) => exclusive(map, "minimum", &key, key_at, limit),
            ("exclusiveMaximum", limit @ Value::Number(_)) => exclusive(map, "maximum", &key, key_at, limit),
            ("contentEncoding", _) => insert(map, "format", key_at, Value::Text("byte".to_owned())),
            ("items", Value::Bool(_)) => insert(map, "items", key_at, Value::Map(IndexMap::new())),
            (_, value) => {
                let node = self.inside(&key, Node { at: entry.node.at, value });
                map.insert(key, Entry { key_at, node });
            }
        }
    }

    fn inside(&mut self, key: &str, node: Node) -> Node {
        if DATA.contains(&key) || key.starts_with("x-") {
            return node;
        }
        let rewrite = if NAMES.contains(&key) { Self::names } else { Self::keywords };
        self.at_key(key, node, rewrite)
    }

    /// `[string, 'null']` is a string that may be null; a choice of several types can't be said.
    fn types(&mut self, types: Vec<Node>, key_at: Position, map: &mut IndexMap<String, Entry>) {
        let count = types.len();
        let mut named: Vec<Node> = types.into_iter().filter(|node| node.as_text() != Some("null")).collect();
        let nullable = named.len() < count;
        match (named.pop(), named.is_empty()) {
            (Some(only), true) => {
                insert(map, "type", key_at, only.value);
                if nullable {
                    insert(map, "nullable", key_at, Value::Bool(true));
                }
            }
            _ => self.unsayable("type: [ … ]", key_at),
        }
    }
}

fn insert(map: &mut IndexMap<String, Entry>, key: &str, at: Position, value: Value) {
    map.insert(key.to_owned(), Entry { key_at: at, node: Node { at, value } });
}

fn exclusive(map: &mut IndexMap<String, Entry>, limit: &str, flag: &str, at: Position, value: Value) {
    insert(map, limit, at, value);
    insert(map, flag, at, Value::Bool(true));
}
