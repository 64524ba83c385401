//! Secrets on the wire: a serde adapter for [`SecretString`], the one secret type of every crate.
//!
//! A `SecretString` prints as `[REDACTED]` and is wiped on drop. Serialising it must be asked for by name:
//!
//! ```
//! # use serde::{Serialize, Deserialize};
//! #[derive(Serialize, Deserialize)]
//! struct UserAuth {
//!     #[serde(with = "applink_api::secret::wire")]
//!     access_token: secrecy::SecretString,
//! }
//! ```

use std::fmt;

pub use secrecy::{ExposeSecret, SecretString};

/// `#[serde(with = "applink_api::secret::wire")]`: the secret as a plain JSON string. For wire bodies only.
pub mod wire {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the secret in the clear.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose_secret())
    }

    /// Reads a string as a secret.
    ///
    /// # Errors
    /// When the value is not a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
        String::deserialize(deserializer).map(SecretString::from)
    }
}

/// The same for a secret that may be absent; give it `default` and `skip_serializing_if = "Option::is_none"` too.
pub mod wire_option {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the secret in the clear.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
    }

    /// Reads a string, or null, as a secret.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
    }
}

/// Enough of a secret to tell two apart by eye, not enough to use: the first eight hexadecimal digits of a
/// keyless 64-bit FNV-1a hash. For dashboards and terminals.
pub fn fingerprint(secret: &SecretString) -> Fingerprint {
    let hash = secret.expose_secret().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Fingerprint(hash)
}

/// See [`fingerprint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 32)
    }
}
