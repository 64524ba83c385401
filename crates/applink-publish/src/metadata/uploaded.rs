//! Metadata files a person uploads: checked to be what their name says, and passed on.
//!
//! They come from outside, so: one root of the right kind, no document type (and with it no entities), bounded
//! depth, no secrets. A permission set comes out session-based.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesEnd, BytesRef, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use super::xml::NAMESPACE;
use crate::spec::{Code, Finding, Position};

/// How deep elements may nest; metadata needs three.
const MAX_DEPTH: usize = 32;

const SESSION_FLAG: &str = "hasActivationRequired";

/// A checked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedXml {
    /// `<fullName>`, when given.
    pub full_name: Option<String>,
    /// The file to deploy.
    pub content: String,
}

/// Checks one file whose root must be `kind`.
///
/// # Errors
/// A [`Finding`] with the line and column in the file.
pub fn read(kind: &str, file: &'static str, content: &str) -> Result<UploadedXml, Finding> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let mut copy = Copy {
        kind,
        file,
        content,
        reader: Reader::from_str(content),
        writer: Writer::new(Vec::new()),
        path: Vec::new(),
        text: String::new(),
        full_name: None,
        session_flag: None,
        seen_root: false,
    };
    copy.reader.config_mut().check_end_names = true;
    copy.run()
}

struct Copy<'a> {
    kind: &'a str,
    file: &'static str,
    content: &'a str,
    reader: Reader<&'a [u8]>,
    writer: Writer<Vec<u8>>,
    path: Vec<String>,
    text: String,
    full_name: Option<String>,
    session_flag: Option<String>,
    seen_root: bool,
}

