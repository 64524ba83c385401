//! Every operation of the API, read from its own description: a test over all of them can't forget a new one.

use serde_json::{Map, Value, json};

/// One method of one path.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: reqwest::Method,
    pub(crate) path: String,
    security: Vec<Vec<String>>,
    pub(crate) whole: Value,
}

impl Operation {
    /// Nobody is asked who they are.
    pub(crate) fn is_open(&self) -> bool {
        self.security.iter().all(Vec::is_empty)
    }

    /// Whether these credentials alone are enough.
    pub(crate) fn takes(&self, scheme: &str) -> bool {
        self.security.iter().any(|way| way == &[scheme])
    }

    /// The schema of its JSON body.
    pub(crate) fn json_body(&self, document: &Value) -> Option<Value> {
        let schema = &self.whole["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then(|| resolved(document, schema))
    }

    /// The path with its parameters filled in.
    pub(crate) fn filled(&self, mut value: impl FnMut(&str) -> String) -> String {
        let segments = self.path.split('/').map(|segment| {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => value(name),
                None => segment.to_owned(),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    pub(crate) fn has(&self, parameter: &str) -> bool {
        self.path.contains(&format!("{{{parameter}}}"))
    }
}

/// All of them.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, whole) in item.as_object().expect("operations") {
            let ways = whole["security"].as_array().unwrap_or_else(|| panic!("{method} {path}: no security"));
            all.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                security: ways
                    .iter()
                    .map(|way| way.as_object().expect("a way").keys().cloned().collect())
                    .collect(),
                whole: whole.clone(),
            });
        }
    }
    assert!(all.len() > 25, "{}", all.len());
    all
}

/// A schema behind its references; of several, the first that is something.
pub(crate) fn resolved(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#')).expect("a schema");
        return resolved(document, found);
    }
    match schema["oneOf"].as_array() {
        Some(choices) if schema["enum"].is_null() => {
            let first = choices.iter().find(|choice| choice["type"] != "null").expect("a choice");
            resolved(document, first)
        }
        _ => schema.clone(),
    }
}

/// The fields a body must have, with values of their types.
pub(crate) fn least_body(document: &Value, schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), example(document, name, &schema["properties"][name]))).collect()
}

fn example(document: &Value, name: &str, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ if schema["format"] == "uuid" => json!("00000000-0000-4000-8000-000000000000"),
        _ if schema["format"] == "date-time" => json!("2026-01-01T00:00:00.000000Z"),
        _ if name.ends_with("url") => json!("https://login.salesforce.com"),
        _ => json!("example"),
    }
}
