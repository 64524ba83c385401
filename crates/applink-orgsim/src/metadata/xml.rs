//! A strict reader of metadata XML: a small tree in which every element knows its line and column.
//!
//! Metadata files are written by strangers, so the reader refuses what has no place in them (document
//! types, entities of their own, deep nesting) and reports the first fault with its position, as an org does.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The namespace every metadata file declares on its root element.
pub(crate) const NAMESPACE: &str = "http://soap.sforce.com/2006/04/metadata";

/// Deeper files are refused; the deepest metadata type here needs four levels.
const MAX_DEPTH: usize = 32;
/// More elements than this in one file are refused.
const MAX_ELEMENTS: usize = 200_000;

/// A place in a text file; both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One element with its text and children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
    pub(crate) at: Position,
}

/// Why a file is not well-formed metadata, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at {}:{}", at.line, at.column)]
pub(crate) struct XmlError {
    pub(crate) problem: String,
    pub(crate) at: Position,
}

impl Element {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name, in file order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The trimmed text of the first child of this name; none when it is absent or empty.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether the first child of this name says `true` (or `1`, as XML Schema allows).
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.child(name).is_some_and(|child| matches!(child.text.trim(), "true" | "1"))
    }
}

/// Reads one metadata file to its root element.
///
/// # Errors
/// The first fault with its line and column: not UTF-8, not well-formed, a document type, an unknown
/// entity, too deep or too large, a missing or foreign namespace, text between elements.
pub(crate) fn parse(source: &[u8]) -> Result<Element, XmlError> {
    let text = std::str::from_utf8(source)
        .map_err(|error| fail("the file is not UTF-8", position(source, error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = TreeBuilder::new(text).build()?;
    check_text(&root)?;
    Ok(root)
}

fn fail(problem: impl Into<String>, at: Position) -> XmlError {
    XmlError { problem: problem.into(), at }
}

/// Where a byte offset lies; offsets past the end give the end.
pub(crate) fn position(source: &[u8], offset: usize) -> Position {
    let before = source.get(..offset).unwrap_or(source);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = 1 + String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count();
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

struct TreeBuilder<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    /// Byte offset of the newest counted line start, and its number: positions are found incrementally.
    line_start: usize,
    line: u32,
    counted: usize,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl<'a> TreeBuilder<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        Self { text, reader, line_start: 0, line: 1, counted: 0, open: Vec::new(), root: None, elements: 0 }
    }

    fn build(mut self) -> Result<Element, XmlError> {
        loop {
            let start = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let offset = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
                    return Err(fail(error.to_string(), position(self.text.as_bytes(), offset)));
                }
            };
            if matches!(event, Event::Eof) {
                break;
            }
            let at = self.position_of(start);
            self.accept(event, at)?;
        }
        let end = position(self.text.as_bytes(), self.text.len());
        if let Some(unclosed) = self.open.last() {
            return Err(fail(format!("element {} is not closed", unclosed.name), end));
        }
        self.root.ok_or_else(|| fail("the file has no root element", end))
    }

    fn accept(&mut self, event: Event<'_>, at: Position) -> Result<(), XmlError> {
        match event {
            Event::Start(tag) => self.start(&tag, at),
            Event::Empty(tag) => {
                self.start(&tag, at)?;
                self.end();
                Ok(())
            }
            Event::End(_) => {
                self.end();
                Ok(())
            }
            Event::Text(text) => self.append(&text.xml10_content(), at),
            Event::CData(text) => self.append(&text.xml10_content(), at),
            Event::GeneralRef(reference) => {
                let resolved = resolve(&reference).ok_or_else(|| {
                    fail(format!("The entity \"{}\" was referenced, but not declared", &*reference), at)
                })?;
                self.append(&resolved, at)
            }
            Event::DocType(_) => Err(fail("DOCTYPE is disallowed in metadata files", at)),
            _ => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: Position) -> Result<(), XmlError> {
        self.elements += 1;
        if self.open.len() >= MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return Err(fail("the file is nested too deeply or has too many elements", at));
        }
        let name = tag.name().as_ref().to_owned();
        if name.contains(':') {
            return Err(fail(format!("prefixed element {name} is not allowed in metadata files"), at));
        }
        if self.open.is_empty() {
            if self.root.is_some() {
                return Err(fail("the file has more than one root element", at));
            }
            check_namespace(tag, &name, at)?;
        }
        self.open.push(Element { name, text: String::new(), children: Vec::new(), at });
        Ok(())
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn append(&mut self, text: &str, at: Position) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => {
                element.text.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err(fail("Content is not allowed outside the root element", at)),
        }
    }

    fn position_of(&mut self, offset: usize) -> Position {
        let bytes = self.text.as_bytes();
        let offset = offset.min(bytes.len());
        for (index, byte) in bytes.get(self.counted..offset).unwrap_or_default().iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.counted + index + 1;
            }
        }
        self.counted = offset;
        let column = self.text.get(self.line_start..offset).map_or(0, |line| line.chars().count());
        Position { line: self.line, column: u32::try_from(column + 1).unwrap_or(u32::MAX) }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Some(character.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(str::to_owned),
        Err(_) => None,
    }
}

