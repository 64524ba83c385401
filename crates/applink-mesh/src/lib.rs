#![doc = include_str!("../README.md")]

mod authenticate;
mod bind;
pub mod bypass;
mod check;
pub mod child;
pub mod classify;
pub mod client_context;
mod closing;
pub mod config;
mod connection;
mod control_plane;
pub mod decide;
mod forward;
mod listener;
mod mesh;
pub mod path;
mod pipeline;
pub mod program;
mod readiness;
pub mod receive;
mod record;
mod respond;
mod sanitize;
#[cfg(feature = "otel")]
pub mod traces;
mod trust;

pub use authenticate::token::TokenProblem;
pub use authenticate::{Verdict, Verified, Verifier};
pub use control_plane::ControlPlaneConfigError;
pub use mesh::{Mesh, MeshStartError, RunningMesh};
pub use record::Counters;
pub use record::access::{AccessLog, AccessSink};
pub use respond::{MeshError, Refusal};
