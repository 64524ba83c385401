//! Called by the org: provisions the services that opportunities sold.
//!
//! 1. [`request`]: the body is checked.
//! 2. [`sold`]: the opportunities and their line items are read *as the calling user*: what the user may not see
//!    is not there.
//! 3. [`parameters`]: the provisioning parameters are read. They are custom metadata, which the user may not read;
//!    the session-based permission set that the operation names opens it while the call runs (user-plus mode).
//! 4. The answer, 201, goes back at once with the job's id.
//! 5. [`job`]: services are ordered from the [`provider`], and the org is told how it goes by callback, as the
//!    calling user.

mod job;
mod parameters;
mod provider;
mod request;
mod sold;

use applink_sdk::Invocation;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::json_body::JsonBody;
use crate::problem::Problem;
use crate::service::App;
use job::Job;
use request::{Asked, ProvisionRequest};

/// The answer: the job has started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    job_id: String,
    opportunities_requested: usize,
    opportunities_visible: usize,
    line_items: usize,
    parameters_read: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_refused: Option<String>,
}

/// `POST /api/provisionServices`, operation `provisionServices`.
pub(crate) async fn provision_services(
    State(app): State<App>,
    invocation: Invocation,
    JsonBody(body): JsonBody<ProvisionRequest>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let org = invocation.org();
    let asked = Asked::of(body, org)?;
    let opportunities = sold::read(org, &asked.opportunities).await?;
    if opportunities.is_empty() {
        return Err(Problem::nothing_visible(asked.opportunities.len()));
    }
    let parameters = parameters::read(org).await?;
    let accepted = Accepted {
        job_id: job_id(invocation.request_id()),
        opportunities_requested: asked.opportunities.len(),
        opportunities_visible: opportunities.len(),
        line_items: opportunities.iter().map(|opportunity| opportunity.line_items.len()).sum(),
        parameters_read: parameters.rows,
        parameters_refused: parameters.refused.clone(),
    };
    let job = Job {
        id: accepted.job_id.clone(),
        org: org.clone(),
        callback: asked.callback,
        opportunities,
        parameters,
    };
    tracing::info!(
        job = job.id,
        user = invocation.user().username,
        request = invocation.request_id(),
        "job accepted"
    );
    app.jobs().spawn(job.run());
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// The same call gets the same job id, also when it is delivered twice.
fn job_id(request_id: &str) -> String {
    let digest = Sha256::digest(request_id);
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest.iter()) {
        *byte = *from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_job() {
        assert_eq!(job_id("r-1"), job_id("r-1"));
        assert_ne!(job_id("r-1"), job_id("r-2"));
        assert_eq!(job_id("r-1").len(), 36);
    }
}
