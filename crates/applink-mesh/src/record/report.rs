//! Tells the control plane every five seconds what happened, beside the traffic and never in its way. What can't be
//! told is told later, as far as there is room for it; what is left at the end, when the mesh stops.

use std::sync::Arc;
use std::time::Duration;

use applink_api::mesh_report::{MAX_TEXT, MeshReport};
use http::StatusCode;

use crate::closing::Over;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::pipeline::Pipeline;
use crate::record::chain;
use crate::record::tally::Pending;

const PATH: &str = "/invocations/report";
/// A control plane that takes no reports is told nothing more for this long.
const UNWANTED: Duration = Duration::from_secs(600);

/// Reports from time to time, and at the end what is left.
pub(crate) async fn run(
    pipeline: Arc<Pipeline>,
    control_plane: ControlPlane,
    every: Duration,
    mut over: Over,
) {
    let mesh = pipeline.entropy.uuid().to_string();
    let mut reporter = Reporter { pipeline, control_plane, mesh, sequence: 0, unsent: None };
    loop {
        let last = over.within(every).await;
        let repeated = reporter.unsent.is_some();
        let sent = reporter.send().await;
        if last && repeated && matches!(sent, Sent::Taken) {
            reporter.send().await;
        }
        if last || matches!(sent, Sent::Unwanted) && over.within(UNWANTED).await {
            return;
        }
    }
}

struct Reporter {
    pipeline: Arc<Pipeline>,
    control_plane: ControlPlane,
    mesh: String,
    sequence: u64,
    /// A report whose answer was lost is sent again as it was: the control plane counts it once.
    unsent: Option<MeshReport>,
}

impl Reporter {
    /// Sends what there is, if anything.
    async fn send(&mut self) -> Sent {
        let Some(report) = self.unsent.take().or_else(|| self.next()) else { return Sent::Taken };
        let sent = send(&self.control_plane, &report).await;
        if matches!(sent, Sent::Later) {
            self.unsent = Some(report);
        }
        sent
    }

    fn next(&mut self) -> Option<MeshReport> {
        let pending = self.pipeline.recorder.take_pending();
        if pending.is_empty() {
            return None;
        }
        self.sequence += 1;
        Some(report(&self.pipeline, &self.mesh, self.sequence, &pending))
    }
}

fn report(pipeline: &Pipeline, mesh: &str, sequence: u64, pending: &Pending) -> MeshReport {
    MeshReport {
        mesh: mesh.to_owned(),
        sequence,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        bypass_all: pipeline.rules.bypass.all,
        counts: pending.counts(),
        sample: pending.sample().to_vec(),
        left_out: pending.left_out(),
    }
}

enum Sent {
    Taken,
    Later,
    Unwanted,
}

async fn send(control_plane: &ControlPlane, report: &MeshReport) -> Sent {
    match control_plane.post(PATH, &report.mesh, report).await {
        Ok((status, _)) if status.is_success() => Sent::Taken,
        Ok((status, _)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            later(&ControlPlaneError::Overloaded(status))
        }
        Ok((status, _)) => {
            tracing::info!(%status, "the control plane takes no reports of this mesh");
            Sent::Unwanted
        }
        Err(error) => later(&error),
    }
}

fn later(error: &ControlPlaneError) -> Sent {
    tracing::debug!("a report could not be sent: {}", chain(error));
    Sent::Later
}

/// The first characters of a text, as many as a report may have.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
