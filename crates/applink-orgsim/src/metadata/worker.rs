//! The background step of deployments: each call moves the oldest unfinished one by one state.
//!
//! A deployment found `InProgress` after a restart is run again: its components go in with the transaction
//! that also ends it, or not at all.

use std::sync::PoisonError;

use tokio_util::sync::CancellationToken;

use super::deployment::{self, Deployment, Status};
use super::run::{self, Outcome};
use crate::failure::Failure;
use crate::rights::Caller;
use crate::state::OrgState;

/// Runs due deployments until the org stops.
pub(crate) async fn work(state: OrgState, stop: CancellationToken) {
    loop {
        match step(&state).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(failure) => {
                tracing::error!(error = &failure as &dyn std::error::Error, "a deployment step failed")
            }
        }
        tokio::select! {
            () = state.deploy_nudge().notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Moves the oldest unfinished deployment on by one state; `false` when there is none.
pub(crate) async fn step(state: &OrgState) -> Result<bool, Failure> {
    let state = state.clone();
    tokio::task::spawn_blocking(move || step_now(&state)).await?
}

fn step_now(state: &OrgState) -> Result<bool, Failure> {
    // Two steps at once (worker and control API) would run a package twice.
    let _one_at_a_time = state.deploy_lock().lock().unwrap_or_else(PoisonError::into_inner);
    let Some(due) = state.db().read(deployment::next_due)? else { return Ok(false) };
    match due.status {
        Status::Pending => state.db().write(|tx| deployment::start(tx, &due.id))?,
        _ => execute(state, &due)?,
    }
    Ok(true)
}

fn execute(state: &OrgState, due: &Deployment) -> Result<(), Failure> {
    let package = state.db().read(|tx| deployment::package(tx, &due.id))?;
    let caller = Caller::user(due.created_by.clone(), String::new());
    let outcome = run::run(state, &package, &due.options, &caller).unwrap_or_else(|failure| {
        tracing::error!(
            error = &failure as &dyn std::error::Error,
            deployment = due.id,
            "a deployment broke off"
        );
        Outcome {
            messages: Vec::new(),
            error: Some("The org failed while deploying; its log has the cause".to_owned()),
            files: 0,
            zip_bytes: package.len(),
        }
    });
    let status = Status::of(&outcome, &due.options);
    tracing::info!(deployment = due.id, status = status.name(), "deployment finished");
    state.db().write(|tx| deployment::finish(tx, &due.id, status, &outcome))
}