fn check_namespace(tag: &BytesStart<'_>, name: &str, at: Position) -> Result<(), XmlError> {
    let mut declared = None;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| fail(error.to_string(), at))?;
        if attribute.key.as_ref() == "xmlns" {
            declared = Some(attribute.value.into_owned());
        }
    }
    match declared.as_deref() {
        Some(NAMESPACE) => Ok(()),
        Some(other) => Err(fail(format!("Invalid namespace {other} on {name}: expected {NAMESPACE}"), at)),
        None => {
            Err(fail(format!("Element {name} declares no namespace: expected xmlns=\"{NAMESPACE}\""), at))
        }
    }
}

/// An element has children or text, never both.
fn check_text(element: &Element) -> Result<(), XmlError> {
    if !element.children.is_empty() && !element.text.trim().is_empty() {
        return Err(fail(format!("unexpected text between the elements of {}", element.name), element.at));
    }
    element.children.iter().try_for_each(check_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(body: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Package xmlns=\"{NAMESPACE}\">\n{body}\n</Package>")
    }

    #[test]
    fn elements_keep_text_entities_and_positions() {
        let root =
            parse(document("  <a>x &amp; &#121;</a>\n  <b/><b><![CDATA[<z>]]></b>").as_bytes()).unwrap();
        assert_eq!(root.text_of("a").as_deref(), Some("x & y"));
        assert_eq!(root.child("a").unwrap().at, Position { line: 3, column: 3 });
        assert_eq!(root.all("b").map(|b| b.text.as_str()).collect::<Vec<_>>(), ["", "<z>"]);
        assert_eq!(root.all("b").nth(1).unwrap().at, Position { line: 4, column: 7 });
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let cases = [
            (document("<a>"), 4, "a"),
            (document("<a>&secret;</a>"), 3, "secret"),
            (document("<x:a/>"), 3, "x:a"),
            (document("<a>text<b/></a>"), 3, "text"),
            ("<Package/>".to_owned(), 1, "namespace"),
            ("<!DOCTYPE p><Package/>".to_owned(), 1, "DOCTYPE"),
            (String::new(), 1, "no root"),
        ];
        for (source, line, word) in cases {
            let error = parse(source.as_bytes()).unwrap_err();
            assert_eq!(error.at.line, line, "{source}: {error}");
            assert!(error.to_string().contains(word), "{source}: {error}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = document(&"<a>".repeat(40));
        assert!(parse(deep.as_bytes()).unwrap_err().problem.contains("deep"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_tree_or_a_place(source in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&source);
        }

        #[test]
        fn any_markup_gives_a_tree_or_a_place(body in "[<>/a-c&;\"= !\\-\\[\\]\n#x]{0,80}") {
            let source = document(&body);
            if let Err(error) = parse(source.as_bytes()) {
                prop_assert!(error.at.line as usize <= source.lines().count() + 1);
            }
        }
    }
}
