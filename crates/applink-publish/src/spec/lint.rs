//! The rules of External Services beyond well-formedness: names, counts, media types, headers, descriptions, agents.
//!
//! Every schema is looked at once, however often it is referred to: the work is linear in the document.

mod actions;
mod media;
mod names;
mod operations;
mod schemas;

use std::collections::HashSet;

use super::agent::Agent;
use super::code::Code;
use super::extension::X_SFDC;
use super::finding::Finding;
use super::operations::{Method, Operation, Place};
use super::tree::{Node, Position};

/// Characters of a description an org keeps (Salesforce: "External Services naming and description").
const MAX_DESCRIPTION: usize = 1_333;

/// Checks a whole document.
pub(super) fn check(root: &Place<'_>, operations: &[Operation], agent: &Agent, findings: &mut Vec<Finding>) {
    let mut lint = Lint { findings, seen: HashSet::new(), objects: 0, properties: 0 };
    lint.root(root);
    for (_, key_at, item) in root.get("paths").iter().flat_map(Place::entries) {
        lint.path_item(&item.resolved(), key_at);
    }
    if let Some(components) = root.get("components") {
        lint.components(&components);
    }
    lint.counts(root);
    names::check(root, operations, lint.findings);
    actions::check_topic(root, operations, agent, lint.findings);
}

/// One walk over a document.
struct Lint<'a> {
    findings: &'a mut Vec<Finding>,
    /// Addresses of the nodes that were looked at: what `$ref` leads to is looked at once.
    seen: HashSet<usize>,
    objects: usize,
    properties: usize,
}

impl Lint<'_> {
    fn find(&mut self, code: Code, path: impl Into<String>, at: Position, message: impl Into<String>) {
        self.findings.push(Finding::new(code, path, at, message));
    }

    /// Whether a node is looked at for the first time.
    fn is_new(&mut self, node: &Node) -> bool {
        self.seen.insert(std::ptr::from_ref(node).addr())
    }

    fn root(&mut self, root: &Place<'_>) {
        if let Some(info) = root.get("info") {
            self.description(&info);
        }
        if let Some(security) = root.get("security") {
            let message = "`security` says nothing to an org: it signs every call, and the mesh checks that";
            self.find(Code::SecurityIgnored, &security.path, security.node.at, message);
        }
        let authorization = [X_SFDC, "heroku", "authorization"];
        if let Some(block) = authorization.iter().try_fold(root.clone(), |place, key| place.get(key)) {
            let message = "an authorization block counts on an operation only; move it there";
            self.find(Code::AuthorizationMisplaced, &block.path, block.node.at, message);
        }
        self.extension(root, &["heroku", "agent"]);
    }

    fn path_item(&mut self, item: &Place<'_>, key_at: Position) {
        if !self.is_new(item.node) {
            return;
        }
        self.servers(item);
        for parameter in parameters(item) {
            self.parameter(&parameter);
        }
        for (key, at, operation) in item.entries() {
            if let (Some(method), Some(_)) = (Method::from_key(key), operation.node.as_map()) {
                self.operation(method, at.max(key_at), &operation);
            }
        }
    }

    fn components(&mut self, components: &Place<'_>) {
        for (name, key_at, schema) in components.get("schemas").iter().flat_map(Place::entries) {
            self.name_length(name, &schema.path, key_at);
            self.schema(&schema, false);
        }
    }

    fn servers(&mut self, place: &Place<'_>) {
        if let Some(servers) = place.get("servers") {
            let message =
                "`servers` of a single path or operation is not used: the org calls the app's own URL";
            self.find(Code::ServersIgnored, &servers.path, servers.node.at, message);
        }
    }

    fn description(&mut self, place: &Place<'_>) {
        let Some(node) = place.node.get("description") else { return };
        let Some(count) = node.as_text().filter(|text| text.len() > MAX_DESCRIPTION) else { return };
        let count = count.chars().count();
        if count > MAX_DESCRIPTION {
            let message = format!("the description has {count} characters; the org keeps {MAX_DESCRIPTION}");
            self.find(Code::DescriptionCut, format!("{}.description", place.path), node.at, message);
        }
    }

    fn name_length(&mut self, name: &str, path: &str, at: Position) {
        if name.len() > super::operations::MAX_NAME {
            let shown: String = name.chars().take(40).collect();
            let message = format!("`{shown}…` has {} characters; the org keeps 80", name.chars().count());
            self.find(Code::NameCut, path, at, message);
        }
    }

    /// Keys right below `x-sfdc`.
    fn extension(&mut self, place: &Place<'_>, known: &[&str]) {
        for (key, at, value) in place.get(X_SFDC).iter().flat_map(Place::entries) {
            if !known.contains(&key) {
                let key: String = key.chars().take(40).collect();
                let message = format!("`{key}` means nothing here; known are {}", known.join(", "));
                self.find(Code::ExtensionKey, &value.path, at, message);
            }
        }
    }

    fn counts(&mut self, root: &Place<'_>) {
        use super::{MAX_OBJECTS, MAX_PROPERTIES};
        let at = root.node.at;
        if self.objects > MAX_OBJECTS {
            let message =
                format!("the document has {} object types; an org takes {MAX_OBJECTS}", self.objects);
            self.find(Code::TooManyObjects, "$", at, message);
        }
        if self.properties > MAX_PROPERTIES {
            let message =
                format!("the document has {} properties; an org takes {MAX_PROPERTIES}", self.properties);
            self.find(Code::TooManyProperties, "$", at, message);
        }
    }
}

/// The parameters of a path item or an operation, references followed.
fn parameters<'a>(place: &Place<'a>) -> Vec<Place<'a>> {
    let Some(list) = place.get("parameters") else { return Vec::new() };
    let items = list.node.as_list().unwrap_or_default().iter().enumerate();
    items.map(|(index, node)| list.item(index, node).resolved()).collect()
}
