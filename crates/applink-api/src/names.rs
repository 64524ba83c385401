//! Connection names, developer names, aliases and client names: the rules, and when two names are the same.
//!
//! The official help allows letters, digits and single underscores; its own examples use hyphens too
//! (`production-org`). Both are accepted, and `-` and `_` count as the same character in look-ups and for
//! uniqueness within an add-on, since the official output writes `auth_user` for a typed `auth-user`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name breaks a rule. The message names the rule, so it can be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {kind}: {rule}")]
pub struct NameError {
    kind: &'static str,
    name: String,
    rule: &'static str,
}

/// A connection name or developer name: 3–30 characters, a letter first, a letter or digit last,
/// letters, digits and single `_` or `-` between. Kept as typed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks `text` as the name of a `kind` ("connection name", "developer name").
    ///
    /// # Errors
    /// [`NameError`] naming the rule that is broken.
    pub fn parse(kind: &'static str, text: &str) -> Result<Self, NameError> {
        match broken_rule(text) {
            None => Ok(Self(text.to_owned())),
            Some(rule) => Err(NameError { kind, name: shown(text), rule }),
        }
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form two equal names share. See [`look_up_key`].
    pub fn key(&self) -> String {
        look_up_key(&self.0)
    }
}

/// Two names with the same key are the same name within an add-on: `-` equals `_`.
///
/// Letter case is significant, as in the original.
pub fn look_up_key(text: &str) -> String {
    text.replace('-', "_")
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let is_separator = |c: char| c == '_' || c == '-';
    if !(3..=30).contains(&text.chars().count()) {
        return Some("it must have 3 to 30 characters");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || is_separator(c)) {
        return Some("only letters, digits, `_` and `-` are allowed");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some("it must start with a letter");
    }
    if text.ends_with(is_separator) {
        return Some("it must end with a letter or a digit");
    }
    let neighbours = text.chars().zip(text.chars().skip(1));
    if neighbours.into_iter().any(|(a, b)| is_separator(a) && is_separator(b)) {
        return Some("`_` and `-` must not follow each other");
    }
    None
}

/// At most 40 characters of what was typed, control characters replaced, for an error message.
fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse("name", text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An authorization's second name: 3–100 of letters, digits, `_`, `:`, `.` and `-`. Unique per add-on and never
/// equal to another's developer name, nor anything that could be taken for an id. The CLI's default is `applink:<developer name>`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Alias(String);

/// What the default alias of an authorization has before the developer name.
pub const DEFAULT_ALIAS: &str = "applink:";

impl Alias {
    /// The alias the official CLI gives when none is asked for.
    pub fn default_for(name: &Name) -> Self {
        Self(format!("{DEFAULT_ALIAS}{name}"))
    }

    /// The alias as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Alias {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = if !(3..=100).contains(&text.len()) {
            "it must have 3 to 100 characters"
        } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:.-".contains(&b)) {
            "only letters, digits, `_`, `:`, `.` and `-` are allowed"
        } else if uuid::Uuid::parse_str(&text.replace('_', "-")).is_ok() {
            "it must not look like an id"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(NameError { kind: "alias", name: shown(text), rule })
    }
}

/// The name of a published app in the org: an Apex identifier of at most 40 characters (Apex Developer Guide,
/// "Identifiers": a letter first, letters, digits and single underscores, no underscore last).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct ClientName(String);

impl ClientName {
    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = if !(1..=40).contains(&text.len()) {
            "it must have 1 to 40 characters"
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            "it becomes an Apex class, so it must start with a letter"
        } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            "it becomes an Apex class, so only letters, digits and `_` are allowed"
        } else if text.ends_with('_') || text.contains("__") {
            "it becomes an Apex class, so `_` must not be doubled or last"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(NameError { kind: "client name", name: shown(text), rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_official_examples_use() {
        for name in ["production-org", "my-datacloud", "auth_user", "influencerPortal", "org_jwt", "a1b"] {
            Name::parse("connection name", name).unwrap();
        }
    }

    #[test]
    fn refuses_with_the_rule() {
        for (name, rule) in [
            ("ab", "3 to 30"),
            ("a123456789012345678901234567890", "3 to 30"),
            ("1ab", "start with a letter"),
            ("ab_", "end with a letter"),
            ("a__b", "follow each other"),
            ("a-_b", "follow each other"),
            ("a b c", "only letters"),
            ("ü-org", "only letters"),
        ] {
            let error = Name::parse("connection name", name).unwrap_err().to_string();
            assert!(error.contains(rule), "{name}: {error}");
        }
    }

    #[test]
    fn hyphen_and_underscore_are_one_name() {
        let typed: Name = "auth-user".parse().unwrap();
        let shown: Name = "auth_user".parse().unwrap();
        assert_ne!(typed, shown);
        assert_eq!(typed.key(), shown.key());
    }

    #[test]
    fn aliases_and_client_names() {
        assert_eq!(Alias::default_for(&"org1".parse().unwrap()).as_str(), "applink:org1");
        assert!("a b".parse::<Alias>().is_err());
        for id in [
            "1b671a64-40d5-491e-99b0-da01ff1f3341",
            "1B671A64_40D5_491E_99B0_DA01FF1F3341",
            "1b671a6440d5491e99b0da01ff1f3341",
            "urn:uuid:1b671a64-40d5-491e-99b0-da01ff1f3341",
        ] {
            let error = id.parse::<Alias>().unwrap_err().to_string();
            assert!(error.contains("look like an id"), "{error}");
        }
        assert!("GenerateQuote".parse::<ClientName>().is_ok());
        for wrong in ["", "1Quote", "Generate-Quote", "Quote_", "Gen__Quote"] {
            assert!(wrong.parse::<ClientName>().is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC{0,120}") {
            let _ = text.parse::<Name>();
            let _ = text.parse::<Alias>();
            let _ = text.parse::<ClientName>();
        }
    }
}
