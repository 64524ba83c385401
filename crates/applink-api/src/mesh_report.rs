//! What a mesh tells the control plane about the calls it saw: counts of all, and records of some. Never a token, a
//! body, a query or a header.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The most records in one report; a mesh leaves the rest out and says how many.
pub const MAX_RECORDS: usize = 64;
/// The most counts in one report.
pub const MAX_COUNTS: usize = 256;
/// The longest text in a record; longer ones are cut.
pub const MAX_TEXT: usize = 200;

/// Body of `POST {API_URL}/invocations/report`. Answered with 204; a report that was counted before is not counted
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MeshReport {
    /// One run of one mesh: a uuid made at its start.
    pub mesh: String,
    /// Counts up from 1 within that run.
    pub sequence: u64,
    /// The mesh's version.
    pub version: String,
    /// Every route is open.
    pub bypass_all: bool,
    /// What happened since the last report.
    pub counts: Vec<InvocationCount>,
    /// Some of it in detail.
    pub sample: Vec<InvocationRecord>,
    /// How many records were left out of the sample.
    pub left_out: u64,
}

/// How many requests ended alike within a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvocationCount {
    /// The beginning of the minute.
    pub minute: Timestamp,
    /// `verified`, `signed`, `open`, `own`, or why it was refused (the value of `x-applink-mesh`).
    pub verdict: String,
    /// The answer's status.
    pub status: u16,
    /// How many.
    pub count: u64,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvocationRecord {
    /// When it came.
    pub at: Timestamp,
    /// Its id.
    pub request_id: String,
    /// The verified org; empty when there is none.
    pub org_id: String,
    /// The verified user; empty when there is none.
    pub user_id: String,
    /// Method and path, without the query.
    pub operation: String,
    /// See [`InvocationCount::verdict`].
    pub verdict: String,
    /// The answer's status.
    pub status: u16,
    /// Microseconds in the mesh until the app was called or the call refused.
    pub mesh_micros: u64,
    /// Microseconds until the head of the app's answer.
    pub app_micros: u64,
}

/// Body of `POST {API_URL}/invocations/tokens`: a mesh is about to accept a token that may be used once among all
/// meshes of the add-on. 204 when it is the first, 409 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenUse {
    /// The org that signed it.
    pub org_id: String,
    /// Its `jti`.
    pub token_id: String,
    /// When it expires.
    pub expires_at: Timestamp,
}
