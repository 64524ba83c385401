//! `$ref`: local references are followed, everything else is a finding.

use std::borrow::Cow;

use super::code::Code;
use super::finding::Finding;
use super::tree::{Node, Value};

/// References that may follow one another before it is called a cycle.
const MAX_HOPS: usize = 64;

/// Why a reference can't be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Into another file or host.
    Remote,
    /// Nothing is there.
    Missing,
    /// Only references, in a circle.
    Cycle,
}

/// Follows the `$ref`s of `node` until something that is none. The second value is the JSON path of what was
/// found, when a reference was followed.
///
/// # Errors
/// [`Broken`] when that is not possible.
pub fn resolve<'a>(root: &'a Node, node: &'a Node) -> Result<(&'a Node, Option<String>), Broken> {
    let mut current = node;
    let mut path = None;
    for _ in 0..MAX_HOPS {
        let Some(reference) = target(current) else { return Ok((current, path)) };
        let pointer = reference.strip_prefix('#').ok_or(Broken::Remote)?;
        current = look_up(root, pointer).ok_or(Broken::Missing)?;
        path = Some(json_path(pointer));
    }
    Err(Broken::Cycle)
}

/// The text of `$ref`, when the node is a reference.
pub fn target(node: &Node) -> Option<&str> {
    node.get("$ref").and_then(Node::as_text)
}

/// The value a JSON pointer (RFC 6901) names.
pub fn look_up<'a>(root: &'a Node, pointer: &str) -> Option<&'a Node> {
    if pointer.is_empty() {
        return Some(root);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(root, |node, segment| {
        let segment = unescape(segment);
        match &node.value {
            Value::Map(map) => map.get(segment.as_ref()).map(|entry| &entry.node),
            Value::List(list) => list.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    })
}

/// `~1` is a slash, `~0` a tilde (RFC 6901 §4), and in a URL fragment both may be percent-encoded.
pub fn unescape(segment: &str) -> Cow<'_, str> {
    let decoded =
        percent_encoding::percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment));
    if decoded.contains('~') { Cow::Owned(decoded.replace("~1", "/").replace("~0", "~")) } else { decoded }
}

fn json_path(pointer: &str) -> String {
    let mut path = String::from("$");
    for segment in pointer.split('/').skip(1) {
        path.push('.');
        path.push_str(&unescape(segment));
    }
    path
}

/// Every `$ref` of the document that can't be followed.
pub fn check(root: &Node) -> Vec<Finding> {
    let mut walk = Walk { root, path: Vec::new(), findings: Vec::new() };
    walk.visit(root, Surroundings::Document);
    walk.findings
}

struct Walk<'a> {
    root: &'a Node,
    path: Vec<Cow<'a, str>>,
    findings: Vec<Finding>,
}

/// What the keys of a mapping mean.
#[derive(Clone, Copy, PartialEq)]
enum Surroundings {
    /// Keywords of OpenAPI.
    Document,
    /// Names chosen by the author (the properties of a schema), so `example` is a name here.
    Names,
}

/// Keywords whose values are data: a `$ref` in them is an example of one.
const DATA: [&str; 4] = ["example", "examples", "default", "enum"];

impl<'a> Walk<'a> {
    fn visit(&mut self, node: &'a Node, surroundings: Surroundings) {
        match &node.value {
            Value::List(list) => list.iter().enumerate().for_each(|(index, item)| {
                self.path.push(Cow::Owned(format!("[{index}]")));
                self.visit(item, Surroundings::Document);
                self.path.pop();
            }),
            Value::Map(_) => self.visit_map(node, surroundings),
            _ => {}
        }
    }

    fn visit_map(&mut self, node: &'a Node, surroundings: Surroundings) {
        if surroundings == Surroundings::Document && target(node).is_some() {
            self.check(node);
        }
        for (key, entry) in node.as_map().into_iter().flatten() {
            let is_keyword = surroundings == Surroundings::Document;
            if is_keyword && (DATA.contains(&key.as_str()) || key.starts_with("x-")) {
                continue;
            }
            let inside = match key.as_str() {
                "properties" | "schemas" if is_keyword => Surroundings::Names,
                _ => Surroundings::Document,
            };
            self.path.push(Cow::Borrowed(key));
            self.visit(&entry.node, inside);
            self.path.pop();
        }
    }

    fn check(&mut self, node: &'a Node) {
        let Err(broken) = resolve(self.root, node) else { return };
        let reference: String = target(node).unwrap_or_default().chars().take(120).collect();
        let (code, message) = match broken {
            Broken::Remote => (
                Code::ReferenceRemote,
                format!(
                    "`$ref: {reference}` leads out of the document; copy what it names into `components`"
                ),
            ),
            Broken::Missing => {
                (Code::ReferenceUnresolved, format!("`$ref: {reference}` leads nowhere; check the spelling"))
            }
            Broken::Cycle => (
                Code::ReferenceCycle,
                format!("`$ref: {reference}` leads only to other references, in a circle"),
            ),
        };
        let at = node.get("$ref").map_or(node.at, |reference| reference.at);
        self.findings.push(Finding::new(code, self.rendered_path(), at, message));
    }

    fn rendered_path(&self) -> String {
        let mut path = String::from("$");
        for segment in &self.path {
            if !segment.starts_with('[') {
                path.push('.');
            }
            path.push_str(segment);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn document() -> Node {
        yaml::read(
            "components:\n  schemas:\n    A: {$ref: '#/components/schemas/B'}\n    B: {type: string}\n    \
             C: {$ref: '#/components/schemas/D'}\n    D: {$ref: '#/components/schemas/C'}\n    \
             E: {$ref: 'other.yaml#/A'}\n    F: {$ref: '#/components/schemas/Z'}\n    \
             G: {properties: {self: {$ref: '#/components/schemas/G'}, example: {$ref: '#/nope'}}, example: {$ref: x}}\n\
             paths:\n  /a~b: {get: {}}\n",
        )
        .unwrap()
    }

    #[test]
    fn local_references_are_followed() {
        let root = document();
        let node = look_up(&root, "/components/schemas/A").unwrap();
        let (found, path) = resolve(&root, node).unwrap();
        assert_eq!(found.get("type").unwrap().as_text(), Some("string"));
        assert_eq!(path.as_deref(), Some("$.components.schemas.B"));
        assert!(look_up(&root, "/paths/~1a~0b/get").is_some());
        assert!(look_up(&root, "/paths/%2Fa~0b/get").is_some(), "a fragment may be percent-encoded");
    }

    #[test]
    fn what_cannot_be_followed_is_found_once_and_data_is_left_alone() {
        let found: Vec<String> = check(&document()).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(found.join("\n"));
    }
}
