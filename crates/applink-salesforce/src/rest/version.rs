//! API versions.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::error::OrgError;
use crate::rest::call::OrgAnswer;

/// An API version, written `66.0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApiVersion(u16);

/// A text is not an API version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an API version such as 66.0")]
pub struct VersionError(String);

impl ApiVersion {
    /// Version `number`.0.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number before `.0`.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for ApiVersion {
    type Err = VersionError;

    /// Reads `66.0`; a leading `v`, as some contexts have it, is dropped.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let digits = text.strip_prefix('v').unwrap_or(text).strip_suffix(".0");
        let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        number.and_then(|number| number.parse().ok()).map(Self).ok_or_else(|| VersionError(text.to_owned()))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0", self.0)
    }
}

#[derive(Deserialize)]
struct Listed {
    version: String,
}

pub(super) fn newest(answer: &OrgAnswer) -> Result<ApiVersion, OrgError> {
    let listed: Vec<Listed> = answer.json()?;
    let newest = listed.iter().filter_map(|entry| entry.version.parse().ok()).max();
    newest.ok_or(OrgError::Unexpected { status: answer.status() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_and_orders_by_number() {
        assert_eq!("v62.0".parse(), Ok(ApiVersion::new(62)));
        assert_eq!("66.0".parse::<ApiVersion>().unwrap().to_string(), "66.0");
        assert!("9.0".parse::<ApiVersion>().unwrap() < ApiVersion::new(10));
        for text in ["", "66", "66.1", "vv66.0", "-1.0", "+6.0", "66.0/../x", "99999999.0"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
