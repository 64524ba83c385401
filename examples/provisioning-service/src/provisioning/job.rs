//! Step 5: the work, and the callbacks about it.

use std::time::Duration;

use applink_sdk::{Error, Org};
use serde::Serialize;

use super::parameters::Parameters;
use super::provider::{Outcome, ServiceResult, order};
use super::sold::Opportunity;
use crate::problem::chain;

/// How many opportunities are provisioned between two callbacks.
const BATCH: usize = 10;
/// Pauses before a callback that may work later is sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A job that has been accepted.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) org: Org,
    pub(super) callback: Option<String>,
    pub(super) opportunities: Vec<Opportunity>,
    pub(super) parameters: Parameters,
}

/// The body of a callback.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    job_id: &'a str,
    status: &'static str,
    opportunity_ids: Vec<&'a str>,
    services: &'a [ServiceResult],
    summary: Summary,
    errors: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct Summary {
    total: usize,
    succeeded: usize,
    failed: usize,
}

impl Job {
    /// Provisions everything. The first callback says `started`, the last one `completed`; in between comes one
    /// `provisioning` for every ten opportunities.
    pub(super) async fn run(self) {
        self.report("started", &[]).await;
        let mut services = Vec::new();
        let mut batches = self.opportunities.chunks(BATCH).peekable();
        while let Some(batch) = batches.next() {
            let done: Vec<ServiceResult> =
                batch.iter().flat_map(|opportunity| self.provision(opportunity)).collect();
            if batches.peek().is_some() {
                self.report("provisioning", &done).await;
            }
            services.extend(done);
        }
        self.report("completed", &services).await;
        tracing::info!(job = self.id, services = services.len(), "job completed");
    }

    fn provision(&self, opportunity: &Opportunity) -> Vec<ServiceResult> {
        opportunity.line_items.iter().map(|item| order(&opportunity.id, item, &self.parameters)).collect()
    }

    /// Tells the org. A report that can't be delivered is logged and the job goes on: the services run anyway.
    async fn report(&self, status: &'static str, services: &[ServiceResult]) {
        let Some(url) = &self.callback else { return };
        let body = self.status(status, services);
        for pause in PAUSES.into_iter().map(Some).chain([None]) {
            match (self.org.callback(url).send(&body).await, pause) {
                (Ok(()), _) => return,
                (Err(error), Some(pause)) if error.is_transient() => {
                    self.log_failure(status, &error);
                    tokio::time::sleep(pause).await;
                }
                (Err(error), _) => return self.log_failure(status, &error),
            }
        }
    }

    fn log_failure(&self, status: &str, error: &Error) {
        tracing::warn!(job = self.id, status, error = chain(error), "a callback was not delivered");
    }

    fn status<'a>(&'a self, status: &'static str, services: &'a [ServiceResult]) -> Status<'a> {
        let failed: Vec<&ServiceResult> =
            services.iter().filter(|service| service.status == Outcome::Failed).collect();
        Status {
            job_id: &self.id,
            status,
            opportunity_ids: self.opportunities.iter().map(|opportunity| opportunity.id.as_str()).collect(),
            services,
            summary: Summary {
                total: services.len(),
                succeeded: services.len() - failed.len(),
                failed: failed.len(),
            },
            errors: failed.iter().map(|service| service.message.as_str()).collect(),
        }
    }
}
