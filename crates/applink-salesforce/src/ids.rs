//! Record ids: 15 case-sensitive characters, or the same with a 3-character checksum of their case.
//!
//! The checksum takes the id in three groups of five. In each, bit *n* is set when character *n* is an upper
//! case letter; the number indexes `A–Z0–5`. (Salesforce help, "How to convert 15-digit IDs to 18".)

use std::fmt;
use std::str::FromStr;

/// The alphabet of the checksum.
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// Length without the checksum.
const SHORT: usize = 15;
/// Length with the checksum.
const LONG: usize = 18;

/// A record id in its 18-character form. Two forms of the same id are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; LONG]);

/// A text is not a record id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordIdError {
    /// Neither 15 nor 18 characters.
    #[error("a record id has 15 or 18 characters, this text has {0}")]
    Length(usize),
    /// A character other than an ASCII letter or digit.
    #[error("a record id has only ASCII letters and digits")]
    Alphabet,
    /// The last three characters don't fit the first fifteen: a letter's case was probably changed.
    #[error(
        "the checksum of the record id {0} does not fit: copy the id again, with its upper and lower case"
    )]
    Checksum(String),
    /// The id is of another kind of record.
    #[error("the id {id} does not start with {expected}")]
    Prefix {
        /// The id that was given.
        id: RecordId,
        /// The three characters it should start with.
        expected: &'static str,
    },
}

impl RecordId {
    /// All 18 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first 15 characters, as in access tokens and some SOAP answers.
    pub fn short(&self) -> &str {
        self.as_str().get(..SHORT).unwrap_or_default()
    }

    /// The key prefix, which names the kind of record: `00D` an org, `005` a user, `006` an opportunity.
    pub fn key_prefix(&self) -> &str {
        self.as_str().get(..3).unwrap_or_default()
    }

    /// The same id when it is of the expected kind.
    ///
    /// # Errors
    /// [`RecordIdError::Prefix`] when the id has another key prefix.
    pub fn expect_prefix(self, expected: &'static str) -> Result<Self, RecordIdError> {
        if self.key_prefix() == expected {
            Ok(self)
        } else {
            Err(RecordIdError::Prefix { id: self, expected })
        }
    }
}

impl FromStr for RecordId {
    type Err = RecordIdError;

    /// Reads either form. The checksum is compared without regard to case, as the org itself does.
    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        let bytes = text.as_bytes();
        if bytes.len() != SHORT && bytes.len() != LONG {
            return Err(RecordIdError::Length(text.chars().count()));
        }
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(RecordIdError::Alphabet);
        }
        let mut id = [0; LONG];
        let (body, given) = bytes.split_at(SHORT);
        for (to, from) in id.iter_mut().zip(body.iter().copied().chain(body.chunks(5).map(checksum))) {
            *to = from;
        }
        let fits =
            given.is_empty() || id.iter().skip(SHORT).zip(given).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if fits { Ok(Self(id)) } else { Err(RecordIdError::Checksum(text.to_owned())) }
    }
}

fn checksum(group: &[u8]) -> u8 {
    let upper = group.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
    let index = upper.fold(0_usize, |bits, (position, _)| bits | (1 << position));
    CHECKSUM.get(index).copied().unwrap_or(b'A')
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl serde::Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengthens_ids_as_the_org_does() {
        for long in ["00DSB00000VAyPF2A1", "005DS00000yYLD1YAO", "7508Z00000lSXvxQAG", "001B000001Lp1FxIAJ"] {
            let id: RecordId = long[..15].parse().unwrap();
            assert_eq!(id.as_str(), long);
            assert_eq!(long.parse::<RecordId>().unwrap(), id);
            assert_eq!(id.short(), &long[..15]);
        }
    }

    #[test]
    fn a_changed_case_is_noticed() {
        let error = "00dSB00000VAyPF2A1".parse::<RecordId>().unwrap_err();
        assert!(matches!(error, RecordIdError::Checksum(_)), "{error}");
        assert!("00DSB00000VAyPF2a1".parse::<RecordId>().is_ok(), "the checksum itself has no case");
    }

    #[test]
    fn refuses_other_texts_with_the_reason() {
        assert_eq!("".parse::<RecordId>(), Err(RecordIdError::Length(0)));
        assert_eq!("00D' OR ''='000".parse::<RecordId>(), Err(RecordIdError::Alphabet));
        assert_eq!("00Dé0000000000".parse::<RecordId>(), Err(RecordIdError::Alphabet));
        let org: RecordId = "00DSB00000VAyPF".parse().unwrap();
        assert_eq!(
            org.expect_prefix("006").unwrap_err().to_string(),
            "the id 00DSB00000VAyPF2A1 does not start with 006"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,24}") {
            let _ = text.parse::<RecordId>();
        }

        #[test]
        fn both_forms_are_the_same_id(short in "[A-Za-z0-9]{15}") {
            let id: RecordId = short.parse().unwrap();
            proptest::prop_assert_eq!(id.as_str().parse::<RecordId>().unwrap(), id);
        }
    }
}
