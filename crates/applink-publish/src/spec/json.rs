//! JSON (RFC 8259) into a [`Node`] tree, with the place of every value.

use indexmap::IndexMap;

use super::tree::{Entry, MAX_DEPTH, Node, Position, SyntaxError, Value};

/// Reads one JSON text.
///
/// # Errors
/// [`SyntaxError`] with the place where the text stops being JSON, a key that is given twice, or a number that
/// does not fit into 64 bits.
pub fn read(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader { rest: text, at: Position::START };
    let root = reader.value(0)?;
    reader.skip_space();
    match reader.rest.chars().next() {
        None => Ok(root),
        Some(found) => Err(reader.unexpected(found, "nothing more: the document ended")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Consumes `count` bytes, which must end at a character boundary, and returns them.
    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.at.advance_over(taken.as_bytes());
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        let space = self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.take(space);
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.at, message)
    }

    fn unexpected(&self, found: char, expected: &str) -> SyntaxError {
        self.error(format!("expected {expected}, found `{}`", found.escape_debug()))
    }

    fn expected(&self, expected: &str) -> SyntaxError {
        match self.rest.chars().next() {
            Some(found) => self.unexpected(found, expected),
            None => self.error(format!("expected {expected}, but the document ends here")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.skip_space();
        let at = self.at;
        if depth > MAX_DEPTH {
            return Err(SyntaxError::too_deep(at));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { at, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.take(1);
        let mut map = IndexMap::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.take(1);
            return Ok(Value::Map(map));
        }
        loop {
            self.member(&mut map, depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.take(1),
                Some(b'}') => {
                    self.take(1);
                    return Ok(Value::Map(map));
                }
                _ => return Err(self.expected("`,` or `}` after the value")),
            };
        }
    }

    fn member(&mut self, map: &mut IndexMap<String, Entry>, depth: usize) -> Result<(), SyntaxError> {
        self.skip_space();
        let key_at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        let key = self.string()?;
        if let Some(first) = map.get(&key) {
            return Err(SyntaxError::duplicate_key(key_at, &key, first.key_at));
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:` after the key"));
        }
        self.take(1);
        let node = self.value(depth.saturating_add(1))?;
        map.insert(key, Entry { key_at, node });
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.take(1);
        let mut list = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.take(1);
            return Ok(Value::List(list));
        }
        loop {
            list.push(self.value(depth.saturating_add(1))?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.take(1),
                Some(b']') => {
                    self.take(1);
                    return Ok(Value::List(list));
                }
                _ => return Err(self.expected("`,` or `]` after the value")),
            };
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.take(1);
        let mut text = String::new();
        loop {
            let plain = self.rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            text.push_str(self.take(plain));
            match self.peek() {
                Some(b'"') => {
                    self.take(1);
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.error("a control character in a text must be escaped")),
                None => return Err(self.error("the text is never closed with `\"`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let at = self.at;
        self.take(1);
        let character = match self.peek() {
            Some(b'u') => return self.unicode_escape(at),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(SyntaxError::new(at, "this is not an escape JSON knows")),
        };
        self.take(1);
        Ok(character)
    }

    /// `\uXXXX`, or two of them for a character outside the basic plane (RFC 8259 §7).
    fn unicode_escape(&mut self, at: Position) -> Result<char, SyntaxError> {
        let first = self.hex_unit(at)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| half_pair(at));
        }
        if !self.rest.starts_with("\\u") {
            return Err(half_pair(at));
        }
        self.take(1);
        let second = self.hex_unit(at)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(half_pair(at));
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(|| half_pair(at))
    }

    fn hex_unit(&mut self, at: Position) -> Result<u32, SyntaxError> {
        let digits = self.rest.get(1..5).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(unit) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(SyntaxError::new(at, "`\\u` needs four hexadecimal digits"));
        };
        self.take(5);
        Ok(unit)
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let length = self
            .rest
            .bytes()
            .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E'))
            .count();
        let text = self.rest.get(..length).unwrap_or_default();
        let number = serde_json::from_str(text)
            .map_err(|_| self.error("this is not a number of JSON, or it does not fit into 64 bits"))?;
        self.take(length);
        Ok(Value::Number(number))
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.rest.starts_with(word) {
                self.take(word.len());
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }
}

fn half_pair(at: Position) -> SyntaxError {
    SyntaxError::new(at, "this `\\u` escape is half of a surrogate pair")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        let error = read(text).unwrap_err();
        format!("{}: {error}", error.at)
    }

    #[test]
    fn keeps_places() {
        let root = read("{\n  \"ü\": [1,\n   true]}").unwrap();
        let entry = &root.as_map().unwrap()["ü"];
        assert_eq!(entry.key_at, Position { line: 2, column: 3 });
        assert_eq!(entry.node.at, Position { line: 2, column: 8 });
        assert_eq!(entry.node.as_list().unwrap()[1].at, Position { line: 3, column: 4 });
    }

    #[test]
    fn errors_say_what_was_expected_and_where() {
        insta::assert_snapshot!(
            [
                "",
                "{",
                "{\"a\" 1}",
                "{\"a\":1,}",
                "[1 2]",
                "{\"a\":1,\n\"a\":2}",
                "01",
                "1e999",
                "\"\u{1}\"",
                "\"\\ud800x\"",
                "\"\\q\"",
                "\"abc",
                "tru",
                "{} x",
                "{a:1}",
            ]
            .map(error)
            .join("\n")
        );
        assert!(error(&"[".repeat(500)).ends_with("values nest deeper than 100 levels"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,24}") {
            let ours = read(&text).map(|node| node.to_json());
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(theirs) => {
                    // Only this reader refuses a key that is given twice.
                    if let Ok(ours) = ours { prop_assert_eq!(ours, theirs); }
                }
                Err(_) => prop_assert!(ours.is_err(), "{}", text),
            }
        }
    }
}
