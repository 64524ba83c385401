//! Webhooks: an add-on's endpoints are told what becomes of its connections, authorizations and publications.
//!
//! 1. Whatever changes a row [tells](events::tell) it in the same transaction: the thing's version grows, and when an
//!    endpoint wants the event, the event and one delivery per endpoint are written. What is not committed was never
//!    told; what is committed will be.
//! 2. [`deliver`] claims deliveries that are due, one at a time per endpoint, and POSTs the event through
//!    [`crate::egress::TenantEgress`], signed ([`sign`]) with the endpoint's secret, and with the former one while it
//!    is being rotated.
//! 3. A 2xx is a delivery. Anything else is tried again after [`flow::RETRIES`]; then it is given up.
//! 4. An endpoint that nothing reached for [`flow::PATIENCE`], or that says 410, is switched off, and says why.
//!
//! At least once, in no certain order: a receiver drops ids it has seen, and versions older than it has seen.

pub mod api;
pub mod deliver;
pub mod events;
pub mod flow;
pub mod manage;
pub mod sign;
pub mod store;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use uuid::Uuid;

use crate::vault::{Place, SealedToken};

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its uuid.
    pub id: Uuid,
    /// The tenant.
    pub addon: AddonId,
    /// Where.
    pub url: String,
    /// Which events: types, or a noun with `.*`; none means all.
    pub event_types: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Sealed.
    pub secret: SealedToken,
    /// Sealed; signs too until the time is up.
    pub former_secret: Option<(SealedToken, Timestamp)>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why they are not, when nobody switched it off.
    pub disabled_reason: Option<String>,
    /// Since when no delivery succeeded, when the last one did not.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub last_modified_at: Timestamp,
    /// Who changed it.
    pub last_modified_by: String,
}

impl Endpoint {
    /// Where a sealed column lives.
    pub fn place(&self, column: &'static str) -> Place {
        Place { addon: self.addon, table: store::ENDPOINTS, row: self.id, column }
    }
}
