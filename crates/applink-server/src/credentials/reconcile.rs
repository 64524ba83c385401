//! Work that is due on credentials: log-ins whose time is up, disconnects whose grants are gone, rows kept long
//! enough.

use std::time::Duration;

use applink_api::time::Timestamp;

use super::store::{self, Model};
use super::{Credential, State, flow, write};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::claim::Claim;
use crate::db::{RowId, StoreError};
use crate::oauth;
use crate::reconcilers::{Status, StepError};
use crate::tokens;

/// Nothing here calls out: a step is quick.
const LEASE: Duration = Duration::from_secs(30);
/// Rows taken at a time.
const BATCH: u32 = 100;

/// Does what is due.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn settle_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let rows = app.store.database().claim_due::<Model>(store::DUE, claim).await?;
    let mut status = Status::default();
    for row in rows {
        if settle(app, &row).await? {
            status.done += 1;
        }
    }
    Ok(status)
}

/// Re-reads the row under its add-on's lock: whoever was quicker has decided.
async fn settle(app: &App, row: &Model) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let addon = row.addon_id.into();
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, addon).await?;
    let Some(mut credential) = store::find_by_id(&*tx, addon, row.id.0).await? else { return Ok(false) };
    let Some(action) = due_action(&mut credential, now) else { return Ok(false) };
    match action {
        Action::Expire => oauth::store::forget(&*tx, credential.id).await?,
        Action::Finish if tokens::store::any_left(&*tx, RowId(credential.id)).await? => return Ok(false),
        Action::Finish => flow::disconnected(&mut credential, now),
        Action::Remove => write::delete(&tx, &credential).await?,
    }
    if action != Action::Remove {
        write::save(&tx, &credential).await?;
    }
    tx.audit(entry(action.audited(), &credential));
    tx.commit().await?;
    Ok(true)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Expire,
    Finish,
    Remove,
}

impl Action {
    fn audited(self) -> &'static str {
        match self {
            Self::Expire => "credential.log_in_expired",
            Self::Finish => "credential.disconnected",
            Self::Remove => "credential.removed",
        }
    }
}

/// What is due, if anything still is. An expired log-in is failed here already.
fn due_action(credential: &mut Credential, now: Timestamp) -> Option<Action> {
    match &credential.state {
        State::Pending { .. } => flow::expire(credential, now).map(|()| Action::Expire),
        State::Disconnecting(_) => Some(Action::Finish),
        State::Disconnected { until, .. } if *until <= now => Some(Action::Remove),
        _ => None,
    }
}

fn entry(action: &'static str, credential: &Credential) -> Entry {
    let detail = format!("{} {}", credential.kind.as_str(), credential.name);
    Entry::new(&Actor::system(), action, credential.addon, credential.id).with_detail(detail)
}
