//! From operations and schemas to Apex classes.

use std::collections::{HashMap, HashSet};

use super::{Class, ClassKind, MAX_MEMBERS, Member, Method};
use crate::spec::operations::{self, Place};
use crate::spec::references;
use crate::spec::{Node, Operation, ParameterPlace, Spec, operation_name};

/// How often a type may lead to another without a class between them.
const MAX_ALIASES: usize = 32;

/// The service class first, then those of each operation, then the types.
pub(super) fn classes(spec: &Spec, client: &str) -> Vec<Class> {
    let root = Place { root: &spec.document, node: &spec.document, path: "$".to_owned() };
    let mut builder = Builder { client, root: &root, types: Vec::new(), named: HashSet::new(), members: 0 };
    builder.components();
    let mut service =
        Class { name: client.to_owned(), kind: ClassKind::Service, members: Vec::new(), methods: Vec::new() };
    let mut inner = Vec::new();
    for operation in &spec.operations {
        builder.operation(operation, &mut service, &mut inner);
    }
    let types = builder.types;
    std::iter::once(service).chain(inner).chain(types).collect()
}

struct Builder<'a> {
    client: &'a str,
    root: &'a Place<'a>,
    types: Vec<Class>,
    named: HashSet<String>,
    members: usize,
}

impl<'a> Builder<'a> {
    fn components(&mut self) {
        let schemas = self.root.get("components").and_then(|components| components.get("schemas"));
        for (name, _, schema) in schemas.iter().flat_map(Place::entries) {
            // What a component only refers to has a class of its own.
            if references::target(schema.node).is_none() && has_class(&schema) {
                self.data(&schema, &operation_name(name), 0);
            }
        }
    }

    fn operation(&mut self, operation: &Operation, service: &mut Class, inner: &mut Vec<Class>) {
        let Some((item, place)) = place_of(self.root, operation) else { return };
        let (client, name) = (self.client, operation.name.as_str());
        let request = self.request(operation, &item, &place);
        let arguments: Vec<(String, String)> =
            request.iter().map(|class| (class.name.clone(), "request".to_owned())).collect();
        let response = format!("{client}.{name}_Response");
        let method = |arguments| Method { name: name.to_owned(), returns: response.clone(), arguments };
        service.methods.push(method(arguments.clone()));
        inner.extend(request);
        inner.extend(self.responses(operation, &place));
        if operation.callbacks.is_empty() {
            return;
        }
        let handler = format!("{client}.{name}_Callback");
        let asynchronous = [(handler, "handler".to_owned()), ("Datetime".to_owned(), "timeout".to_owned())];
        service.methods.push(method(arguments.into_iter().chain(asynchronous).collect()));
        inner.extend(self.callbacks(operation, &place));
    }

    /// Nothing, when the operation takes nothing.
    fn request(&mut self, operation: &Operation, item: &Place<'a>, place: &Place<'a>) -> Option<Class> {
        let mut members = Vec::new();
        if let Some(body) = &operation.request {
            let schema = body_schema(place);
            let hint = format!("{}_IN_body", operation.name);
            let apex_type = schema.map_or_else(object, |schema| self.type_of(&schema, &hint, 0));
            members.push(Member { name: "body".to_owned(), apex_type, required: body.required });
        }
        let schemas = parameter_schemas(item, place);
        for parameter in operation.parameters.iter().filter(|one| one.place != ParameterPlace::Cookie) {
            let schema = schemas.get(parameter.name.as_str());
            let name = operation_name(&parameter.name);
            let hint = format!("{}_IN_{name}", operation.name);
            let apex_type =
                schema.map_or_else(|| "String".to_owned(), |schema| self.type_of(schema, &hint, 0));
            members.push(Member { name, apex_type, required: parameter.required });
        }
        self.members = self.members.saturating_add(members.len());
        let name = format!("{}.{}_Request", self.client, operation.name);
        (!members.is_empty()).then(|| Class { name, kind: ClassKind::Request, members, methods: Vec::new() })
    }

