//! The document as pages for people: HTML without scripts or anything from elsewhere, and Markdown.

use askama::Template;
use serde_json::{Map, Value};

/// The HTML page of a document.
pub fn html(document: &Value) -> String {
    HtmlPage { view: View::of(document) }.render().unwrap_or_default()
}

/// The Markdown page of a document.
pub fn markdown(document: &Value) -> String {
    MarkdownPage { view: View::of(document) }.render().unwrap_or_default()
}

#[derive(Template)]
#[template(path = "openapi.html")]
struct HtmlPage {
    view: View,
}

#[derive(Template)]
#[template(path = "openapi.md", escape = "none")]
struct MarkdownPage {
    view: View,
}

/// What both pages show.
struct View {
    about: String,
    credentials: Vec<(String, String)>,
    groups: Vec<Group>,
    schemas: Vec<Shape>,
}

struct Group {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    summary: String,
    about: String,
    callers: String,
    body: String,
    answers: Vec<Answer>,
}

struct Answer {
    status: String,
    about: String,
    body: String,
}

struct Shape {
    name: String,
    about: String,
    fields: Vec<Field>,
    values: String,
}

struct Field {
    name: String,
    kind: String,
    required: bool,
    about: String,
}

impl View {
    fn of(document: &Value) -> Self {
        let schemes = entries(&document["components"]["securitySchemes"]);
        let credentials =
            schemes.map(|(name, scheme)| (name.clone(), one_line(&scheme["description"]))).collect();
        let tags = document["tags"].as_array().into_iter().flatten();
        let groups = tags.map(|tag| Group::of(document, tag)).filter(|group| !group.operations.is_empty());
        let schemas = entries(&document["components"]["schemas"]);
        Self {
            about: text(&document["info"]["description"]),
            credentials,
            groups: groups.collect(),
            schemas: schemas.map(|(name, schema)| Shape::of(name, schema)).collect(),
        }
    }
}

impl Group {
    fn of(document: &Value, tag: &Value) -> Self {
        let mut operations = Vec::new();
        for (path, item) in entries(&document["paths"]) {
            for (method, operation) in entries(item) {
                if operation["tags"][0] == tag["name"] {
                    operations.push(Operation::of(document, path, method, operation));
                }
            }
        }
        Self { name: text(&tag["name"]), about: one_line(&tag["description"]), operations }
    }
}

impl Operation {
    fn of(document: &Value, path: &str, method: &str, operation: &Value) -> Self {
        let ways = operation["security"].as_array().into_iter().flatten().filter_map(Value::as_object);
        let ways: Vec<String> = ways.map(|way| way.keys().cloned().collect::<Vec<_>>().join(" + ")).collect();
        let callers = ways.iter().filter(|way| !way.is_empty()).cloned().collect::<Vec<_>>().join(", or ");
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: one_line(&operation["summary"]),
            about: one_line(&operation["description"]),
            callers: if callers.is_empty() { "anybody".to_owned() } else { callers },
            body: content(&operation["requestBody"]),
            answers: entries(&operation["responses"])
                .map(|(status, answer)| {
                    let answer = resolved(document, answer);
                    Answer {
                        status: status.clone(),
                        about: one_line(&answer["description"]),
                        body: content(answer),
                    }
                })
                .collect(),
        }
    }
}

impl Shape {
    fn of(name: &str, schema: &Value) -> Self {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = entries(&schema["properties"]).map(|(name, field)| Field {
            name: name.clone(),
            kind: kind(field),
            required: required.contains(&name.as_str()),
            about: one_line(&field["description"]),
        });
        let values = values(schema);
        let is_plain = values.is_empty() && schema["properties"].is_null();
        Self {
            name: name.to_owned(),
            about: one_line(&schema["description"]),
            fields: fields.collect(),
            values: if is_plain { kind(schema) } else { values },
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn one_line(value: &Value) -> String {
    text(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

/// `application/json: Connection`
fn content(holder: &Value) -> String {
    let kinds = entries(&holder["content"]).map(|(media, content)| match media.as_str() {
        "text/html" => "a page".to_owned(),
        "application/json" => kind(&content["schema"]),
        other => format!("{} ({other})", kind(&content["schema"])),
    });
    kinds.collect::<Vec<_>>().join(", ")
}

fn values(schema: &Value) -> String {
    let mut values: Vec<String> = schema["enum"].as_array().into_iter().flatten().map(text).collect();
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        values.extend(one["enum"].as_array().into_iter().flatten().map(text));
    }
    values.join(", ")
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let named: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
        return named.join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => {
            types.iter().filter(|one| *one != "null").map(text).collect::<Vec<_>>().join(" or ")
        }
        one => text(one),
    };
    match (name.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(&schema["items"])),
        ("", _) => "any JSON".to_owned(),
        (_, Some(format)) if format != "int32" => format!("{name} ({format})"),
        _ => name,
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::evil;

    fn view() -> View {
        let field = |required, about| Field { name: evil(), kind: evil(), required, about };
        let shape =
            |name: &str, values, fields| Shape { name: name.to_owned(), about: evil(), fields, values };
        let operation = |about, body: fn() -> String| Operation {
            method: evil(),
            path: evil(),
            summary: evil(),
            about,
            callers: evil(),
            body: body(),
            answers: vec![Answer { status: evil(), about: evil(), body: body() }],
        };
        View {
            about: evil(),
            credentials: vec![(evil(), evil())],
            groups: vec![Group {
                name: "group".to_owned(),
                about: evil(),
                operations: vec![operation(evil(), evil), operation(String::new(), String::new)],
            }],
            schemas: vec![
                shape("Full", evil(), vec![field(true, evil()), field(false, String::new())]),
                shape("Empty", String::new(), Vec::new()),
            ],
        }
    }

    pub(crate) fn all() -> Vec<Sample> {
        vec![
            Sample::new("openapi.html", HtmlPage { view: view() }),
            Sample::new("openapi.md", MarkdownPage { view: view() }),
        ]
    }
}
