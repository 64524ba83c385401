//! Against a scripted org: every answer below is raw text, none is written with the crate's own types.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests: a failure is the test's")]

#[path = "integration/stub.rs"]
mod stub;

#[path = "integration/egress.rs"]
mod egress;
#[path = "integration/identity.rs"]
mod identity;
#[path = "integration/keys.rs"]
mod keys;
#[path = "integration/metadata.rs"]
mod metadata;
#[path = "integration/oauth.rs"]
mod oauth;
#[path = "integration/rest.rs"]
mod rest;
