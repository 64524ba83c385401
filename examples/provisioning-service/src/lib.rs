//! Sample app: the three integration types of AppLink in one service.
//!
//! * [`provisioning`]: called by the org, as the calling user, reporting by callback;
//! * [`campaigns`]: a web page that reads the org as a stored user;
//! * [`products`]: an ingest API that writes to the org as a stored user.

pub mod campaigns;
pub mod products;
pub mod provisioning;
pub mod settings;

mod json_body;
mod problem;
mod service;

pub use service::{RunningService, Service, StartError, run};
pub use settings::Settings;

/// The OpenAPI document that is published into orgs (YAML).
pub const API_SPEC: &str = include_str!("../api-spec.yaml");

/// The session-based permission set the operation names, as metadata XML.
pub const PERMISSION_SET_XML: &str = include_str!("../permissionset-meta.xml");
