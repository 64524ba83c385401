//! External services: an OpenAPI document of a registration, read to typed operations.
//!
//! The org accepts OpenAPI 3.0 (and 3.1 where it says the same) as JSON or YAML. What it can't call is
//! refused when the registration is deployed, with the place in the document.

pub(crate) mod schema;

pub(crate) mod callbacks;

use serde_json::{Map, Value};

pub(crate) use callbacks::{Callback, Target};

/// An external service takes at most this many active operations.
const MAX_OPERATIONS: usize = 3_000;
/// Longer schemas are refused: 10,000,000 characters as JSON, 3,000,000 as YAML.
const MAX_JSON_CHARS: usize = 10_000_000;
const MAX_YAML_CHARS: usize = 3_000_000;
/// Operation names are cut to this length, as External Services does from system version 3 on.
const MAX_NAME_CHARS: usize = 80;
/// Methods an external service can call.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Headers that belong to the platform and can't be parameters.
const RESERVED_HEADERS: [&str; 6] =
    ["authorization", "cookie", "content-length", "host", "x-request-context", "x-client-context"];

/// The other media types an org sends.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain";

/// A service: its document and what can be called in it.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) document: Value,
    pub(crate) operations: Vec<Operation>,
}

/// One callable operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// The name Flow and Apex know it by: the document's `operationId` made an identifier.
    pub(crate) name: String,
    pub(crate) summary: Option<String>,
    pub(crate) method: http::Method,
    /// With `{placeholders}` for path parameters.
    pub(crate) path: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) authorization: Authorization,
}

/// A path, query or header parameter.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// A request body.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) media_type: String,
    pub(crate) schema: Value,
}

/// What `x-sfdc.heroku.authorization` of an operation names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) connected_app: Option<String>,
    pub(crate) external_client_app: Option<String>,
    /// A session-based permission set the org activates while the call runs.
    pub(crate) permission_set: Option<String>,
}

/// Why a schema can't be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("the schema is neither JSON nor YAML: {problem} (line {line}, column {column} of the schema)")]
    Syntax { problem: String, line: u64, column: u64 },
    #[error("the schema is longer than {limit} characters")]
    TooLong { limit: usize },
    #[error("{path}: {problem}")]
    Invalid { path: String, problem: String },
}

fn invalid(path: impl Into<String>, problem: impl Into<String>) -> ServiceError {
    ServiceError::Invalid { path: path.into(), problem: problem.into() }
}

impl Service {
    /// Reads a schema text.
    ///
    /// # Errors
    /// [`ServiceError`] with the line and column, or the path inside the document.
    pub(crate) fn read(schema: &str) -> Result<Self, ServiceError> {
        let document = parse_text(schema)?;
        check_version(&document)?;
        let operations = read_operations(&document)?;
        Ok(Self { document, operations })
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name.eq_ignore_ascii_case(name))
    }
}

impl Authorization {
    /// Reads the block; it sits on the operation, and on the document as the default for all of them.
    fn read(holder: &Value) -> Self {
        let block = holder.pointer("/x-sfdc/heroku/authorization");
        let name =
            |key: &str| block.and_then(|block| block.get(key)).and_then(Value::as_str).map(str::to_owned);
        Self {
            connected_app: name("connectedApp"),
            external_client_app: name("externalClientApp"),
            permission_set: name("permissionSet"),
        }
    }
}

fn parse_text(schema: &str) -> Result<Value, ServiceError> {
    if schema.trim_start().starts_with('{') {
        if schema.chars().count() > MAX_JSON_CHARS {
            return Err(ServiceError::TooLong { limit: MAX_JSON_CHARS });
        }
        return serde_json::from_str(schema).map_err(|error| ServiceError::Syntax {
            problem: error.to_string(),
            line: error.line() as u64,
            column: error.column() as u64,
        });
    }
    if schema.chars().count() > MAX_YAML_CHARS {
        return Err(ServiceError::TooLong { limit: MAX_YAML_CHARS });
    }
    serde_saphyr::from_str(schema).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        let message = error.without_snippet().to_string();
        ServiceError::Syntax { problem: message.lines().next().unwrap_or_default().to_owned(), line, column }
    })
}

