//! Signing a browser in to the dashboard.

use serde::{Deserialize, Serialize};

use crate::secret::{SecretString, wire};
use crate::time::Timestamp;

/// A link that signs one browser in, once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInLink {
    /// The link. Whoever opens it and presses the button is signed in.
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub url: SecretString,
    /// Until when it can be opened.
    pub expires_at: Timestamp,
    /// Whether who opens it may change things, or only look.
    pub may_change: bool,
}
