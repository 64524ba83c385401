//! Step 3: checks the arguments against the operation and turns them into the request's parts.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::refusal::{self, Refusal};
use super::{Call, Mode};
use crate::secrets;
use crate::services::callbacks::place_in_body;
use crate::services::schema::{self, Unnamed};
use crate::services::{Operation, Parameter, Place, Target};
use crate::state::OrgState;

/// What RFC 3986 leaves unreserved stays as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request's parts that come from the arguments.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The path with its placeholders filled.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    /// The JSON body; none when the operation has none.
    pub(super) body: Option<Value>,
    pub(super) callbacks: Vec<OpenCallback>,
}

/// A callback URL that was handed out.
#[derive(Debug)]
pub(crate) struct OpenCallback {
    pub(crate) name: String,
    /// The URL's unguessable end.
    pub(crate) handle: String,
    pub(crate) schema: Value,
}

/// Checks and assembles. Callback URLs are placed first, since a schema may require them.
pub(super) fn check(
    state: &OrgState,
    call: &Call,
    operation: &Operation,
    document: &Value,
) -> Result<Outgoing, Refusal> {
    let mut body = call.body.clone();
    let mut parameters = call.parameters.clone();
    let callbacks = match call.mode {
        Mode::Apex => place_callbacks(state, operation, document, &mut body, &mut parameters)?,
        Mode::Flow => Vec::new(),
    };
    let body = check_body(operation, document, body)?;
    let mut outgoing =
        Outgoing { path: operation.path.clone(), query: Vec::new(), headers: Vec::new(), body, callbacks };
    place_parameters(operation, document, &parameters, &mut outgoing)?;
    Ok(outgoing)
}

fn place_callbacks(
    state: &OrgState,
    operation: &Operation,
    document: &Value,
    body: &mut Value,
    parameters: &mut Map<String, Value>,
) -> Result<Vec<OpenCallback>, Refusal> {
    let mut open = Vec::new();
    for callback in &operation.callbacks {
        let handle = secrets::handle(state.entropy());
        let url = format!(
            "{}/services/data/v{}/externalServices/callbacks/{handle}",
            state.base(),
            state.api_version()
        );
        match &callback.target {
            Target::Body(segments) => {
                place_in_body(body, segments, &url)
                    .map_err(|problem| refusal::invalid_arguments(format!("body: {problem}")))?;
            }
            Target::Query(name) | Target::Header(name) => {
                parameters.insert(name.clone(), Value::String(url));
            }
        }
        let schema = inlined(document, &callback.schema);
        open.push(OpenCallback { name: callback.name.clone(), handle, schema });
    }
    Ok(open)
}

/// The schema with the document it refers into, so that it can be kept by itself.
fn inlined(document: &Value, schema: &Value) -> Value {
    let components = document.get("components").cloned().unwrap_or(Value::Null);
    serde_json::json!({"schema": schema, "components": components})
}

fn check_body(operation: &Operation, document: &Value, body: Value) -> Result<Option<Value>, Refusal> {
    let Some(declared) = &operation.body else {
        return match body {
            Value::Null => Ok(None),
            _ => {
                Err(refusal::invalid_arguments(format!("body: the operation {} takes none", operation.name)))
            }
        };
    };
    if body.is_null() && !declared.required {
        return Ok(None);
    }
    schema::check(document, &declared.schema, &body, "body", Unnamed::Refused)
        .map_err(|fault| refusal::invalid_arguments(fault.to_string()))?;
    Ok(Some(body))
}

fn place_parameters(
    operation: &Operation,
    document: &Value,
    given: &Map<String, Value>,
    outgoing: &mut Outgoing,
) -> Result<(), Refusal> {
    let unknown =
        given.keys().find(|name| !operation.parameters.iter().any(|parameter| parameter.name == **name));
    if let Some(unknown) = unknown {
        let known: Vec<_> = operation.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(refusal::invalid_arguments(format!(
            "parameters.{unknown}: there is no such parameter, the operation has: {known}"
        )));
    }
    for parameter in &operation.parameters {
        let place = format!("parameters.{}", parameter.name);
        match given.get(&parameter.name).filter(|value| !value.is_null()) {
            Some(value) => {
                schema::check(document, &parameter.schema, value, &place, Unnamed::Refused)
                    .map_err(|fault| refusal::invalid_arguments(fault.to_string()))?;
                place_parameter(parameter, value, &place, outgoing)?;
            }
            None if parameter.required => {
                return Err(refusal::invalid_arguments(format!("{place}: the parameter is required")));
            }
            None => {}
        }
    }
    Ok(())
}

fn place_parameter(
    parameter: &Parameter,
    value: &Value,
    place: &str,
    outgoing: &mut Outgoing,
) -> Result<(), Refusal> {
    let texts = texts(value).ok_or_else(|| {
        refusal::invalid_arguments(format!("{place}: only plain values and lists of them can be sent"))
    })?;
    match parameter.place {
        Place::Path => {
            let text = utf8_percent_encode(&texts.join(","), UNRESERVED).to_string();
            if matches!(text.as_str(), "" | "." | "..") {
                return Err(refusal::invalid_arguments(format!("{place}: {text:?} can't stand in a path")));
            }
            outgoing.path = outgoing.path.replace(&format!("{{{}}}", parameter.name), &text);
        }
        Place::Query => outgoing.query.extend(texts.into_iter().map(|text| (parameter.name.clone(), text))),
        Place::Header => outgoing.headers.push((parameter.name.clone(), texts.join(","))),
    }
    Ok(())
}

/// A value as text; a list as several.
fn texts(value: &Value) -> Option<Vec<String>> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        value => plain(value).map(|text| vec![text]),
    }
}