fn check_version(document: &Value) -> Result<(), ServiceError> {
    match document.get("openapi").and_then(Value::as_str) {
        Some(version)
            if version.starts_with("3.0.")
                || version.starts_with("3.1.")
                || matches!(version, "3.0" | "3.1") =>
        {
            Ok(())
        }
        Some(version) => Err(invalid("openapi", format!("version {version} is not supported, use 3.0"))),
        None => Err(invalid("openapi", "the field is missing, so this is no OpenAPI 3 document")),
    }
}

fn read_operations(document: &Value) -> Result<Vec<Operation>, ServiceError> {
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .ok_or_else(|| invalid("paths", "the document has no paths"))?;
    let defaults = Authorization::read(document);
    let mut operations: Vec<Operation> = Vec::new();
    for (path, item) in paths {
        if !path.starts_with('/') {
            return Err(invalid(format!("paths.{path}"), "a path starts with /"));
        }
        for method in METHODS {
            let Some(source) = item.get(method) else { continue };
            let reader = Reader { document, item, place: format!("paths.{path}.{method}") };
            let operation = reader.operation(path, method, source, &defaults)?;
            if operations.iter().any(|other| other.name.eq_ignore_ascii_case(&operation.name)) {
                return Err(invalid(reader.place, format!("two operations are named {}", operation.name)));
            }
            operations.push(operation);
        }
    }
    match operations.len() {
        0 => Err(invalid("paths", "the document has no operation an org can call")),
        count if count > MAX_OPERATIONS => {
            Err(invalid("paths", format!("more than {MAX_OPERATIONS} operations")))
        }
        _ => Ok(operations),
    }
}

struct Reader<'a> {
    document: &'a Value,
    item: &'a Value,
    place: String,
}

impl Reader<'_> {
    fn operation(
        &self,
        path: &str,
        method: &str,
        source: &Value,
        defaults: &Authorization,
    ) -> Result<Operation, ServiceError> {
        let own = Authorization::read(source);
        let operation = Operation {
            name: operation_name(source.get("operationId").and_then(Value::as_str), method, path),
            summary: source
                .get("summary")
                .or_else(|| source.get("description"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            method: http::Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                .map_err(|_| invalid(self.place.clone(), "the method is unknown"))?,
            path: path.to_owned(),
            parameters: self.parameters(source)?,
            body: self.body(source)?,
            callbacks: callbacks::read(self.document, source, &self.place)?,
            authorization: if own == Authorization::default() { defaults.clone() } else { own },
        };
        self.check_placeholders(&operation)?;
        Ok(operation)
    }

    /// An operation's own parameters, and those of its path it doesn't override.
    fn parameters(&self, source: &Value) -> Result<Vec<Parameter>, ServiceError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for list in [source, self.item] {
            let entries =
                list.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for (index, entry) in entries.iter().enumerate() {
                let parameter = self.parameter(entry, index)?;
                if !parameters
                    .iter()
                    .any(|other| other.name == parameter.name && other.place == parameter.place)
                {
                    parameters.push(parameter);
                }
            }
        }
        Ok(parameters)
    }

    fn parameter(&self, entry: &Value, index: usize) -> Result<Parameter, ServiceError> {
        let place_name = || format!("{}.parameters[{index}]", self.place);
        let entry =
            schema::resolve(self.document, entry).map_err(|problem| invalid(place_name(), problem))?;
        let name = entry
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(place_name(), "the parameter has no name"))?;
        let place = match entry.get("in").and_then(Value::as_str) {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            other => {
                return Err(invalid(
                    place_name(),
                    format!("parameters in {} are not supported", other.unwrap_or("nothing")),
                ));
            }
        };
        if place == Place::Header && RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(invalid(place_name(), format!("the header {name} is reserved")));
        }
        let required =
            place == Place::Path || entry.get("required").and_then(Value::as_bool).unwrap_or_default();
        let schema = entry.get("schema").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        Ok(Parameter { name: name.to_owned(), place, required, schema })
    }

    fn body(&self, source: &Value) -> Result<Option<Body>, ServiceError> {
        let Some(body) = source.get("requestBody") else { return Ok(None) };
        let place = format!("{}.requestBody", self.place);
        let body = schema::resolve(self.document, body).map_err(|problem| invalid(place.clone(), problem))?;
        let content = body.get("content").and_then(Value::as_object);
        let (media_type, media) = content.and_then(|content| preferred_media(content)).ok_or_else(|| {
            invalid(place.clone(), "the body has no media type an org can send (application/json)")
        })?;
        let schema = media.get("schema").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        schema::check_references(self.document, &schema)
            .map_err(|problem| invalid(format!("{place}.content.schema"), problem))?;
        Ok(Some(Body {
            required: body.get("required").and_then(Value::as_bool).unwrap_or_default(),
            media_type,
            schema,
        }))
    }

    fn check_placeholders(&self, operation: &Operation) -> Result<(), ServiceError> {
        for name in placeholders(&operation.path) {
            if !operation
                .parameters
                .iter()
                .any(|parameter| parameter.place == Place::Path && parameter.name == name)
            {
                return Err(invalid(
                    self.place.clone(),
                    format!("the path parameter {{{name}}} is not declared"),
                ));
            }
        }
        Ok(())
    }
}

