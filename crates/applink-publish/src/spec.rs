//! The OpenAPI document: what an org will be able to call, and everything that would stop it.
//!
//! 1. [`read`] takes the bytes as YAML ([`yaml`]) or JSON ([`json`]) into a [`Node`] tree that keeps line and
//!    column of every value, within limits on depth and aliases.
//! 2. The version is checked: OpenAPI 3.0, or 3.1 as far as 3.0 has words for it ([`openapi31`]).
//! 3. Every `$ref` is followed once ([`references`]): local ones must resolve, cycles of nothing but `$ref` and
//!    remote ones are findings. Recursive schemas are fine.
//! 4. The paths become typed [`Operation`]s ([`operations`]), with the `x-sfdc` block ([`extension`]) and the
//!    callbacks ([`callbacks`]); the agent topic is read ([`agent`]).
//! 5. Everything is held against the rules of External Services ([`lint`]).
//!
//! All findings are collected; the document is refused when one of them is an error.

pub mod agent;
pub mod callbacks;
pub mod code;
pub mod extension;
pub mod finding;
pub mod json;
mod lint;
mod openapi31;
pub mod operations;
pub mod references;
pub mod tree;
pub mod yaml;

use serde::{Deserialize, Serialize};

pub use self::agent::{Agent, Topic};
pub use self::callbacks::{Callback, RuntimeExpression};
pub use self::code::{Code, Severity};
pub use self::extension::{Authorization, Named};
pub use self::finding::Finding;
pub use self::operations::{
    Body, Method, Operation, Parameter, ParameterPlace, Response, SchemaUse, operation_name,
};
pub use self::tree::{Node, Position};

/// Active object types an org takes (Salesforce: "External Services limits").
pub const MAX_OBJECTS: usize = 3_000;
/// Properties of object types an org takes.
pub const MAX_PROPERTIES: usize = 400_000;

/// How a document is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// For messages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        }
    }

    /// The name of the document in the uploaded archive.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Yaml => applink_api::publication::SPEC_YAML,
            Self::Json => applink_api::publication::SPEC_JSON,
        }
    }

    /// By the file's extension, without regard to case.
    pub fn of_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A document that can be published.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The whole document.
    pub document: Node,
    /// `info.title`.
    pub title: Option<String>,
    /// What an org can call, in the order of the document. Never empty.
    pub operations: Vec<Operation>,
    /// What it says to agents.
    pub agent: Agent,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
}

/// A document that can't be published: its findings, at least one of them an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", first_error(findings))]
pub struct SpecError {
    /// Everything found, in the order of the document.
    pub findings: Vec<Finding>,
}

impl SpecError {
    fn of(finding: Finding) -> Self {
        Self { findings: vec![finding] }
    }
}

fn first_error(findings: &[Finding]) -> String {
    let Some(first) = findings.iter().find(|finding| finding.is_error()).or(findings.first()) else {
        return "the document can't be published".to_owned();
    };
    match findings.len() {
        1 => first.to_string(),
        count => format!("{first} (and {} more)", count.saturating_sub(1)),
    }
}

/// Reads and checks a document.
///
/// # Errors
/// [`SpecError`] with every finding when one of them refuses the publish.
pub fn read(format: Format, bytes: &[u8]) -> Result<Spec, SpecError> {
    check_size(format, bytes).map_err(SpecError::of)?;
    let document = parse(format, bytes).map_err(SpecError::of)?;
    let mut findings = Vec::new();
    let document = match version(&document).map_err(SpecError::of)? {
        Version::V30 => document,
        Version::V31(at) => {
            let message = "the document is OpenAPI 3.1; External Services reads 3.0 and gets it as such";
            findings.push(Finding::new(Code::OpenApi31, "$.openapi", at, message));
            openapi31::to_3_0(document, &mut findings)
        }
    };
    findings.extend(references::check(&document));
    let operations = operations::read(&document, &mut findings);
    let root = operations::Place { root: &document, node: &document, path: "$".to_owned() };
    let agent = agent::read(&root, &mut findings);
    lint::check(&root, &operations, &agent, &mut findings);
    finding::sort(&mut findings);
    if findings.iter().any(Finding::is_error) {
        return Err(SpecError { findings });
    }
    let title = document.get("info").and_then(|info| info.get("title")).and_then(Node::as_text);
    Ok(Spec { title: title.map(str::to_owned), operations, agent, findings, document })
}

/// Everything found in a document, whether it can be published or not.
pub fn findings(format: Format, bytes: &[u8]) -> Vec<Finding> {
    match read(format, bytes) {
        Ok(spec) => spec.findings,
        Err(error) => error.findings,
    }
}

fn check_size(format: Format, bytes: &[u8]) -> Result<(), Finding> {
    let limit = match format {
        Format::Yaml => crate::package::MAX_YAML_BYTES,
        Format::Json => crate::package::MAX_JSON_BYTES,
    };
    let size = bytes.len() as u64;
    if size <= limit {
        return Ok(());
    }
    let message = format!("the document has {size} bytes; as {} it may have {limit}", format.title());
    Err(Finding::new(Code::DocumentTooLarge, "$", Position::START, message))
}

fn parse(format: Format, bytes: &[u8]) -> Result<Node, Finding> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = Position::of_offset(bytes, error.valid_up_to());
        Finding::new(Code::Syntax, "$", at, "the document is not UTF-8 text; save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = match format {
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
    };
    parsed.map_err(|error| {
        let message = format!("the document is not well-formed {}: {error}", format.title());
        Finding::new(Code::Syntax, "$", error.at, message)
    })
}

enum Version {
    V30,
    V31(Position),
}

/// `openapi: 3.0.x` or `3.1.x`, as a text or as YAML's number `3.0`.
fn version(document: &Node) -> Result<Version, Finding> {
    let Some(map) = document.as_map() else {
        let message = format!(
            "an OpenAPI document is a mapping that starts with `openapi: 3.0.3`, this is {}",
            document.kind()
        );
        return Err(Finding::new(Code::NotOpenApi, "$", document.at, message));
    };
    if let Some(swagger) = map.get("swagger") {
        let message = "this is a Swagger 2.0 document; convert it to OpenAPI 3.0";
        return Err(Finding::new(Code::OpenApiVersion, "$.swagger", swagger.key_at, message));
    }
    let Some(version) = map.get("openapi") else {
        let message =
            "this is not an OpenAPI document: the key `openapi` (for example `openapi: 3.0.3`) is missing";
        return Err(Finding::new(Code::NotOpenApi, "$", document.at, message));
    };
    let found = scalar_text(&version.node);
    if found == "3.0" || found.starts_with("3.0.") {
        return Ok(Version::V30);
    }
    if found == "3.1" || found.starts_with("3.1.") {
        return Ok(Version::V31(version.node.at));
    }
    let shown: String = found.chars().take(20).collect();
    let message = format!("`{shown}` is not a version of OpenAPI 3.0; write `openapi: 3.0.3`");
    Err(Finding::new(Code::OpenApiVersion, "$.openapi", version.node.at, message))
}

/// A text, or a number as it is written in JSON.
fn scalar_text(node: &Node) -> String {
    match &node.value {
        tree::Value::Text(text) => text.clone(),
        tree::Value::Number(number) => number.to_string(),
        _ => node.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests;
