//! The paths of a document as typed operations.

use std::collections::{HashMap, HashSet};

use super::agent;
use super::callbacks::{self, Callback};
use super::code::Code;
use super::extension::{self, Authorization};
use super::finding::Finding;
use super::references;
use super::tree::{Node, Position};

/// Active operations an org takes (Salesforce: "External Services limits").
pub const MAX_OPERATIONS: usize = 3_000;

/// Callbacks that are read; by reference a short document could have any number.
const MAX_CALLBACKS: usize = 10_000;

/// Characters of a name in the org.
pub(crate) const MAX_NAME: usize = 80;

/// One operation an org can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `operationId`.
    pub id: String,
    /// What the org calls it: see [`operation_name`].
    pub name: String,
    /// The method.
    pub method: Method,
    /// The path, with `{placeholders}`.
    pub path: String,
    /// `description`, else `summary`.
    pub description: Option<String>,
    /// Path, query and header parameters, those of the path item included.
    pub parameters: Vec<Parameter>,
    /// What is sent.
    pub request: Option<Body>,
    /// What may come back.
    pub responses: Vec<Response>,
    /// What the app sends later.
    pub callbacks: Vec<Callback>,
    /// `x-sfdc.heroku.authorization`.
    pub authorization: Authorization,
    /// Whether agents may use it (`x-sfdc.agent.action.publishAsAgentAction`).
    pub is_agent_action: bool,
    /// Whether its queries hold personal data (`x-sfdc.privacy.isPii`).
    pub is_pii: bool,
    /// Its JSON path.
    pub json_path: String,
    /// Its place: that of its method.
    pub at: Position,
}

/// The methods External Services calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Method {
    /// GET
    Get,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// PATCH
    Patch,
}

impl Method {
    /// From its key in a path item.
    pub fn from_key(key: &str) -> Option<Self> {
        match key {
            "get" => Some(Self::Get),
            "put" => Some(Self::Put),
            "post" => Some(Self::Post),
            "delete" => Some(Self::Delete),
            "patch" => Some(Self::Patch),
            _ => None,
        }
    }

    /// As in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub place: ParameterPlace,
    /// Whether a caller must give it.
    pub required: bool,
    /// Its type.
    pub schema: Option<SchemaUse>,
}

/// Where a parameter goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ParameterPlace {
    /// Into the path.
    Path,
    /// Into the query.
    Query,
    /// Into a header.
    Header,
    /// Into a cookie, which External Services does not send.
    Cookie,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The first media type named.
    pub media_type: String,
    /// Its type.
    pub schema: Option<SchemaUse>,
    /// Whether a caller must give it.
    pub required: bool,
    /// JSON pointer of the media type's schema, for look-ups.
    schema_pointer: Vec<String>,
}

impl Body {
    /// The schema in the tree `operation` belongs to.
    pub(super) fn schema_node<'a>(&self, operation: &Place<'a>) -> Option<&'a Node> {
        let body = operation.get("requestBody")?.resolved();
        self.schema_pointer.iter().try_fold(body.node, |node, key| node.get(key))
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `200`, `4XX` or `default`.
    pub status: String,
    /// The first media type named.
    pub media_type: Option<String>,
    /// Its type.
    pub schema: Option<SchemaUse>,
}

/// How a type is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaUse {
    /// `$ref: '#/components/schemas/<name>'`.
    Component(String),
    /// Written in place.
    Inline,
}

impl SchemaUse {
    fn of(schema: &Node) -> Self {
        references::target(schema)
            .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
            .map_or(Self::Inline, |name| Self::Component(references::unescape(name).into_owned()))
    }
}

/// What an org calls an operation: every character that is not a letter, digit or underscore becomes an
/// underscore, and 80 characters are kept (Salesforce: "External Services naming").
pub fn operation_name(operation_id: &str) -> String {
    operation_id
        .chars()
        .take(MAX_NAME)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
        .collect()
}

/// A value together with its JSON path and the document it is part of.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The whole document.
    pub root: &'a Node,
    /// The value.
    pub node: &'a Node,
    /// Its JSON path.
    pub path: String,
}