/// The names in braces of a path template.
fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn preferred_media(content: &Map<String, Value>) -> Option<(String, &Value)> {
    let json = content.iter().find(|(name, _)| {
        let name = name.split(';').next().unwrap_or_default().trim();
        name == "application/json" || name.ends_with("+json") || name == "*/*"
    });
    let written = |wanted: &str| {
        content
            .iter()
            .find(|(name, _)| name.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
            .map(|(_, media)| (wanted.to_owned(), media))
    };
    json.map(|(_, media)| ("application/json".to_owned(), media))
        .or_else(|| written(FORM))
        .or_else(|| written(TEXT))
}

/// `operationId`, or method and path when there is none, as an identifier of at most 80 characters.
fn operation_name(operation_id: Option<&str>, method: &str, path: &str) -> String {
    let derived = || format!("{method}{path}");
    let source = operation_id.filter(|id| !id.is_empty()).map_or_else(derived, str::to_owned);
    let identifier = source.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    identifier.take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const YAML: &str = r##"
openapi: 3.0.3
info: { title: T, version: "1" }
components:
  schemas:
    Request: { type: object, required: [ids], properties: { ids: { type: array, items: { type: string } }, callbackUrl: { type: string } } }
paths:
  /things/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: string } }
    post:
      operationId: sendThing
      x-sfdc: { heroku: { authorization: { externalClientApp: App, permissionSet: Set } } }
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Request" } } } }
      callbacks:
        done:
          "{$request.body#/callbackUrl}":
            post:
              operationId: doneCallback
              requestBody: { content: { application/json: { schema: { type: object } } } }
              responses: { 200: { description: ok } }
      responses: { 201: { description: made } }
    get:
      responses: { "200": { description: ok } }
"##;

    #[test]
    fn a_yaml_document_becomes_typed_operations() {
        let service = Service::read(YAML).unwrap();
        let names: Vec<_> = service.operations.iter().map(|o| (o.method.as_str(), o.name.as_str())).collect();
        assert_eq!(names, [("GET", "get_things__id_"), ("POST", "sendThing")]);
        let send = service.operation("SENDTHING").unwrap();
        assert_eq!(send.authorization.permission_set.as_deref(), Some("Set"));
        assert_eq!(send.callbacks[0].name, "done");
        assert_eq!(send.parameters[0].place, Place::Path);
    }

    #[test]
    fn faults_name_their_place() {
        let cases = [
            ("{\n  \"openapi\": }".to_owned(), "line 2"),
            ("openapi: 3.0.0\npaths: [unclosed".to_owned(), "line"),
            (json!({"swagger": "2.0"}).to_string(), "openapi:"),
            (json!({"openapi": "4.0.0"}).to_string(), "version 4.0.0"),
            (json!({"openapi": "3.0.0"}).to_string(), "paths:"),
            (json!({"openapi": "3.0.0", "paths": {}}).to_string(), "no operation"),
            (json!({"openapi": "3.0.0", "paths": {"/a/{b}": {"get": {}}}}).to_string(), "{b} is not declared"),
            (
                json!({"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "X"}}}}).to_string(),
                "paths./b.get: two operations",
            ),
            (
                json!({"openapi": "3.0.0", "paths": {"/a": {"get": {"parameters": [{"name": "Cookie", "in": "header"}]}}}}).to_string(),
                "parameters[0]: the header Cookie is reserved",
            ),
            (
                json!({"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}}}}}).to_string(),
                "#/nowhere",
            ),
        ];
        for (source, words) in cases {
            let error = Service::read(&source).unwrap_err().to_string();
            assert!(error.contains(words), "{source}\n{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_service_or_an_error(text in "\\PC{0,200}") {
            let _ = Service::read(&text);
        }
    }
}
