//! A form for an operation's inputs, made from its published schema, and back from what was typed.
//!
//! Parameters and the properties of the body become fields; objects inside the body are followed a few levels deep. What
//! has no field of its own (alternatives, arrays of objects, deeper levels) is typed as JSON. Callback URLs are left out:
//! the org fills them in.

use serde_json::{Map, Number, Value};

use crate::pages::visit::Sent;
use crate::services::{Operation, Target, schema};

/// Objects inside objects get fields to this depth.
const MAX_DEPTH: usize = 3;
/// An operation with more inputs than this gets no more fields.
const MAX_INPUTS: usize = 200;

/// One field.
#[derive(Debug)]
pub(super) struct Input {
    /// The field's name in the form: `parameter:job`, `body:/request/name`.
    pub(super) name: String,
    /// What a person reads: `job`, `request.name`.
    pub(super) label: String,
    /// Type, place, description.
    pub(super) hint: String,
    pub(super) required: bool,
    pub(super) widget: Widget,
    /// What is in it.
    pub(super) value: String,
    place: Place,
}

/// How it is typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Widget {
    Text,
    Integer,
    Number,
    Date,
    /// One of these values.
    Choice(Vec<String>),
    Boolean,
    /// A text per line.
    Lines,
    Json,
}

#[derive(Debug)]
enum Place {
    Parameter(String),
    /// The names that lead to the property; none for the body itself.
    Body(Vec<String>),
}

/// What was typed, as an invocation takes it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Typed {
    pub(super) parameters: Map<String, Value>,
    pub(super) body: Value,
}

/// The fields of an operation, holding the examples and defaults of its schema.
pub(super) fn of(document: &Value, operation: &Operation) -> Vec<Input> {
    let mut inputs = Vec::new();
    for parameter in &operation.parameters {
        let filled = operation.callbacks.iter().any(|callback| match &callback.target {
            Target::Query(name) | Target::Header(name) => *name == parameter.name,
            Target::Body(_) => false,
        });
        if !filled {
            let place = Place::Parameter(parameter.name.clone());
            inputs.push(input(document, &parameter.schema, place, parameter.required));
        }
    }
    if let Some(body) = &operation.body {
        let filled: Vec<&[String]> = operation
            .callbacks
            .iter()
            .filter_map(|callback| match &callback.target {
                Target::Body(segments) => Some(segments.as_slice()),
                _ => None,
            })
            .collect();
        Walk { document, filled, inputs: &mut inputs }.follow(&body.schema, Vec::new(), body.required);
    }
    inputs
}

struct Walk<'a> {
    document: &'a Value,
    /// Properties the org fills in.
    filled: Vec<&'a [String]>,
    inputs: &'a mut Vec<Input>,
}

impl Walk<'_> {
    fn follow(&mut self, source: &Value, path: Vec<String>, required: bool) {
        if self.inputs.len() >= MAX_INPUTS || self.filled.contains(&path.as_slice()) && !path.is_empty() {
            return;
        }
        let resolved = schema::resolve(self.document, source).unwrap_or(source).clone();
        let plain = ["allOf", "oneOf", "anyOf"].iter().all(|key| resolved.get(key).is_none());
        let properties = resolved.get("properties").and_then(Value::as_object);
        match properties.filter(|_| plain && path.len() < MAX_DEPTH) {
            Some(properties) => {
                let named = resolved.get("required").and_then(Value::as_array);
                let is_required = |name: &str| named.into_iter().flatten().any(|one| one == name);
                for (name, property) in properties {
                    let inner = path.iter().cloned().chain([name.clone()]).collect();
                    self.follow(property, inner, required && is_required(name));
                }
            }
            None => self.inputs.push(input(self.document, &resolved, Place::Body(path), required)),
        }
    }
}

fn input(document: &Value, source: &Value, place: Place, required: bool) -> Input {
    let resolved = schema::resolve(document, source).unwrap_or(source);
    let widget = widget(document, resolved);
    let (name, label, whence) = match &place {
        Place::Parameter(name) => (format!("parameter:{name}"), name.clone(), "parameter"),
        Place::Body(path) if path.is_empty() => ("body:".to_owned(), "Body".to_owned(), "body"),
        Place::Body(path) => {
            let escaped = path.iter().map(|part| part.replace('~', "~0").replace('/', "~1"));
            (format!("body:/{}", escaped.collect::<Vec<_>>().join("/")), path.join("."), "body")
        }
    };
    let text = |key: &str| resolved.get(key).and_then(Value::as_str);
    let kind = match widget {
        Widget::Lines => "one per line",
        Widget::Json => "JSON",
        _ => text("format").or(text("type")).unwrap_or("text"),
    };
    let hint = match text("description") {
        Some(description) => format!("{kind}, {whence}. {description}"),
        None => format!("{kind}, {whence}"),
    };
    let example = resolved.get("example").or_else(|| resolved.get("default"));
    let value = example.map(|example| written(&widget, example)).unwrap_or_default();
    Input { name, label, hint, required, widget, value, place }
}

