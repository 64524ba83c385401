//! The release of an org, by the number of its newest API version.

use std::fmt;

/// `66.0` is Spring '26, `67.0` Summer '26, `68.0` Winter '27.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Release(u16);

impl Release {
    /// The release with API version `number`.0.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0", self.0)
    }
}