impl<'a> Place<'a> {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<Self> {
        self.node.get(key).map(|node| self.child(key, node))
    }

    /// The mapping under `key`; another kind of value is a finding.
    pub fn mapping(&self, key: &str, findings: &mut Vec<Finding>) -> Option<Self> {
        let place = self.get(key)?;
        place.expect_mapping(findings).then_some(place)
    }

    /// What its `$ref`s lead to; itself when they are broken (which [`references::check`] reports).
    #[must_use]
    pub fn resolved(&self) -> Self {
        match references::resolve(self.root, self.node) {
            Ok((node, Some(path))) => Self { root: self.root, node, path },
            _ => self.clone(),
        }
    }

    /// Key, place of the key and value of every entry of a mapping; none when it isn't one.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Position, Self)> {
        let map = self.node.as_map().into_iter().flatten();
        map.map(|(key, entry)| (key.as_str(), entry.key_at, self.child(key, &entry.node)))
    }

    /// One element of this list.
    #[must_use]
    pub fn item(&self, index: usize, node: &'a Node) -> Self {
        Self { root: self.root, node, path: format!("{}[{index}]", self.path) }
    }

    fn child(&self, key: &str, node: &'a Node) -> Self {
        Self { root: self.root, node, path: format!("{}.{key}", self.path) }
    }

    fn expect_mapping(&self, findings: &mut Vec<Finding>) -> bool {
        let is_mapping = self.node.as_map().is_some();
        if !is_mapping {
            let message = format!("this must be a mapping, not {}", self.node.kind());
            findings.push(Finding::new(Code::WrongKind, &self.path, self.node.at, message));
        }
        is_mapping
    }
}

/// Reads every operation and appends what is wrong to `findings`.
pub fn read(document: &Node, findings: &mut Vec<Finding>) -> Vec<Operation> {
    let root = Place { root: document, node: document, path: "$".to_owned() };
    let mut operations = Vec::new();
    if document.get("paths").is_none() {
        findings.push(Finding::new(Code::NoOperations, "$", document.at, "the document has no `paths`"));
    }
    let Some(paths) = root.mapping("paths", findings) else { return operations };
    let mut seen = HashSet::new();
    let mut callbacks: usize = 0;
    for (path, key_at, item) in paths.entries() {
        if path.starts_with("x-") {
            continue;
        }
        let item = item.resolved();
        // One item under two paths gives the same operations twice: nothing is gained by reading it again, and a
        // short document could stand for a very long one.
        if !seen.insert(std::ptr::from_ref(item.node).addr()) {
            findings.push(same_item(&item, key_at));
            continue;
        }
        let before = operations.len();
        read_path(path, key_at, &item, &mut operations, findings);
        let added = operations.get(before..).unwrap_or_default();
        callbacks = added.iter().fold(callbacks, |sum, one| sum.saturating_add(one.callbacks.len()));
        if operations.len() > MAX_OPERATIONS || callbacks > MAX_CALLBACKS {
            break;
        }
    }
    check_names(&operations, findings);
    check_count(&operations, paths.node.at, findings);
    if callbacks > MAX_CALLBACKS {
        let message = format!("the document has more than {MAX_CALLBACKS} callbacks; split it");
        findings.push(Finding::new(Code::TooManyOperations, "$.paths", paths.node.at, message));
    }
    operations
}

fn same_item(item: &Place<'_>, at: Position) -> Finding {
    let message = "this is the same path item as above, so every `operationId` in it is given twice";
    Finding::new(Code::OperationIdDuplicate, &item.path, at, message)
}

fn check_count(operations: &[Operation], at: Position, findings: &mut Vec<Finding>) {
    if operations.is_empty() && !findings.iter().any(Finding::is_error) {
        let message = "the document has no operation; add one under `paths`";
        findings.push(Finding::new(Code::NoOperations, "$.paths", at, message));
    }
    if let Some(first_over) = operations.get(MAX_OPERATIONS) {
        let message = format!("an org takes at most {MAX_OPERATIONS} operations; split the document");
        findings.push(Finding::new(Code::TooManyOperations, &first_over.json_path, first_over.at, message));
    }
}

