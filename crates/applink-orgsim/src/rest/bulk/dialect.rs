//! How a job's CSV is written: its delimiter and line ending, and quotes around every value.

use std::io::Read;

use csv::{Reader, ReaderBuilder};

/// What stands between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Backquote,
    Caret,
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnding {
    Lf,
    CrLf,
}

/// How one job's CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: Delimiter,
    pub(super) line_ending: LineEnding,
}

impl Delimiter {
    pub(super) const ALL: [Self; 6] =
        [Self::Backquote, Self::Caret, Self::Comma, Self::Pipe, Self::Semicolon, Self::Tab];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Backquote => "BACKQUOTE",
            Self::Caret => "CARET",
            Self::Comma => "COMMA",
            Self::Pipe => "PIPE",
            Self::Semicolon => "SEMICOLON",
            Self::Tab => "TAB",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Backquote => b'`',
            Self::Caret => b'^',
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|delimiter| delimiter.name() == name)
    }
}

impl LineEnding {
    pub(super) const ALL: [Self; 2] = [Self::Lf, Self::CrLf];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lf => "LF",
            Self::CrLf => "CRLF",
        }
    }

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }

    /// The ending of the first line of a text; `None` when it has one line only.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let before = end.checked_sub(1).and_then(|index| text.get(index));
        Some(if before == Some(&b'\r') { Self::CrLf } else { Self::Lf })
    }
}

impl Dialect {
    /// A reader that takes lines of any length and either line ending; the first line is a row like the others.
    pub(super) fn reader<R: Read>(self, source: R) -> Reader<R> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter.byte())
            .from_reader(source)
    }

    /// Appends a line. Every value is quoted: clients guess the delimiter from what stands unquoted.
    pub(super) fn write<V: AsRef<[u8]>>(self, into: &mut Vec<u8>, values: impl IntoIterator<Item = V>) {
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                into.push(self.delimiter.byte());
            }
            into.push(b'"');
            for byte in value.as_ref() {
                if *byte == b'"' {
                    into.push(b'"');
                }
                into.push(*byte);
            }
            into.push(b'"');
        }
        into.extend_from_slice(self.line_ending.bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dialects() -> impl Strategy<Value = Dialect> {
        (prop::sample::select(Delimiter::ALL.to_vec()), prop::sample::select(LineEnding::ALL.to_vec()))
            .prop_map(|(delimiter, line_ending)| Dialect { delimiter, line_ending })
    }

    fn read(dialect: Dialect, text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = dialect.reader(text);
        let records = reader.byte_records().map(|record| record.unwrap());
        records.map(|record| record.iter().map(<[u8]>::to_vec).collect()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            dialect in dialects(),
            rows in prop::collection::vec(prop::collection::vec("[a-zü\"`^,;|\t\r\n ]{0,8}", 1..4), 0..6),
        ) {
            let mut text = Vec::new();
            for row in &rows {
                dialect.write(&mut text, row);
            }
            let expected: Vec<Vec<Vec<u8>>> =
                rows.iter().map(|row| row.iter().map(|value| value.as_bytes().to_vec()).collect()).collect();
            prop_assert_eq!(read(dialect, &text), expected);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(dialect in dialects(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let values: usize = read(dialect, &bytes).iter().flatten().map(Vec::len).sum();
            prop_assert!(values <= bytes.len());
        }
    }

    #[test]
    fn names_lead_back() {
        for delimiter in Delimiter::ALL {
            assert_eq!(Delimiter::from_name(delimiter.name()), Some(delimiter));
        }
        assert_eq!(LineEnding::from_name("CRLF"), Some(LineEnding::CrLf));
        assert_eq!(Delimiter::from_name("comma"), None);
    }

    #[test]
    fn the_first_line_tells_the_line_ending() {
        assert_eq!(LineEnding::of(b"Name\nA\r\n"), Some(LineEnding::Lf));
        assert_eq!(LineEnding::of(b"Name\r\nA\n"), Some(LineEnding::CrLf));
        assert_eq!(LineEnding::of(b"\n"), Some(LineEnding::Lf));
        assert_eq!(LineEnding::of(b"Name"), None);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let comma = Dialect { delimiter: Delimiter::Comma, line_ending: LineEnding::Lf };
        assert_eq!(read(comma, b"\xef\xbb\xbfName\n"), [[b"Name".to_vec()]]);
    }
}
