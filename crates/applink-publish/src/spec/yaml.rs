//! YAML 1.2 into a [`Node`] tree, with the place of every value.
//!
//! Plain scalars follow the core schema (YAML 1.2.2 §10.3), and `<<` merges mappings as most tools that write
//! OpenAPI documents expect. Aliases are copies, and copies are counted: a document can't grow by more than
//! [`MAX_COPIED_NODES`] values or [`MAX_COPIED_BYTES`] bytes through them.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Tag};
use indexmap::IndexMap;
use serde_json::Number;

use super::tree::{Entry, MAX_DEPTH, Node, Position, SyntaxError, Value};

/// Values that anchors and aliases may add to a document.
pub const MAX_COPIED_NODES: usize = 200_000;
/// Bytes of text that anchors and aliases may add to a document.
pub const MAX_COPIED_BYTES: usize = 20 * 1024 * 1024;

/// Reads one YAML document.
///
/// # Errors
/// [`SyntaxError`] with the place: not YAML, more than one document, a key given twice or not a text, a number
/// out of range, an unknown tag, nesting or aliases over the limits.
pub fn read(text: &str) -> Result<Node, SyntaxError> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options()) {
        let (event, span) =
            next.map_err(|error| SyntaxError::new(position(*error.marker()), error.info()))?;
        builder.take(event, position(span.start))?;
    }
    builder.root.ok_or_else(|| SyntaxError::new(Position::START, "the document is empty"))
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    options
}

fn position(mark: Marker) -> Position {
    // The parser counts columns from zero and lines from one.
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(mark.line()), column: number(mark.col().saturating_add(1)) }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, Anchored>,
    copied: Weight,
}

/// A mapping or list whose end has not come yet.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { map: IndexMap<String, Entry>, key: Option<(String, Position)>, merges: Vec<Node> },
}

struct Anchored {
    node: Node,
    weight: Weight,
}

/// How much a copy of a node adds.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

impl Weight {
    fn of(node: &Node) -> Self {
        let mut weight = Self { nodes: 1, bytes: 0 };
        match &node.value {
            Value::Text(text) => weight.bytes = text.len(),
            Value::List(list) => list.iter().for_each(|item| weight.add(Self::of(item))),
            Value::Map(map) => map.iter().for_each(|(key, entry)| {
                weight.bytes = weight.bytes.saturating_add(key.len());
                weight.add(Self::of(&entry.node));
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        weight
    }

    fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(..) => self.start_document(at),
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "seq", at)?;
                self.open(at, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "map", at)?;
                let content = Content::Map { map: IndexMap::new(), key: None, merges: Vec::new() };
                self.open(at, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn start_document(&mut self, at: Position) -> Result<(), SyntaxError> {
        self.documents = self.documents.saturating_add(1);
        if self.documents > 1 {
            return Err(SyntaxError::new(
                at,
                "a second YAML document starts here; keep one document per file",
            ));
        }
        Ok(())
    }

    fn open(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(SyntaxError::too_deep(at));
        }
        if matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. })) {
            return Err(SyntaxError::new(at, "a key must be a text, not a list or a mapping"));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn close(&mut self, at: Position) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else {
            return Err(SyntaxError::new(at, "something ends here that never started"));
        };
        let value = match open.content {
            Content::List(list) => Value::List(list),
            Content::Map { map, merges, .. } => Value::Map(merge(map, merges)),
        };
        let node = Node { at: open.at, value };
        self.remember(open.anchor, &node)?;
        self.place(node)
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), SyntaxError> {
        if let Some(Open { content: Content::Map { map, key: key @ None, .. }, .. }) = self.open.last_mut() {
            if let Some(first) = map.get(text.as_ref()) {
                return Err(SyntaxError::duplicate_key(at, &text, first.key_at));
            }
            *key = Some((text.to_string(), at));
            let node = Node { at, value: Value::Text(text.into_owned()) };
            return self.remember(anchor, &node);
        }
        let node = Node { at, value: resolve(text, style, tag, at)? };
        self.remember(anchor, &node)?;
        self.place(node)
    }

    /// Keeps a copy of an anchored node for its aliases.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), SyntaxError> {
        if anchor == 0 {
            return Ok(());
        }
        let weight = Weight::of(node);
        self.count_copy(weight, node.at)?;
        self.anchors.insert(anchor, Anchored { node: node.clone(), weight });
        Ok(())
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), SyntaxError> {
        // An anchor is remembered when its node is complete, so one that isn't known contains this alias.
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(SyntaxError::new(at, "this alias refers to a value that contains it"));
        };
        let (node, weight) = (anchored.node.clone(), anchored.weight);
        self.count_copy(weight, at)?;
        match (node.value, self.open.last_mut()) {
            (Value::Text(text), Some(Open { content: Content::Map { key: key @ None, .. }, .. })) => {
                *key = Some((text, at));
                Ok(())
            }
            (value, _) => self.place(Node { at, value }),
        }
    }

    fn count_copy(&mut self, weight: Weight, at: Position) -> Result<(), SyntaxError> {
        self.copied.add(weight);
        if self.copied.nodes > MAX_COPIED_NODES || self.copied.bytes > MAX_COPIED_BYTES {
            return Err(SyntaxError::new(
                at,
                "anchors and aliases make this document too large; write it out",
            ));
        }
        Ok(())
    }

    fn place(&mut self, node: Node) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(list) => list.push(node),
            Content::Map { map, key, merges } => match key.take() {
                None => {
                    return Err(SyntaxError::new(node.at, "a key must be a text, not a list or a mapping"));
                }
                Some((name, _)) if name == "<<" => merges.push(node),
                Some((name, key_at)) => {
                    map.insert(name, Entry { key_at, node });
                }
            },
        }
        Ok(())
    }
}