fn read_path(
    path: &str,
    key_at: Position,
    item: &Place<'_>,
    operations: &mut Vec<Operation>,
    findings: &mut Vec<Finding>,
) {
    if !path.starts_with('/') {
        let message = "a path must start with `/`";
        findings.push(Finding::new(Code::PathInvalid, &item.path, key_at, message));
        return;
    }
    if !item.expect_mapping(findings) {
        return;
    }
    let shared = parameters(item, findings);
    for (key, at, operation) in item.entries() {
        match Method::from_key(key) {
            Some(method) => {
                operations.extend(read_operation((path, method, at), &operation, &shared, findings));
            }
            None => findings.extend(key_that_is_no_method(key, at, &operation)),
        }
    }
}

fn key_that_is_no_method(key: &str, at: Position, place: &Place<'_>) -> Option<Finding> {
    match key {
        "options" | "head" | "trace" => {
            let message =
                format!("External Services can't call {}; remove the operation", key.to_ascii_uppercase());
            Some(Finding::new(Code::MethodUnsupported, &place.path, at, message))
        }
        "summary" | "description" | "servers" | "parameters" | "$ref" => None,
        key if key.starts_with("x-") => None,
        _ => {
            let key: String = key.chars().take(40).collect();
            let message = format!("`{key}` is not a method; write get, put, post, delete or patch");
            Some(Finding::new(Code::MethodUnknown, &place.path, at, message))
        }
    }
}

fn read_operation(
    (path, method, at): (&str, Method, Position),
    operation: &Place<'_>,
    shared: &[Parameter],
    findings: &mut Vec<Finding>,
) -> Option<Operation> {
    if !operation.expect_mapping(findings) {
        return None;
    }
    let id = operation_id(operation, at, findings)?;
    let parameters = with_shared(parameters(operation, findings), shared);
    check_placeholders(path, at, operation, &parameters, findings);
    let request = body(operation, findings);
    let callbacks = callbacks::read(operation, request.as_ref(), &parameters, findings);
    let text = |key| operation.node.get(key).and_then(Node::as_text).map(str::to_owned);
    let (is_agent_action, is_pii) = agent::action(operation, findings);
    Some(Operation {
        name: operation_name(&id),
        id,
        method,
        path: path.to_owned(),
        description: text("description").or_else(|| text("summary")),
        parameters,
        request,
        responses: responses(operation, findings),
        callbacks,
        authorization: extension::read(operation, findings),
        is_agent_action,
        is_pii,
        json_path: operation.path.clone(),
        at,
    })
}

fn operation_id(operation: &Place<'_>, at: Position, findings: &mut Vec<Finding>) -> Option<String> {
    let id = operation.node.get("operationId");
    if let Some(text) = id.and_then(Node::as_text).filter(|text| !text.trim().is_empty()) {
        return Some(text.to_owned());
    }
    let (at, message) = match id {
        Some(node) => (node.at, "`operationId` must be a text, it becomes the name of the action"),
        None => (at, "this operation has no `operationId`; add one, it becomes the name of the action"),
    };
    findings.push(Finding::new(Code::OperationIdMissing, &operation.path, at, message));
    None
}

fn parameters(place: &Place<'_>, findings: &mut Vec<Finding>) -> Vec<Parameter> {
    let Some(list) = place.get("parameters") else { return Vec::new() };
    let Some(items) = list.node.as_list() else {
        let message = format!("this must be a list, not {}", list.node.kind());
        findings.push(Finding::new(Code::WrongKind, &list.path, list.node.at, message));
        return Vec::new();
    };
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| parameter(&list.item(index, node).resolved(), findings))
        .collect()
}

