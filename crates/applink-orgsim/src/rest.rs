//! The data REST API under `/services/data`: sObjects, queries, limits and the composite family.
//!
//! 1. `http.rs` takes a request: version, bearer session, "API Enabled", body.
//! 2. [`dispatch`] is the one list of resources. Composite sub-requests go through it as well, so that a call
//!    means the same alone and inside a composite.
//! 3. Each call is one transaction on the org's database; an error rolls it back.
//! 4. Files go in as Base64 and come out as bytes (`blobs.rs`); jobs over many records have their own routes ([`bulk`]).

mod blobs;
mod bulk;
mod collections;
mod composite;
mod describe;
mod dispatch;
mod error;
mod http;
mod query;
mod sobjects;
mod tree;

use axum::Router;

use crate::db::Database;
use crate::rights::Caller;

pub use bulk::{BulkWork, step as step_bulk_jobs};
pub(crate) use bulk::{TABLES as BULK_TABLES, work as bulk_worker};
pub use error::RestError;

/// The oldest API version a request may name. Real orgs retired everything below.
const OLDEST_VERSION: u32 = 31;
/// API requests a day, as `limits` and `Sforce-Limit-Info` tell it. It is told, not enforced.
pub(crate) const DAILY_API_REQUESTS: u64 = 15_000;

/// One API version, such as `66.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiVersion(u32);

/// What the REST API needs from the org around it.
pub trait RestHost: Clone + Send + Sync + 'static {
    /// The org's data.
    fn database(&self) -> &Database;
    /// Whose live session a bearer token is; `None` when it is none or has ended. May block.
    fn authenticate(&self, bearer: &str) -> Option<Caller>;
    /// The identity URL of a user.
    fn identity_url(&self, user_id: &str) -> String;
    /// The API versions that `/services/data` lists, oldest first.
    fn api_versions(&self) -> &[ApiVersion];
    /// What wakes the worker of bulk jobs.
    fn bulk_work(&self) -> &BulkWork;
}

/// The routes of the REST API. `/services/data/{version}/{*resource}` catches what no other route of the org takes,
/// so more specific routes can be merged beside it when they call their parameter `{version}` as well.
pub fn routes<H: RestHost>() -> Router<H> {
    http::routes().merge(bulk::routes())
}

impl ApiVersion {
    /// The version of a number such as 66.
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// Every version from `oldest` to `newest`, oldest first.
    pub fn range(oldest: u32, newest: u32) -> Vec<Self> {
        (oldest..=newest).map(Self).collect()
    }

    /// The version a path segment such as `v66.0` names.
    pub fn from_segment(segment: &str) -> Option<Self> {
        let number = segment.strip_prefix(['v', 'V'])?.strip_suffix(".0")?;
        let plain = !number.is_empty()
            && !number.starts_with('0')
            && number.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| number.parse().ok()).flatten().map(Self)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The release it came with: three a year, Spring first.
    pub fn label(self) -> String {
        let year = 4 + self.0 / 3; // v66 is Spring '26
        match self.0 % 3 {
            0 => format!("Spring '{year}"),
            1 => format!("Summer '{year}"),
            _ => format!("Winter '{}", year + 1),
        }
    }

    /// The start of its URLs, such as `/services/data/v66.0`.
    pub fn base_url(self) -> String {
        format!("/services/data/v{self}")
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.0", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_their_names() {
        for (number, label) in
            [(58, "Summer '23"), (62, "Winter '25"), (66, "Spring '26"), (67, "Summer '26")]
        {
            assert_eq!(ApiVersion::new(number).label(), label);
        }
    }

    #[test]
    fn only_whole_versions_are_versions() {
        assert_eq!(ApiVersion::from_segment("v66.0"), Some(ApiVersion::new(66)));
        for segment in ["66.0", "v66", "v66.1", "viAmABadVersion", "v.0", "v066.0", "v99999999999.0"] {
            assert_eq!(ApiVersion::from_segment(segment), None, "{segment}");
        }
    }
}
