//! What happened in an add-on, and who did it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One thing that happened. Details never hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its place in the ledger, the same whenever it is listed.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What, such as `connection.connected`.
    pub action: String,
    /// Who: an e-mail, an app with its attachment, a process. None once the name was erased.
    #[serde(default)]
    pub actor: Option<String>,
    /// What kind of caller: `app`, `api_key`, `person`, `claimed`, `operator`, `browser` or `system`.
    pub actor_kind: String,
    /// The uuid of what it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// More, for people.
    pub detail: String,
}