impl Copy<'_> {
    fn run(mut self) -> Result<UploadedXml, Finding> {
        self.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.write(Event::Text(BytesText::new("\n")))?;
        loop {
            let event = self.reader.read_event().map_err(|error| {
                let offset = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
                self.finding_at(offset, format!("not well-formed XML: {error}"))
            })?;
            match event {
                Event::Eof => return self.finish(),
                event => self.take(event)?,
            }
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Finding> {
        match event {
            Event::Start(start) => self.start(&start),
            Event::Empty(empty) => {
                self.start(&empty)?;
                self.end()
            }
            Event::End(_) => self.end(),
            // Between the prolog and the root only white space is well-formed.
            Event::Text(text) if self.path.is_empty() => match text.xml10_content().trim() {
                "" => Ok(()),
                _ => Err(self.finding("there is text outside of the root element")),
            },
            Event::Text(text) => {
                self.text.push_str(&text.xml10_content());
                self.write(Event::Text(text))
            }
            Event::CData(text) => {
                self.text.push_str(&text.xml10_content());
                self.write(Event::CData(text))
            }
            Event::GeneralRef(reference) => self.reference(reference),
            Event::DocType(_) => Err(self.finding("a document type is not allowed in metadata")),
            // Written anew, or of no use to an org.
            _ => Ok(()),
        }
    }

    /// `&amp;` and its four siblings, or `&#…;`: no document type, so no other entity can exist.
    fn reference(&mut self, reference: BytesRef<'_>) -> Result<(), Finding> {
        let name = reference.xml10_content().into_owned();
        let is_character = reference.is_char_ref() && matches!(reference.resolve_char_ref(), Ok(Some(_)));
        if self.path.is_empty() || !(is_character || resolve_xml_entity(&name).is_some()) {
            return Err(self.finding(format!("`&{};` means nothing in XML", shown(&name))));
        }
        self.write(Event::GeneralRef(reference))
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Finding> {
        let name = start.local_name().as_ref().to_owned();
        if self.path.len() >= MAX_DEPTH {
            return Err(self.finding("elements nest too deep for metadata"));
        }
        if self.path.is_empty() && (self.seen_root || name != self.kind) {
            return Err(self.finding(format!(
                "the file must hold one <{}>, not <{}>",
                self.kind,
                shown(&name)
            )));
        }
        if name.eq_ignore_ascii_case("consumerSecret") {
            return Err(self
                .finding("remove <consumerSecret>: secrets don't belong into files, the org makes its own"));
        }
        self.seen_root = true;
        self.text.clear();
        let mut element = BytesStart::new(name.clone());
        if self.path.is_empty() {
            element.push_attribute(("xmlns", NAMESPACE));
        }
        self.path.push(name);
        self.write(Event::Start(element))
    }

    fn end(&mut self) -> Result<(), Finding> {
        let name = self.path.pop().unwrap_or_default();
        if self.path.len() == 1 {
            match name.as_str() {
                "fullName" => self.full_name = Some(self.text.trim().to_owned()),
                SESSION_FLAG => self.session_flag = Some(self.text.trim().to_owned()),
                _ => {}
            }
        }
        if self.path.is_empty() {
            self.require_session()?;
        }
        self.write(Event::End(BytesEnd::new(name)))
    }

    /// Before the root of a permission set ends: it says `true`, or nothing and is made to.
    fn require_session(&mut self) -> Result<(), Finding> {
        if self.kind != "PermissionSet" {
            return Ok(());
        }
        match self.session_flag.as_deref() {
            Some("true" | "1") => Ok(()),
            Some(_) => {
                let message = "user-plus mode needs a session-based permission set; write \
                    <hasActivationRequired>true</hasActivationRequired>";
                Err(self.finding(message))
            }
            None => {
                self.write(Event::Text(BytesText::new("    ")))?;
                self.write(Event::Start(BytesStart::new(SESSION_FLAG)))?;
                self.write(Event::Text(BytesText::new("true")))?;
                self.write(Event::End(BytesEnd::new(SESSION_FLAG)))?;
                self.write(Event::Text(BytesText::new("\n")))
            }
        }
    }

    fn write(&mut self, event: Event<'_>) -> Result<(), Finding> {
        let written = self.writer.write_event(event);
        written.map_err(|error| self.finding(format!("the file can't be copied: {error}")))
    }

    fn finish(self) -> Result<UploadedXml, Finding> {
        if !self.seen_root || !self.path.is_empty() {
            return Err(self.finding(format!("the file ends before </{}>", self.kind)));
        }
        let unreadable = self.finding("the file is not UTF-8 text");
        let mut content = String::from_utf8(self.writer.into_inner()).map_err(|_| unreadable)?;
        content.truncate(content.trim_end().len());
        content.push('\n');
        Ok(UploadedXml { full_name: self.full_name.filter(|name| !name.is_empty()), content })
    }

    fn finding(&self, message: impl Into<String>) -> Finding {
        self.finding_at(usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX), message)
    }

    fn finding_at(&self, offset: usize, message: impl Into<String>) -> Finding {
        let at = Position::of_offset(self.content.as_bytes(), offset);
        Finding::new(Code::MetadataFile, self.file, at, message)
    }
}

fn shown(name: &str) -> String {
    name.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SET: &str = "<?xml version=\"1.0\"?>\n<!-- mine -->\n<PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    \
        <customMetadataTypeAccesses>\n        <enabled>true</enabled>\n        <name>Parameter__mdt</name>\n    \
        </customMetadataTypeAccesses>\n    <label>Mine &amp; yours</label>\n</PermissionSet>\n";

    fn permission_set(xml: &str) -> Result<UploadedXml, Finding> {
        read("PermissionSet", "permissionset-meta.xml", xml)
    }

    #[test]
    fn a_permission_set_is_made_session_based() {
        insta::assert_snapshot!(permission_set(SET).unwrap().content);
        let named = SET.replace(
            "<label>",
            "<fullName>Mine</fullName><hasActivationRequired>true</hasActivationRequired><label>",
        );
        let named = permission_set(&named).unwrap();
        assert_eq!(named.full_name.as_deref(), Some("Mine"));
        assert_eq!(named.content.matches("hasActivationRequired").count(), 2);
    }

    #[test]
    fn what_is_not_metadata_is_refused_with_the_place() {
        let wrong = [
            String::new(),
            "stray <PermissionSet/>".to_owned(),
            SET.replace("&amp;", "&company;"),
            "<PermissionSet>".to_owned(),
            "<PermissionSet></PermissionSe>".to_owned(),
            "<ConnectedApp/>".to_owned(),
            "<PermissionSet/><PermissionSet/>".to_owned(),
            format!("<!DOCTYPE x [<!ENTITY a \"b\">]>\n{SET}"),
            SET.replace("<label>", "<hasActivationRequired>false</hasActivationRequired>\n<label>"),
            format!("<PermissionSet>{}</PermissionSet>", "<a>".repeat(100)),
            "<PermissionSet><consumerSecret>x</consumerSecret></PermissionSet>".to_owned(),
        ];
        let found: Vec<String> =
            wrong.iter().map(|xml| permission_set(xml).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(found.join("\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[<>/a-c&;!\\[\\]?\" -]{0,60}") {
            let _ = permission_set(&text);
            let _ = permission_set(&format!("<PermissionSet>{text}</PermissionSet>"));
        }

        #[test]
        fn what_comes_out_is_read_again(label in "[a-zA-Z ]{1,20}") {
            let first = permission_set(&SET.replace("Mine", &label)).unwrap();
            let second = permission_set(&first.content).unwrap();
            prop_assert_eq!(first.content, second.content);
        }
    }
}
