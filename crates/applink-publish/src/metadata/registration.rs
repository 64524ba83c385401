//! The External Service registration: the document itself, and the marker.

use serde_json::Value;

use super::authorization::Plan;
use super::xml::Element;
use super::{Component, File, Subject};
use crate::spec::{Code, Finding, Operation, Spec};

/// Characters of a document an org takes, as JSON (Salesforce: "External Services limits").
const MAX_DOCUMENT: usize = 10_000_000;

pub(super) fn build(
    spec: &Spec,
    subject: &Subject,
    plan: &Plan,
    marker: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Component {
    let name = subject.client.as_str();
    let document = document(spec, plan);
    if document.chars().count() > MAX_DOCUMENT {
        let message = format!("the document has more than {MAX_DOCUMENT} characters as JSON; split it");
        findings.push(Finding::new(Code::DocumentTooLarge, "$", spec.document.at, message));
    }
    let mut elements = vec![
        Element::text("description", description(spec, subject, marker)),
        Element::text("label", name),
        Element::text("namedCredentialReference", name),
    ];
    elements.extend(spec.operations.iter().map(|operation| {
        Element::of("operations", vec![Element::flag("active", true), Element::text("name", &operation.name)])
    }));
    elements.extend([
        Element::text("registrationProvider", subject.addon.to_string()),
        Element::text("registrationProviderAsset", subject.app.to_string()),
        Element::text("registrationProviderType", "Heroku"),
        Element::text("schema", document),
        Element::text("schemaType", "OpenApi3"),
        Element::text("status", "Complete"),
    ]);
    Component {
        kind: "ExternalServiceRegistration",
        name: name.to_owned(),
        file: File {
            path: format!("externalServiceRegistrations/{name}.externalServiceRegistration"),
            content: Element::of("ExternalServiceRegistration", elements).to_document(),
        },
        origin: Some(("$".to_owned(), spec.document.at)),
    }
}

/// At most 255 characters: what it is, and the marker.
fn description(spec: &Spec, subject: &Subject, marker: Option<&str>) -> String {
    let what = spec.title.as_deref().unwrap_or(subject.client.as_str());
    let text = format!("{what}, served by {}.", subject.app_name);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(150).collect();
    match marker {
        Some(marker) => format!("{text} {marker}"),
        None => text,
    }
}

/// The document as JSON text, with the planned names in its `x-sfdc` blocks: they are what the org acts on.
fn document(spec: &Spec, plan: &Plan) -> String {
    let mut document = spec.document.to_json();
    for operation in &spec.operations {
        if plan.differs_from(operation) {
            rewrite(&mut document, operation, plan);
        }
    }
    escape_noncharacters(document.to_string())
}

fn rewrite(document: &mut Value, operation: &Operation, plan: &Plan) {
    let method = operation.method.as_str().to_ascii_lowercase();
    let Some(target) = document
        .get_mut("paths")
        .and_then(|paths| paths.get_mut(&operation.path))
        .and_then(|item| item.get_mut(&method))
    else {
        return;
    };
    let block = ["x-sfdc", "heroku", "authorization"].iter().try_fold(target, |value, key| {
        let map = value.as_object_mut()?;
        Some(map.entry(*key).or_insert_with(|| Value::Object(serde_json::Map::new())))
    });
    let Some(block) = block.and_then(Value::as_object_mut) else { return };
    let names = plan.names_for(operation);
    for (key, name) in [
        ("connectedApp", names.connected_app),
        ("externalClientApp", names.external_client_app),
        ("permissionSet", names.permission_set),
    ] {
        match name {
            Some(name) => {
                block.insert(key.to_owned(), Value::String(name.to_owned()));
            }
            None => {
                block.shift_remove(key);
            }
        }
    }
}

/// JSON may hold U+FFFE and U+FFFF, XML 1.0 may not: inside a JSON text they can be written as escapes.
fn escape_noncharacters(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    json
}
