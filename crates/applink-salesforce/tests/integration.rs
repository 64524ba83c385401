//! Against a scripted org: every answer below is raw text, none is written with the crate's own types. And, in
//! `orgsim`, against the simulator, which has types of its own.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a failure is the test's"
)]

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
#[path = "integration/orgsim.rs"]
mod orgsim;
#[path = "integration/rest.rs"]
mod rest;
#[path = "integration/visitor.rs"]
mod visitor;
