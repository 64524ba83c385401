//! Everything about a request that can be decided without asking anybody: receive, bypass, classify.
//!
//! [`decide`] is pure, so that it can be tried with any number of hostile requests.

use http::request;

use crate::bypass::{BypassRules, Opening};
use crate::classify::{Call, classify};
use crate::config::{AllowedHosts, RequestIdRule};
use crate::path::PathRule;
use crate::receive::{Received, receive};
use crate::respond::MeshError;

/// The rules a decision is made by.
#[derive(Clone, Debug, Default)]
pub struct DecisionRules {
    /// Which paths are open.
    pub bypass: BypassRules,
    /// What verified calls may have in their path.
    pub paths: PathRule,
    /// How a context's id must relate to the request's.
    pub request_id: RequestIdRule,
    /// Which hosts requests may be for; any when `None`.
    pub allowed_hosts: Option<AllowedHosts>,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Decision {
    /// Answer with the version.
    Info,
    /// Answer with the app's health.
    Health,
    /// Forward without authentication, stripped of everything trusted.
    Open(Received),
    /// Verify this call, then forward.
    Verify(Received, Call),
}

/// Decides what to do with a request known by `request_id`.
///
/// # Errors
/// [`MeshError`] when it is refused without asking anybody.
pub fn decide(
    parts: &request::Parts,
    request_id: &str,
    rules: &DecisionRules,
) -> Result<Decision, MeshError> {
    // Receive: first, because everything after it relies on one reading of host, headers and path.
    let received = receive(parts, rules.allowed_hosts.as_ref())?;
    // Bypass: before the headers are read, because open routes must not depend on them.
    match rules.bypass.opening(&parts.method, &received.path) {
        Opening::Info => return Ok(Decision::Info),
        Opening::Health => return Ok(Decision::Health),
        Opening::Open => {
            // With every route open there is no boundary a path could slip across.
            if !rules.bypass.all {
                received.path.ensure_plain_for_open_route().map_err(MeshError::Path)?;
            }
            return Ok(Decision::Open(received));
        }
        Opening::Guarded => {}
    }
    // Classify: last, because it is the only step that decodes what the caller wrote.
    if rules.paths == PathRule::Strict {
        received.path.ensure_plain().map_err(MeshError::Path)?;
    }
    let call = classify(&parts.headers, &received.path, request_id, rules.request_id)?;
    Ok(Decision::Verify(received, call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bypass::BypassRoute;
    use http::Request;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    fn rules() -> DecisionRules {
        let routes = vec![BypassRoute::parse("/pub/*").unwrap(), BypassRoute::parse("/open").unwrap()];
        DecisionRules { bypass: BypassRules { routes, ..BypassRules::default() }, ..DecisionRules::default() }
    }

    fn header_name() -> impl Strategy<Value = String> {
        proptest::sample::select(vec![
            "x-request-id",
            "x-request-context",
            "x-client-context",
            "x-signature",
            "X_Client_Context",
            "host",
            "x-applink-mesh-secret",
            "x-forwarded-for",
            "x-other",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        #[test]
        fn nothing_is_open_but_what_the_rules_name(
            path in "/(pub|open|secret|\\.\\.|%2e%2e|%2f|;|/|%3f|%23|x){0,8}",
            headers in proptest::collection::vec((header_name(), "[ -~]{0,30}"), 0..6),
        ) {
            let mut request = Request::builder().uri(&path).header("host", "app");
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            let Ok(request) = request.body(()) else { return Ok(()) };
            let (parts, ()) = request.into_parts();
            match decide(&parts, "r", &rules()) {
                Ok(Decision::Open(received)) => {
                    let decoded = received.path.decoded();
                    prop_assert!(decoded == b"/open" || decoded.starts_with(b"/pub/"));
                    prop_assert_eq!(received.path.as_sent(), parts.uri.path_and_query().unwrap());
                }
                Ok(Decision::Verify(_, Call::Salesforce(_))) => {
                    prop_assert!(parts.headers.contains_key("x-request-context"));
                    prop_assert!(parts.headers.contains_key("x-client-context"));
                }
                Ok(Decision::Verify(_, Call::DataAction(call))) => prop_assert!(!call.signature.expose_secret().is_empty()),
                Ok(Decision::Info | Decision::Health) => prop_assert!(false, "{path} is neither"),
                Err(error) => prop_assert!(!error.marker().is_empty()),
            }
        }
    }

    #[test]
    fn a_verified_call_may_have_odd_paths_only_when_told() {
        let request = Request::builder().uri("/items/a%2Fb").header("host", "app").header("x-signature", "s");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(matches!(decide(&parts, "r", &rules()), Err(MeshError::Path(_))));
        let verbatim = DecisionRules { paths: PathRule::Verbatim, ..rules() };
        assert!(matches!(decide(&parts, "r", &verbatim), Ok(Decision::Verify(..))));
    }
}
