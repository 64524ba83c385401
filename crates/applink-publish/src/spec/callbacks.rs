//! `callbacks` of an operation (OpenAPI 3.0 "Callback Object"): what the app sends back later, and where the
//! request says it shall go.

use super::code::Code;
use super::finding::Finding;
use super::operations::{Body, Method, Place, body};
use super::references;
use super::tree::{Node, Position};

/// One callback: a name, and the request the app will make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its name; the method of the Apex handler.
    pub name: String,
    /// Where the URL comes from.
    pub expression: RuntimeExpression,
    /// `operationId` of the callback's operation.
    pub operation_id: Option<String>,
    /// The method the app uses.
    pub method: Method,
    /// What the app sends.
    pub request: Option<Body>,
    /// The place of its operation.
    pub at: Position,
}

/// `{$request.body#/callbackUrl}` and its kin (OpenAPI 3.0 "Runtime Expressions").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeExpression {
    /// A property of the request's body, as a JSON pointer without the `#`.
    Body(String),
    /// A query parameter of the request.
    Query(String),
    /// A header of the request.
    Header(String),
}

impl RuntimeExpression {
    /// Reads the key of a callback. Text around the braces is not allowed: an org fills in the whole URL.
    pub fn parse(text: &str) -> Option<Self> {
        let source = text.strip_prefix('{')?.strip_suffix('}')?.strip_prefix("$request.")?;
        if let Some(pointer) = source.strip_prefix("body#") {
            return pointer.starts_with('/').then(|| Self::Body(pointer.to_owned()));
        }
        let named =
            |prefix: &str| source.strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned);
        named("query.").map(Self::Query).or_else(|| named("header.").map(Self::Header))
    }
}

/// Reads the callbacks of one operation.
pub fn read(
    operation: &Place<'_>,
    request: Option<&Body>,
    parameters: &[super::Parameter],
    findings: &mut Vec<Finding>,
) -> Vec<Callback> {
    let mut found = Vec::new();
    let Some(callbacks) = operation.mapping("callbacks", findings) else { return found };
    for (name, _, callback) in callbacks.entries() {
        for (expression, key_at, item) in callback.resolved().entries() {
            if expression.starts_with("x-") {
                continue;
            }
            let Some(expression) = checked_expression(expression, key_at, &item, findings) else { continue };
            check_target(&expression, operation, request, parameters, (&item, key_at), findings);
            found.extend(operations_of(name, &expression, &item.resolved(), findings));
        }
    }
    found
}

fn checked_expression(
    text: &str,
    at: Position,
    item: &Place<'_>,
    findings: &mut Vec<Finding>,
) -> Option<RuntimeExpression> {
    let parsed = RuntimeExpression::parse(text);
    if parsed.is_none() {
        let shown: String = text.chars().take(80).collect();
        let message = format!(
            "`{shown}` does not say where the org shall put the callback URL; \
             write it like \"{{$request.body#/callbackUrl}}\""
        );
        findings.push(Finding::new(Code::CallbackExpression, &item.path, at, message));
    }
    parsed
}

/// The property, parameter or header must exist, or the org has nowhere to put the URL.
fn check_target(
    expression: &RuntimeExpression,
    operation: &Place<'_>,
    request: Option<&Body>,
    parameters: &[super::Parameter],
    (item, at): (&Place<'_>, Position),
    findings: &mut Vec<Finding>,
) {
    let has_parameter = |place, name: &str| {
        parameters
            .iter()
            .any(|parameter| parameter.place == place && parameter.name.eq_ignore_ascii_case(name))
    };
    let missing = match expression {
        RuntimeExpression::Body(pointer) => {
            let schema = request.and_then(|body| body.schema_node(operation));
            schema.is_none_or(|schema| !may_have(operation.root, schema, pointer)).then_some("property")
        }
        RuntimeExpression::Query(name) => {
            (!has_parameter(super::ParameterPlace::Query, name)).then_some("query parameter")
        }
        RuntimeExpression::Header(name) => {
            (!has_parameter(super::ParameterPlace::Header, name)).then_some("header")
        }
    };
    if let Some(kind) = missing {
        let message = format!(
            "the callback names a {kind} that the request does not have; add it to the request (type: string)"
        );
        findings.push(Finding::new(Code::CallbackPropertyMissing, &item.path, at, message));
    }
}

/// Whether values of `schema` can have the property `pointer` names. Schemas that say more than `properties`
/// get the benefit of the doubt.
fn may_have(root: &Node, schema: &Node, pointer: &str) -> bool {
    let mut current = schema;
    for segment in pointer.split('/').skip(1) {
        let Ok((resolved, _)) = references::resolve(root, current) else { return true };
        let is_open =
            ["allOf", "anyOf", "oneOf", "additionalProperties"].iter().any(|key| resolved.get(key).is_some());
        let property = resolved.get("properties").and_then(|all| all.get(&references::unescape(segment)));
        match property {
            Some(property) => current = property,
            None => return is_open,
        }
    }
    true
}

fn operations_of(
    name: &str,
    expression: &RuntimeExpression,
    item: &Place<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Callback> {
    let mut found = Vec::new();
    for (key, _, operation) in item.entries() {
        let Some(method) = Method::from_key(key) else { continue };
        found.push(Callback {
            name: name.to_owned(),
            expression: expression.clone(),
            operation_id: operation.node.get("operationId").and_then(Node::as_text).map(str::to_owned),
            method,
            request: body(&operation, findings),
            at: operation.node.at,
        });
    }
    found
}
