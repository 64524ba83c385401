//! Against a scripted AppLink API and a scripted org: every answer below is raw JSON.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

#[path = "integration/stub.rs"]
mod stub;

#[path = "integration/authorizations.rs"]
mod authorizations;
#[path = "integration/data.rs"]
mod data;
#[path = "integration/data_actions.rs"]
mod data_actions;
#[path = "integration/data_cloud.rs"]
mod data_cloud;
#[path = "integration/invocations.rs"]
mod invocations;
#[path = "integration/tokens.rs"]
mod tokens;