    fn responses(&mut self, operation: &Operation, place: &Place<'a>) -> Vec<Class> {
        let (client, name) = (self.client, operation.name.as_str());
        let mut response = class(format!("{client}.{name}_Response"), ClassKind::Response);
        let mut exception = class(format!("{client}.{name}_ResponseException"), ClassKind::Exception);
        for (status, _, answer) in place.get("responses").iter().flat_map(Place::entries) {
            let Some(schema) = content_schema(&answer.resolved()).filter(|_| !status.starts_with("x-"))
            else {
                continue;
            };
            let apex_type = self.type_of(&schema, &format!("{name}_OUT_{status}"), 0);
            let member =
                if status == "default" { "defaultResponse".to_owned() } else { format!("Code{status}") };
            let target = if status.starts_with('2') { &mut response } else { &mut exception };
            target.members.push(Member { name: member, apex_type, required: false });
        }
        let code =
            || Member { name: "responseCode".to_owned(), apex_type: "Integer".to_owned(), required: false };
        response.members.push(code());
        exception.members.push(code());
        if !operation.callbacks.is_empty() {
            let name = "invocationId".to_owned();
            response.members.push(Member { name, apex_type: "String".to_owned(), required: false });
        }
        vec![response, exception]
    }

    fn callbacks(&mut self, operation: &Operation, place: &Place<'a>) -> Vec<Class> {
        let prefix = format!("{}.{}", self.client, operation.name);
        let mut handler = class(format!("{prefix}_Callback"), ClassKind::CallbackHandler);
        let mut classes = Vec::new();
        for (name, body, callback_id) in callback_bodies(place) {
            let name = operation_name(name);
            let received = format!("{prefix}_{name}_Callback");
            if handler.methods.iter().any(|method| method.name == name) {
                continue;
            }
            let arguments = vec![(format!("List<{received}>"), "callbacks".to_owned())];
            handler.methods.push(Method { name: name.clone(), returns: "void".to_owned(), arguments });
            let hint = format!("{}_IN_body", callback_id.map_or_else(|| name.clone(), operation_name));
            let apex_type = body.map_or_else(object, |schema| self.type_of(&schema, &hint, 0));
            let mut response = class(format!("{prefix}_{name}_CallbackResponse"), ClassKind::Callback);
            response.members.push(Member { name: "body".to_owned(), apex_type, required: false });
            let mut callback = class(received, ClassKind::Callback);
            let apex_type = response.name.clone();
            callback.members.push(Member { name: "response".to_owned(), apex_type, required: false });
            classes.extend([callback, response]);
        }
        classes.insert(0, handler);
        classes
    }

    /// The Apex type of a schema; an inline object becomes a class with the name `hint`.
    fn type_of(&mut self, schema: &Place<'a>, hint: &str, aliases: usize) -> String {
        if aliases > MAX_ALIASES {
            return object();
        }
        if let Some(reference) = references::target(schema.node) {
            let resolved = schema.resolved();
            let name = reference.strip_prefix("#/components/schemas/").map(references::unescape);
            let hint = name
                .as_deref()
                .filter(|name| !name.contains('/'))
                .map_or_else(|| hint.to_owned(), operation_name);
            return if references::target(resolved.node).is_some() {
                object()
            } else {
                self.type_of(&resolved, &hint, aliases.saturating_add(1))
            };
        }
        if has_class(schema) {
            return self.data(schema, hint, aliases);
        }
        let format = schema.node.get("format").and_then(Node::as_text);
        match (schema.node.get("type").and_then(Node::as_text), format) {
            (Some("string"), Some("date")) => "Date".to_owned(),
            (Some("string"), Some("date-time")) => "Datetime".to_owned(),
            (Some("string"), Some("binary" | "byte")) => "Blob".to_owned(),
            (Some("string"), _) => "String".to_owned(),
            (Some("integer"), Some("int64")) => "Long".to_owned(),
            (Some("integer"), _) => "Integer".to_owned(),
            (Some("number"), _) => "Double".to_owned(),
            (Some("boolean"), _) => "Boolean".to_owned(),
            (Some("array"), _) => format!("List<{}>", self.inner(schema, "items", hint, aliases)),
            _ => match schema.node.get("additionalProperties").and_then(Node::as_map) {
                Some(_) => {
                    format!("Map<String, {}>", self.inner(schema, "additionalProperties", hint, aliases))
                }
                None => object(),
            },
        }
    }

    fn inner(&mut self, schema: &Place<'a>, key: &str, hint: &str, aliases: usize) -> String {
        let inner = schema.get(key);
        inner.map_or_else(object, |inner| self.type_of(&inner, hint, aliases.saturating_add(1)))
    }

