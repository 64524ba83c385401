//! The app over HTTP, between a scripted AppLink API and a scripted org; in `orgsim`,
//! the simulator in its place.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a failure is the test's")]

#[path = "integration/stage.rs"]
mod stage;

#[path = "integration/campaigns.rs"]
mod campaigns;
#[path = "integration/documents.rs"]
mod documents;
#[path = "integration/orgsim.rs"]
mod orgsim;
#[path = "integration/products.rs"]
mod products;
#[path = "integration/provisioning.rs"]
mod provisioning;
#[path = "integration/service.rs"]
mod service;
