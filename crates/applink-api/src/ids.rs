//! Typed identifiers: uuids of our own things, and Salesforce record ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                crate::schema::text("uuid")
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A provisioned AppLink resource: the tenant every row belongs to.
    AddonId
);
uuid_id!(
    /// An app (`HEROKU_APP_ID`, header `x-app-uuid`).
    AppUuid
);
uuid_id!(
    /// A connection.
    ConnectionId
);
uuid_id!(
    /// An authorization.
    AuthorizationId
);
uuid_id!(
    /// A publication.
    PublicationId
);

/// A Salesforce record id in its 18-character form.
///
/// The last three characters are a checksum of the letter case of the first fifteen, so that ids can be
/// compared without regard to case (Salesforce: "ID Field Type").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(String);

/// The text is not a Salesforce record id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRecordIdError {
    /// Neither 15 nor 18 characters.
    #[error("a Salesforce id has 15 or 18 characters, this one has {0}")]
    Length(usize),
    /// A character that is not an ASCII letter or digit.
    #[error("a Salesforce id has only letters and digits")]
    Character,
    /// The last three characters do not match the first fifteen.
    #[error("the last three characters of this Salesforce id do not match the rest; was it mistyped?")]
    Checksum,
}

impl RecordId {
    /// The 18-character form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The case-sensitive 15-character form.
    pub fn short(&self) -> &str {
        self.0.get(..15).unwrap_or(&self.0)
    }

    /// The three characters that tell the kind of record (`00D` an org, `005` a user).
    pub fn key_prefix(&self) -> &str {
        self.0.get(..3).unwrap_or(&self.0)
    }
}

/// The three-character checksum of a 15-character id.
fn checksum(short: &str) -> [char; 3] {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut sum = ['A'; 3];
    for (character, chunk) in sum.iter_mut().zip(short.as_bytes().chunks(5)) {
        let index = chunk.iter().enumerate().fold(0usize, |bits, (position, byte)| {
            bits | (usize::from(byte.is_ascii_uppercase()) << position)
        });
        *character = char::from(ALPHABET[index & 31]);
    }
    sum
}

/// The 18-character form of a 15-character id.
fn full(short: &str) -> String {
    let mut id = String::with_capacity(18);
    id.push_str(short);
    id.extend(checksum(short));
    id
}

impl FromStr for RecordId {
    type Err = ParseRecordIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ParseRecordIdError::Character);
        }
        match text.len() {
            15 => Ok(Self(full(text))),
            18 => {
                let id = full(text.get(..15).unwrap_or_default());
                if id.eq_ignore_ascii_case(text) { Ok(Self(id)) } else { Err(ParseRecordIdError::Checksum) }
            }
            length => Err(ParseRecordIdError::Length(length)),
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({})", self.0)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_published_ids() {
        for (short, long) in [
            ("00DSB00000VAyPF", "00DSB00000VAyPF2A1"),
            ("005DS00000yYLD1", "005DS00000yYLD1YAO"),
            ("7508Z00000lSXvx", "7508Z00000lSXvxQAG"),
        ] {
            let id: RecordId = short.parse().unwrap();
            assert_eq!(id.as_str(), long);
            assert_eq!(long.parse::<RecordId>().unwrap(), id);
            assert_eq!(id.short(), short);
        }
    }

    #[test]
    fn wrong_ids_say_why() {
        assert_eq!("00D".parse::<RecordId>(), Err(ParseRecordIdError::Length(3)));
        assert_eq!("00DSB00000VAyPF2A2".parse::<RecordId>(), Err(ParseRecordIdError::Checksum));
        assert_eq!("00DSB00000VAyP!".parse::<RecordId>(), Err(ParseRecordIdError::Character));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,20}") {
            let _ = text.parse::<RecordId>();
        }
    }
}