fn parameter(item: &Place<'_>, findings: &mut Vec<Finding>) -> Option<Parameter> {
    if references::target(item.node).is_some() || !item.expect_mapping(findings) {
        return None;
    }
    let text = |key| item.node.get(key).and_then(Node::as_text);
    let place = match text("in") {
        Some("path") => Some(ParameterPlace::Path),
        Some("query") => Some(ParameterPlace::Query),
        Some("header") => Some(ParameterPlace::Header),
        Some("cookie") => Some(ParameterPlace::Cookie),
        _ => None,
    };
    let (Some(name), Some(place)) = (text("name"), place) else {
        let message = "a parameter needs `name`, and `in` with one of path, query or header";
        findings.push(Finding::new(Code::WrongKind, &item.path, item.node.at, message));
        return None;
    };
    Some(Parameter {
        name: name.to_owned(),
        place,
        required: place == ParameterPlace::Path
            || item.node.get("required").and_then(Node::as_bool).unwrap_or(false),
        schema: item.node.get("schema").map(SchemaUse::of),
    })
}

/// The operation's own parameters win over those of the path item (OpenAPI 3.0 "Path Item Object").
fn with_shared(mut own: Vec<Parameter>, shared: &[Parameter]) -> Vec<Parameter> {
    let given: HashSet<(String, ParameterPlace)> =
        own.iter().map(|parameter| (parameter.name.clone(), parameter.place)).collect();
    let added = shared.iter().filter(|parameter| !given.contains(&(parameter.name.clone(), parameter.place)));
    own.extend(added.cloned());
    own
}

fn check_placeholders(
    path: &str,
    at: Position,
    operation: &Place<'_>,
    parameters: &[Parameter],
    findings: &mut Vec<Finding>,
) {
    for name in placeholders(path) {
        let is_declared =
            |parameter: &Parameter| parameter.place == ParameterPlace::Path && parameter.name == name;
        if !parameters.iter().any(is_declared) {
            let message =
                format!("the path has `{{{name}}}`, but no parameter with `in: path` is called `{name}`");
            findings.push(Finding::new(Code::PathParameterMissing, &operation.path, at, message));
        }
    }
}

/// The names between `{` and `}`.
fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// The `requestBody` of an operation.
pub(super) fn body(operation: &Place<'_>, findings: &mut Vec<Finding>) -> Option<Body> {
    let body = operation.get("requestBody")?.resolved();
    if references::target(body.node).is_some() || !body.expect_mapping(findings) {
        return None;
    }
    let content = body.mapping("content", findings)?;
    let (media_type, _, media) = content.entries().next()?;
    Some(Body {
        media_type: media_type.to_owned(),
        schema: media.node.get("schema").map(SchemaUse::of),
        required: body.node.get("required").and_then(Node::as_bool).unwrap_or(false),
        schema_pointer: vec!["content".to_owned(), media_type.to_owned(), "schema".to_owned()],
    })
}

fn responses(operation: &Place<'_>, findings: &mut Vec<Finding>) -> Vec<Response> {
    let Some(responses) = operation.mapping("responses", findings) else { return Vec::new() };
    responses
        .entries()
        .filter(|(status, ..)| !status.starts_with("x-"))
        .map(|(status, _, response)| {
            let response = response.resolved();
            let media = response.get("content").and_then(|content| content.entries().next());
            Response {
                status: status.to_owned(),
                schema: media.as_ref().and_then(|(.., media)| media.node.get("schema")).map(SchemaUse::of),
                media_type: media.map(|(media_type, ..)| media_type.to_owned()),
            }
        })
        .collect()
}

/// No two operations may have the same id, nor become the same name in the org, where case does not count.
fn check_names(operations: &[Operation], findings: &mut Vec<Finding>) {
    let mut seen: HashMap<String, &Operation> = HashMap::new();
    for operation in operations {
        let Some(first) = seen.get(&operation.name.to_ascii_lowercase()) else {
            seen.insert(operation.name.to_ascii_lowercase(), operation);
            continue;
        };
        let (code, message) = if first.id == operation.id {
            let message =
                format!("the operationId `{}` is given twice (first on line {})", first.id, first.at.line);
            (Code::OperationIdDuplicate, message)
        } else {
            let message = format!(
                "the operationIds `{}` (line {}) and `{}` both become `{}` in the org, where letter case does not \
                 count; rename one",
                first.id, first.at.line, operation.id, operation.name
            );
            (Code::OperationNameCollision, message)
        };
        findings.push(Finding::new(code, &operation.json_path, operation.at, message));
    }
}
