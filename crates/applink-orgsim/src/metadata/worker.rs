//! The background step of deployments: each call moves the oldest unfinished one by one state.
//!
//! A deployment found `InProgress` after a restart is run again: its components go in with the transaction
//! that also ends it, or not at all.

use std::sync::PoisonError;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::deployment::{self, Deployment, Status};
use super::run::{self, Outcome, Run};
use crate::failure::Failure;
use crate::state::OrgState;

/// After a step that failed inside the org, the worker tries again by itself.
const RETRY: Duration = Duration::from_secs(1);

/// Runs due deployments until the org stops.
pub(crate) async fn work(state: OrgState, stop: CancellationToken) {
    loop {
        let failed = match step(&state).await {
            Ok(true) => continue,
            Ok(false) => false,
            Err(failure) => {
                tracing::error!(error = &failure as &dyn std::error::Error, "a deployment step failed");
                true
            }
        };
        tokio::select! {
            () = state.deploy_nudge().notified() => {}
            () = tokio::time::sleep(RETRY), if failed => {}
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
    let ran = run::run(state, due, &package).unwrap_or_else(|failure| {
        tracing::error!(
            error = &failure as &dyn std::error::Error,
            deployment = due.id,
            "a deployment broke off"
        );
        Run::Undone(Outcome {
            messages: Vec::new(),
            error: Some("The org failed while deploying; its log has the cause".to_owned()),
            files: 0,
            zip_bytes: package.len(),
        })
    });
    let status = match ran {
        Run::Committed(status) => status,
        Run::Undone(outcome) => {
            let status = Status::of(&outcome, &due.options);
            state.db().write(|tx| deployment::finish(tx, &due.id, status, &outcome))?;
            status
        }
    };
    tracing::info!(deployment = due.id, status = status.name(), "deployment finished");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use rusqlite::functions::FunctionFlags;
    use tokio::sync::mpsc;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::db::DbError;
    use crate::org::{DeployMode, Org, OrgConfig, RunningOrg};
    use crate::{Clock, Entropy};

    async fn start(deploy_mode: DeployMode) -> (RunningOrg, OrgState) {
        let mut config = OrgConfig::new("Acme", "the key of these tests".to_owned().into());
        config.clock = Clock::fixed(1_790_000_000_000_000);
        config.entropy = Entropy::seeded(7);
        config.deploy_mode = deploy_mode;
        let org = Org::start(config).await.unwrap();
        let state = org.state().clone();
        (org, state)
    }

    fn package() -> Vec<u8> {
        const NS: &str = "http://soap.sforce.com/2006/04/metadata";
        let manifest = format!(
            "<Package xmlns=\"{NS}\"><types><members>A</members><name>PermissionSet</name></types><version>66.0</version></Package>"
        );
        let set = format!("<PermissionSet xmlns=\"{NS}\"><label>A</label></PermissionSet>");
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in [("package.xml", manifest), ("permissionsets/A.permissionset", set)] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// A deployment the administrator asked for.
    fn request(org: &RunningOrg, state: &OrgState) -> String {
        let admin = org.users().iter().find(|user| user.role == "admin").unwrap();
        let options = deployment::Options { single_package: true, ..deployment::Options::default() };
        state.db().write(|tx| deployment::insert(tx, &package(), &options, &admin.user_id)).unwrap()
    }

    fn status_of(state: &OrgState, id: &str) -> Status {
        state.db().read(|tx| deployment::find(tx, id)).unwrap().unwrap().status
    }

    #[tokio::test]
    async fn a_deployment_ends_with_what_it_applies() {
        let (org, state) = start(DeployMode::Stepped).await;
        let id = request(&org, &state);
        step(&state).await.unwrap();
        let due = state.db().read(deployment::next_due).unwrap().unwrap();
        // Nothing runs after this, as when the process is killed.
        let ran = run::run(&state, &due, &package()).unwrap();
        assert!(matches!(ran, Run::Committed(Status::Succeeded)), "{ran:?}");
        assert_eq!(status_of(&state, &id), Status::Succeeded);
        assert!(!step(&state).await.unwrap(), "nothing is run again");
    }

    #[tokio::test]
    async fn a_step_that_failed_is_tried_again() {
        let (org, state) = start(DeployMode::Automatic).await;
        let (noted, mut seen) = mpsc::unbounded_channel();
        let break_it = |tx: &crate::db::Tx<'_>| {
            let note = move |_: &rusqlite::functions::Context<'_>| {
                let _ = noted.send(());
                Ok(0)
            };
            tx.create_scalar_function("note", 0, FunctionFlags::SQLITE_UTF8, note)?;
            tx.execute_batch(
                "CREATE TRIGGER stuck BEFORE UPDATE ON _deployment BEGIN SELECT note(); SELECT RAISE(ABORT, 'stuck'); END",
            )?;
            Ok::<_, DbError>(())
        };
        state.db().write(break_it).unwrap();
        let id = request(&org, &state);
        state.deploy_nudge().notify_one();
        seen.recv().await.unwrap();
        state.db().write(|tx| Ok::<_, DbError>(tx.execute_batch("DROP TRIGGER stuck")?)).unwrap();
        let done = async {
            while status_of(&state, &id) != Status::Succeeded {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
        org.stop().await;
    }
}
