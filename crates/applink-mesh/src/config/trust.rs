//! Who verifies the orgs' tokens, and how long it may be done without the control plane.

use std::time::Duration;

/// How calls of orgs are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSettings {
    /// By whom.
    pub verify: VerifyRule,
    /// Between two polls of the trust bundle. 2 s: a disconnect must be effective within 5.
    pub poll_every: Duration,
    /// How long calls are verified after the last poll that went well. 300 s; then 503.
    pub max_staleness: Duration,
}

impl Default for TrustSettings {
    fn default() -> Self {
        Self {
            verify: VerifyRule::default(),
            poll_every: Duration::from_secs(2),
            max_staleness: Duration::from_secs(300),
        }
    }
}

/// By whom calls are verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyRule {
    /// By the mesh, with the control plane's trust bundle; by the control plane when it has none.
    #[default]
    Local,
    /// By the control plane, call by call, as in the public mesh.
    Ask,
}