fn widget(document: &Value, resolved: &Value) -> Widget {
    let text = |key: &str| resolved.get(key).and_then(Value::as_str);
    let choices = resolved.get("enum").and_then(Value::as_array);
    if let Some(choices) = choices.filter(|choices| choices.iter().all(Value::is_string)) {
        return Widget::Choice(choices.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    match (text("type"), text("format")) {
        (Some("string"), Some("date")) => Widget::Date,
        (Some("string"), _) => Widget::Text,
        (Some("integer"), _) => Widget::Integer,
        (Some("number"), _) => Widget::Number,
        (Some("boolean"), _) => Widget::Boolean,
        (Some("array"), _) => {
            let items = resolved.get("items").unwrap_or(&Value::Null);
            let items = schema::resolve(document, items).unwrap_or(items);
            let is_text = items.get("type").and_then(Value::as_str) == Some("string");
            if is_text { Widget::Lines } else { Widget::Json }
        }
        _ => Widget::Json,
    }
}

/// A value as its field holds it.
fn written(widget: &Widget, value: &Value) -> String {
    match (widget, value) {
        (Widget::Lines, Value::Array(lines)) => {
            lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        (Widget::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// Puts back what was typed.
pub(super) fn fill(inputs: &mut [Input], sent: &Sent) {
    for input in inputs {
        sent.one(&input.name).clone_into(&mut input.value);
    }
}

/// What the fields hold.
///
/// # Errors
/// One sentence with the field that can't be read.
pub(super) fn read(inputs: &[Input], body_required: bool) -> Result<Typed, String> {
    let mut typed = Typed::default();
    for input in inputs.iter().filter(|input| !input.value.trim().is_empty()) {
        let value = value_of(input).map_err(|problem| format!("{}: {problem}", input.label))?;
        match &input.place {
            Place::Parameter(name) => {
                typed.parameters.insert(name.clone(), value);
            }
            Place::Body(path) => place(&mut typed.body, path, value),
        }
    }
    if typed.body.is_null() && body_required {
        typed.body = Value::Object(Map::new());
    }
    Ok(typed)
}

fn value_of(input: &Input) -> Result<Value, String> {
    let trimmed = input.value.trim();
    Ok(match &input.widget {
        Widget::Text | Widget::Choice(_) => Value::String(input.value.clone()),
        Widget::Date => Value::String(trimmed.to_owned()),
        Widget::Integer => match trimmed.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return Err(format!("{trimmed:?} is no whole number")),
        },
        Widget::Number => {
            let number = trimmed.parse::<Number>().ok();
            number.map(Value::Number).ok_or_else(|| format!("{trimmed:?} is no number"))?
        }
        Widget::Boolean => Value::Bool(trimmed == "true"),
        Widget::Lines => {
            let lines = input.value.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| Value::String(line.to_owned())).collect()
        }
        Widget::Json => serde_json::from_str(trimmed).map_err(|error| format!("this is no JSON: {error}"))?,
    })
}

/// Puts a value where the names lead, making the objects on the way.
fn place(body: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *body = value,
        [first, rest @ ..] => {
            if !body.is_object() {
                *body = Value::Object(Map::new());
            }
            if let Some(object) = body.as_object_mut() {
                place(object.entry(first.clone()).or_insert(Value::Null), rest, value);
            }
        }
    }
}

/// One of each kind, and the choices as they are chosen.
#[cfg(test)]
pub(super) fn samples() -> Vec<Input> {
    use crate::pages::samples::evil;

    let input = |widget, value: &str, required| Input {
        name: evil(),
        label: evil(),
        hint: evil(),
        required,
        widget,
        value: value.to_owned(),
        place: Place::Body(Vec::new()),
    };
    let evil = evil();
    vec![
        input(Widget::Text, &evil, true),
        input(Widget::Integer, &evil, false),
        input(Widget::Number, &evil, false),
        input(Widget::Date, &evil, false),
        input(Widget::Choice(vec![evil.clone(), String::new()]), &evil, false),
        input(Widget::Boolean, "true", false),
        input(Widget::Boolean, "false", false),
        input(Widget::Lines, &evil, false),
        input(Widget::Json, &evil, false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Service;
    use serde_json::json;

    fn service() -> Service {
        let document = json!({
            "openapi": "3.0.1",
            "components": {"schemas": {
                "Node": {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/components/schemas/Node"}}},
            }},
            "paths": {"/a/{id}": {"post": {
                "operationId": "send",
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                    {"name": "colour", "in": "query", "schema": {"type": "string", "enum": ["red", "blue"]}},
                ],
                "requestBody": {"required": true, "content": {"application/json": {"schema": {
                    "type": "object", "required": ["ids"],
                    "properties": {
                        "ids": {"type": "array", "items": {"type": "string"}, "example": ["1", "2"]},
                        "when": {"type": "string", "format": "date"},
                        "share": {"type": "number"},
                        "sure": {"type": "boolean"},
                        "a/b": {"type": "object", "properties": {"c": {"type": "string"}}},
                        "parts": {"type": "array", "items": {"type": "object"}},
                        "node": {"$ref": "#/components/schemas/Node"},
                        "url": {"type": "string"},
                    },
                }}}},
                "callbacks": {"done": {"{$request.body#/url}": {"post": {"responses": {"200": {"description": "ok"}}}}}},
                "responses": {"201": {"description": "ok"}},
            }}},
        });
        Service::read(&document.to_string()).unwrap()
    }

    #[test]
    fn a_schema_becomes_fields_and_fields_become_arguments() {
        let service = service();
        let mut inputs = of(&service.document, service.operation("send").unwrap());
        // The order is the document's or the alphabet's, as JSON objects are kept.
        inputs.sort_by(|one, other| one.name.cmp(&other.name));
        let shape: Vec<_> = inputs.iter().map(|input| (input.name.as_str(), &input.widget)).collect();
        let choice = Widget::Choice(vec!["red".into(), "blue".into()]);
        assert_eq!(
            shape,
            [
                ("body:/a~1b/c", &Widget::Text),
                ("body:/ids", &Widget::Lines),
                ("body:/node/name", &Widget::Text),
                ("body:/node/next/name", &Widget::Text),
                ("body:/node/next/next", &Widget::Json),
                ("body:/parts", &Widget::Json),
                ("body:/share", &Widget::Number),
                ("body:/sure", &Widget::Boolean),
                ("body:/when", &Widget::Date),
                ("parameter:colour", &choice),
                ("parameter:id", &Widget::Integer),
            ],
            "the callback's URL is the org's"
        );
        let required: Vec<_> =
            inputs.iter().filter(|input| input.required).map(|input| &*input.name).collect();
        assert_eq!(required, ["body:/ids", "parameter:id"]);
        assert_eq!(inputs[1].value, "1\n2", "the example of body:/ids");
        for (name, value) in [
            ("parameter:id", " 7 "),
            ("body:/a~1b/c", "<x>"),
            ("body:/ids", "a\r\n\r\n b \r\n"),
            ("body:/share", "1.50"),
            ("body:/sure", "false"),
            ("body:/parts", "[{\"n\": 1}]"),
        ] {
            let input = inputs.iter_mut().find(|input| input.name == name).unwrap();
            input.value = value.into();
        }
        let typed = read(&inputs, true).unwrap();
        assert_eq!(Value::Object(typed.parameters), json!({"id": 7}));
        assert_eq!(
            typed.body,
            json!({"a/b": {"c": "<x>"}, "ids": ["a", "b"], "share": 1.5, "sure": false, "parts": [{"n": 1}]})
        );
    }

    #[test]
    fn what_can_t_be_read_names_its_field() {
        let service = service();
        let mut inputs = of(&service.document, service.operation("send").unwrap());
        inputs.sort_by(|one, other| one.name.cmp(&other.name));
        inputs[10].value = "7a".into();
        assert_eq!(read(&inputs, true).unwrap_err(), "id: \"7a\" is no whole number");
        inputs[10].value = String::new();
        let parts = inputs.iter_mut().find(|input| input.name == "body:/parts").unwrap();
        parts.value = "{".into();
        assert!(read(&inputs, true).unwrap_err().starts_with("parts: this is no JSON"));
    }

    #[test]
    fn nothing_typed_is_an_empty_body_only_where_one_is_required() {
        assert_eq!(read(&[], false).unwrap().body, Value::Null);
        assert_eq!(read(&[], true).unwrap().body, json!({}));
    }
}
