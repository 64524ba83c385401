//! Metadata XML (namespace `http://soap.sforce.com/2006/04/metadata`), written so that any parser reads back
//! exactly what was put in.
//!
//! Characters XML 1.0 has no place for (most control characters, U+FFFE, U+FFFF) become U+FFFD; a carriage return
//! is written as a reference, since parsers turn a bare one into a line feed.

use std::borrow::Cow;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// The namespace of every metadata file.
pub const NAMESPACE: &str = "http://soap.sforce.com/2006/04/metadata";

/// An element: a name, and either a text or more elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: &'static str,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Elements(Vec<Element>),
}

impl Element {
    /// `<name>text</name>`
    pub fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, content: Content::Text(text.into()) }
    }

    /// `<name>true</name>`
    pub fn flag(name: &'static str, value: bool) -> Self {
        Self::text(name, if value { "true" } else { "false" })
    }

    /// `<name>…</name>` around others.
    pub fn of(name: &'static str, elements: Vec<Self>) -> Self {
        Self { name, content: Content::Elements(elements) }
    }

    /// The whole document with this element as its root, indented by four spaces.
    pub fn to_document(&self) -> String {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 4);
        let written = writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
            .and_then(|()| self.write(&mut writer, true));
        // Writing to memory does not fail; were it to, an empty file is refused by the org, not deployed wrong.
        let bytes = written.map(|()| writer.into_inner()).unwrap_or_default();
        let mut text = String::from_utf8(bytes).unwrap_or_default();
        text.push('\n');
        text
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>, is_root: bool) -> io::Result<()> {
        let mut start = BytesStart::new(self.name);
        if is_root {
            start.push_attribute(("xmlns", NAMESPACE));
        }
        writer.write_event(Event::Start(start))?;
        match &self.content {
            Content::Text(text) => writer.write_event(Event::Text(BytesText::from_escaped(escape(text))))?,
            Content::Elements(elements) => {
                elements.iter().try_for_each(|element| element.write(writer, false))?;
            }
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// Escapes a text for XML 1.0.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| replacement(c).is_none()) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match replacement(c) {
            Some(replacement) => escaped.push_str(replacement),
            None => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn replacement(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        '\r' => Some("&#13;"),
        c if is_xml_char(c) => None,
        _ => Some("\u{fffd}"),
    }
}

/// The production `Char` of XML 1.0.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;

    use super::*;

    /// The text of the one element under the root, as an XML parser reads it.
    fn read_back(document: &str) -> String {
        let mut reader = Reader::from_str(document);
        reader.config_mut().check_end_names = true;
        let mut text = String::new();
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Text(part) if depth == 2 => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) if depth == 2 => {
                    if let Some(c) = reference.resolve_char_ref().unwrap() {
                        text.push(c);
                    } else {
                        let name = reference.xml10_content();
                        text.push_str(quick_xml::escape::resolve_xml_entity(&name).unwrap());
                    }
                }
                Event::Eof => return text,
                _ => {}
            }
        }
    }

    #[test]
    fn a_document_is_indented_and_has_its_namespace() {
        let element = Element::of(
            "Package",
            vec![Element::of("types", vec![Element::text("name", "A & B")]), Element::flag("done", true)],
        );
        insta::assert_snapshot!(element.to_document());
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let document = Element::of("root", vec![Element::text("text", &text)]).to_document();
            let expected: String =
                text.chars().map(|c| if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
            prop_assert_eq!(read_back(&document), expected);
        }
    }
}