    /// The class of an object, made when it is the first with this name.
    fn data(&mut self, schema: &Place<'a>, hint: &str, aliases: usize) -> String {
        let name = operation_name(&format!("{}_{hint}", self.client));
        if self.members > MAX_MEMBERS || !self.named.insert(name.clone()) {
            return name;
        }
        let mut properties = Vec::new();
        let mut required = HashSet::new();
        gather(schema, &mut HashSet::new(), &mut properties, &mut required);
        let at = self.types.len();
        self.types.push(class(name.clone(), ClassKind::Data));
        let mut members: Vec<Member> = Vec::new();
        for (property, place) in properties {
            let member = operation_name(property);
            let apex_type = self.type_of(&place, &format!("{hint}_{member}"), aliases.saturating_add(1));
            members.push(Member { name: member, apex_type, required: required.contains(property) });
        }
        self.members = self.members.saturating_add(members.len());
        if let Some(class) = self.types.get_mut(at) {
            class.members = members;
        }
        name
    }
}

fn object() -> String {
    "Object".to_owned()
}

fn class(name: String, kind: ClassKind) -> Class {
    Class { name, kind, members: Vec::new(), methods: Vec::new() }
}

/// Whether a schema is an object with properties, its own or those of its `allOf`.
fn has_class(schema: &Place<'_>) -> bool {
    schema.node.get("properties").is_some() || schema.node.get("allOf").is_some()
}

/// The properties of a schema and of everything it is made of; each part counts once.
fn gather<'a>(
    schema: &Place<'a>,
    seen: &mut HashSet<usize>,
    properties: &mut Vec<(&'a str, Place<'a>)>,
    required: &mut HashSet<&'a str>,
) {
    let schema = schema.resolved();
    if !seen.insert(std::ptr::from_ref(schema.node).addr()) {
        return;
    }
    let names = schema.node.get("required").and_then(Node::as_list).unwrap_or_default();
    required.extend(names.iter().filter_map(Node::as_text));
    for (name, _, property) in schema.get("properties").iter().flat_map(Place::entries) {
        properties.push((name, property));
    }
    if let Some(parts) = schema.get("allOf") {
        for (index, node) in parts.node.as_list().unwrap_or_default().iter().enumerate() {
            gather(&parts.item(index, node), seen, properties, required);
        }
    }
}

/// The path item and the operation.
fn place_of<'a>(root: &Place<'a>, operation: &Operation) -> Option<(Place<'a>, Place<'a>)> {
    let item = root.get("paths")?.get(&operation.path)?.resolved();
    let operation = item.get(&operation.method.as_str().to_ascii_lowercase())?;
    Some((item, operation))
}

fn body_schema<'a>(operation: &Place<'a>) -> Option<Place<'a>> {
    content_schema(&operation.get("requestBody")?.resolved())
}

/// The schema of the first media type.
fn content_schema<'a>(body: &Place<'a>) -> Option<Place<'a>> {
    let content = body.get("content")?;
    let (.., media) = content.entries().next()?;
    media.get("schema")
}

/// The schemas of parameters by name, those of the operation before those of its path item.
fn parameter_schemas<'a>(item: &Place<'a>, operation: &Place<'a>) -> HashMap<&'a str, Place<'a>> {
    let mut schemas = HashMap::new();
    for list in [operation.get("parameters"), item.get("parameters")].into_iter().flatten() {
        for (index, node) in list.node.as_list().unwrap_or_default().iter().enumerate() {
            let parameter = list.item(index, node).resolved();
            let name = parameter.node.get("name").and_then(Node::as_text);
            if let (Some(name), Some(schema)) = (name, parameter.get("schema")) {
                schemas.entry(name).or_insert(schema);
            }
        }
    }
    schemas
}

type CallbackBody<'a> = (&'a str, Option<Place<'a>>, Option<&'a str>);

/// Name, schema and `operationId` of every callback of an operation.
fn callback_bodies<'a>(operation: &Place<'a>) -> Vec<CallbackBody<'a>> {
    let mut found = Vec::new();
    for (name, _, callback) in operation.get("callbacks").iter().flat_map(Place::entries) {
        for (expression, _, item) in callback.resolved().entries() {
            if expression.starts_with("x-") {
                continue;
            }
            for (key, _, callback) in item.resolved().entries() {
                if operations::Method::from_key(key).is_some() {
                    let id = callback.node.get("operationId").and_then(Node::as_text);
                    found.push((name, body_schema(&callback), id));
                }
            }
        }
    }
    found
}
