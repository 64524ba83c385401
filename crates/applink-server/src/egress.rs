//! Whom we may call: three kinds of destinations, each with its own client type, so that a URL of one kind can't be
//! called with the client of another.
//!
//! * **Org** ([`OrgEgress`], from `applink-salesforce`): https on Salesforce's own hosts, plus what the operator
//!   lists. It only takes an [`applink_salesforce::OrgOrigin`], which only a checked URL becomes.
//! * **Tenant** ([`TenantEgress`]): URLs that tenants type, such as webhooks. Public addresses only, resolved once and
//!   pinned for the connection; no redirects; what comes back is never shown.
//! * **Operator** ([`OperatorEgress`]): hosts the operator configured.

mod operator;
mod tenant;

pub use applink_salesforce::OrgEgress;
pub use operator::{OperatorEgress, OperatorEgressError};
pub use tenant::{TENANT_DEADLINE, TenantEgress, TenantEgressError, is_public};