/// Adds what `<<` names; the mapping's own keys win, then the first one merged.
fn merge(mut map: IndexMap<String, Entry>, merges: Vec<Node>) -> IndexMap<String, Entry> {
    for node in merges {
        let sources = match node.value {
            Value::List(list) => list,
            value => vec![Node { at: node.at, value }],
        };
        for source in sources {
            if let Value::Map(entries) = source.value {
                for (key, entry) in entries {
                    map.entry(key).or_insert(entry);
                }
            }
        }
    }
    map
}

fn expect_tag(tag: Option<&Tag>, expected: &str, at: Position) -> Result<(), SyntaxError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(expected) => Err(unknown_tag(tag, at)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, at: Position) -> SyntaxError {
    let name: String = tag.original().chars().take(80).collect();
    SyntaxError::new(at, format!("the tag `{name}` has no meaning in an OpenAPI document; remove it"))
}

/// The value of a scalar: quoted ones are texts, plain ones follow the core schema, a tag decides otherwise.
fn resolve(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Position,
) -> Result<Value, SyntaxError> {
    let plain = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) if tag.is_yaml_core_schema_tag("str") => false,
        Some(tag) => match tag.core_suffix() {
            Some("null" | "bool" | "int" | "float") => true,
            _ => return Err(unknown_tag(tag, at)),
        },
    };
    if !plain {
        return Ok(Value::Text(text.into_owned()));
    }
    plain_value(&text, at).map(|value| value.unwrap_or_else(|| Value::Text(text.into_owned())))
}

/// Null, a truth value or a number of the core schema; `None` when the text is just a text.
fn plain_value(text: &str, at: Position) -> Result<Option<Value>, SyntaxError> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Some(Value::Null)),
        "true" | "True" | "TRUE" => return Ok(Some(Value::Bool(true))),
        "false" | "False" | "FALSE" => return Ok(Some(Value::Bool(false))),
        _ => {}
    }
    if is_infinite_or_nan(text) {
        return Err(SyntaxError::new(
            at,
            format!("`{text}` can't be written in JSON; quote it or use a number"),
        ));
    }
    if !looks_like_number(text) {
        return Ok(None);
    }
    number(text).map(|number| Some(Value::Number(number))).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        SyntaxError::new(
            at,
            format!("the number `{shown}` is out of range; quote it when it is meant as a text"),
        )
    })
}

fn is_infinite_or_nan(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// `[-+]?[0-9]+`, `0o…`, `0x…`, or `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn looks_like_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_is_fine
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<i64>()
        .map(Number::from)
        .or_else(|_| text.parse::<u64>().map(Number::from))
        .ok()
        .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> serde_json::Value {
        read(text).unwrap().to_json()
    }

    fn error(text: &str) -> String {
        let error = read(text).unwrap_err();
        format!("{}: {error}", error.at)
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        assert_eq!(
            value(
                "[null, ~, yes, on, True, 12, +3, 0x1F, 0o17, 1., .5, 1e3, 007, 1_000, '12', 2024-01-01, !!str 12, 1.2.3]"
            ),
            json!([
                null,
                null,
                "yes",
                "on",
                true,
                12,
                3,
                31,
                15,
                1.0,
                0.5,
                1000.0,
                7,
                "1_000",
                "12",
                "2024-01-01",
                "12",
                "1.2.3"
            ])
        );
    }

    #[test]
    fn keys_are_their_text_and_places_are_kept() {
        let root = read("responses:\n  200:\n    description: ok\n").unwrap();
        let responses = root.get("responses").unwrap();
        let entry = &responses.as_map().unwrap()["200"];
        assert_eq!(entry.key_at, Position { line: 2, column: 3 });
        assert_eq!(entry.node.get("description").unwrap().at, Position { line: 3, column: 18 });
    }

    #[test]
    fn aliases_are_copies_and_merges_do_not_override() {
        assert_eq!(
            value("base: &b {a: 1, b: 2}\ncopy: *b\nmerged:\n  <<: *b\n  a: 9\n"),
            json!({"base": {"a": 1, "b": 2}, "copy": {"a": 1, "b": 2}, "merged": {"a": 9, "b": 2}})
        );
    }

    #[test]
    fn errors_name_the_place() {
        insta::assert_snapshot!(
            [
                "",
                "a: 1\na: 2\n",
                "a:\n\tb: 1\n",
                "a: [1, 2\n",
                "--- 1\n--- 2\n",
                "a: .inf",
                "a: 1e400",
                "? [a]\n: b\n",
                "a: &x [*x]\n",
                "a: *nowhere\n",
                "a: !point {x: 1}\n",
                "a: b: c\n",
                "{}}",
            ]
            .map(error)
            .join("\n")
        );
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&"[".repeat(10_000)).is_err());
        let mut block = String::new();
        (0..200).for_each(|depth| writeln!(block, "{}a:", " ".repeat(depth)).unwrap());
        assert!(read(&block).is_err());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = level - 1;
            let aliases = vec![format!("*a{previous}"); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
        }
        assert!(error(&text).ends_with("anchors and aliases make this document too large; write it out"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn yaml_like_text_is_read_without_panic(text in "[a-c:\\-\\[\\]{}&*!|>?#'\" \n\t<0-9.]{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn reads_json_as_the_json_reader_does(value in json_value(4)) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(read(&text).unwrap().to_json(), super::super::json::read(&text).unwrap().to_json());
        }
    }

    fn json_value(depth: u32) -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|value| json!(value)),
            any::<i32>().prop_map(|value| json!(value)),
            "[a-zA-Z0-9 :#'\"ü-]{0,12}".prop_map(|value| json!(value)),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
                proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }
}
