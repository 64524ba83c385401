//! Removals that are due: one step for each.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::operator::LeftBehind;
use applink_api::time::Timestamp;

use super::store::{self, Model};
use super::{AT_ONCE, Report, Stage};
use crate::addons::{self, Addon};
use crate::app::App;
use crate::audit::{Actor, ActorKind, Entry};
use crate::credentials::{self, Kind};
use crate::db::claim::Claim;
use crate::db::{RowId, StoreError, Tx};
use crate::error::ApiError;
use crate::publications::flow::DeployState;
use crate::publications::{self, DeployKind, Publication};
use crate::reconcilers::{Status, StepError};
use crate::tokens;
use crate::web::auth::RequireManager;

/// Long enough for a batch's calls to orgs.
const LEASE: Duration = Duration::from_secs(120);
/// Rows taken at a time.
const BATCH: u32 = 10;
/// When to look again whether the grants are revoked.
const RETRY: Duration = Duration::from_secs(5);
/// After this long in one stage, an org that can't be reached no longer holds the removal up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Does what is due.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn work_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let due = app.store.database().claim_due::<Model>(store::DUE, claim).await?;
    let mut status = Status::default();
    for row in due {
        status.done += u64::from(take_step(app, row).await?);
    }
    Ok(status)
}

/// Goes on with one removal as far as it gets without waiting, whoever else is at it. `true` when nothing is left.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn advance(app: &App, addon: AddonId) -> Result<bool, StepError> {
    let mut stuck_at = None;
    loop {
        let Some(row) = store::find(app.store.reader(), addon).await? else { return Ok(true) };
        let stage = row.stage()?;
        match stage {
            Stage::Done => return Ok(true),
            // Whoever is at it as well may have come further than this; nobody has.
            _ if stuck_at == Some(stage) => return Ok(false),
            // Orgs are asked in the background only.
            Stage::Unpublish if is_published(app, addon).await? => return Ok(false),
            Stage::Unpublish | Stage::Revoke => {}
        }
        if !take_step(app, row).await? {
            stuck_at = Some(stage);
        }
    }
}

async fn is_published(app: &App, addon: AddonId) -> Result<bool, StoreError> {
    Ok(!publications::store::list(app.store.reader(), addon).await?.is_empty())
}

/// `true` when it came a stage further.
async fn take_step(app: &App, row: Model) -> Result<bool, StepError> {
    match row.stage()? {
        Stage::Unpublish => unpublish(app, row).await,
        Stage::Revoke => Ok(erase_when_revoked(app, row.id.into()).await?),
        Stage::Done => Ok(false),
    }
}

/// Each app out of each org, as far as the orgs let us; then the grants go to be revoked.
async fn unpublish(app: &App, row: Model) -> Result<bool, StepError> {
    let addon: AddonId = row.id.into();
    let manager = manager_of(&row);
    let is_late = app.clock.now().since(Timestamp::from_micros(row.stage_since)) >= PATIENCE;
    let (mut left, mut asked, mut waits) = (Vec::new(), Vec::new(), false);
    for publication in publications::store::list(app.store.reader(), addon).await? {
        match take_out(app, &manager, &publication).await? {
            Taken::NotThere => {}
            Taken::UnderWay if is_late => {
                left.push(left_publication(publication, "its org did not do it in time".to_owned()));
            }
            Taken::UnderWay => {
                asked.push(shown(&publication));
                waits = true;
            }
            Taken::Not(reason) => left.push(left_publication(publication, reason)),
        }
    }
    if !waits {
        disconnect_everything(app, &manager).await?;
    }
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, addon).await?;
    let Some(mut current) = store::find(&*tx, addon).await? else { return Ok(false) };
    if current.stage()? != Stage::Unpublish {
        return Ok(false);
    }
    let mut report = current.report();
    for name in asked {
        if !report.unpublished.contains(&name) {
            report.unpublished.push(name);
        }
    }
    if waits {
        current.report = store::json(&report);
        current.due_at = Some(app.clock.now().plus(RETRY).as_micros());
        store::save(&*tx, current).await?;
        tx.commit().await?;
        return Ok(false);
    }
    report.unpublished.retain(|name| !left.iter().any(|left| *name == shown_left(left)));
    report.left.append(&mut left);
    current.report = store::json(&report);
    enter(&mut current, Stage::Revoke, app.clock.now());
    store::save(&*tx, current).await?;
    tx.audit(Entry::new(&Actor::system(), "addon.disconnected", addon, addon.0));
    tx.commit().await?;
    app.nudges.removals.notify_one();
    Ok(true)
}

/// How far one publication is out of its org.
enum Taken {
    /// There is nothing of it, or no more.
    NotThere,
    /// The org is at it, or will be asked.
    UnderWay,
    /// It can't be done, and why.
    Not(String),
}

async fn take_out(
    app: &App,
    manager: &RequireManager,
    publication: &Publication,
) -> Result<Taken, StoreError> {
    let reader = app.store.reader();
    let newest = publications::store::newest(reader, publication.addon, publication.id).await?;
    match newest.as_ref().map(|deploy| (deploy.kind, &deploy.state)) {
        Some((DeployKind::Remove, DeployState::Failed(failure))) => {
            return Ok(Taken::Not(failure.message.clone()));
        }
        Some((_, state)) if !state.is_final() => return Ok(Taken::UnderWay),
        _ if publication.live.is_none() => return Ok(Taken::NotThere),
        _ => {}
    }
    let found = credentials::store::find_by_id(reader, publication.addon, publication.connection).await?;
    let Some(connection) = found else { return Ok(Taken::Not("its connection is gone".to_owned())) };
    let (of, client) = (publication.app, publication.client.as_str());
    match publications::remove::begin(app, manager, &connection, of, client).await {
        Ok(_) => {
            app.nudges.publications.notify_one();
            Ok(Taken::UnderWay)
        }
        Err(error) if error.status().is_server_error() => Ok(Taken::UnderWay),
        Err(error) => Ok(Taken::Not(error.message().to_owned())),
    }
}

fn left_publication(publication: Publication, reason: String) -> LeftBehind {
    let (name, org_id) = (publication.client, Some(publication.org_id));
    LeftBehind { kind: "publication".to_owned(), name, org_id, reason }
}

fn shown(publication: &Publication) -> String {
    format!("{} in {}", publication.client, publication.org_id)
}

fn shown_left(left: &LeftBehind) -> String {
    format!("{} in {}", left.name, left.org_id.as_deref().unwrap_or_default())
}

fn enter(row: &mut Model, stage: Stage, now: Timestamp) {
    row.stage = stage.as_str().to_owned();
    row.stage_since = now.as_micros();
    row.due_at = Some(AT_ONCE.as_micros());
}

/// The removal acts for whoever asked for it.
fn manager_of(row: &Model) -> RequireManager {
    let addon = Addon { id: row.id.into(), name: row.name.clone() };
    let actor = Actor::new(ActorKind::System, row.requested_by.clone());
    RequireManager { addon, app: None, actor, person: None }
}

async fn disconnect_everything(app: &App, manager: &RequireManager) -> Result<(), StoreError> {
    let addon = &manager.addon;
    for kind in [Kind::Connection, Kind::Authorization] {
        for found in credentials::store::list(app.store.reader(), addon.id, kind).await? {
            let gone = credentials::disconnect::disconnect(app, manager, kind, &found.id.to_string()).await;
            if let Err(error) = gone {
                warn(&addon.name, &found.name, &error);
            }
        }
    }
    Ok(())
}

/// What could not be disconnected now has a grant left, and shows in the next stage.
fn warn(addon: &str, name: &str, error: &ApiError) {
    tracing::warn!(addon, name, %error, "a credential of an add-on that goes could not be disconnected");
}

/// Erases the add-on once none of its grants is left, or they have been waited for long enough.
async fn erase_when_revoked(app: &App, addon: AddonId) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, addon).await?;
    let Some(mut row) = store::find(&*tx, addon).await? else { return Ok(false) };
    if row.stage()? != Stage::Revoke {
        return Ok(false);
    }
    let unrevoked = unrevoked(&tx, addon).await?;
    if !unrevoked.is_empty() && now.since(Timestamp::from_micros(row.stage_since)) < PATIENCE {
        row.due_at = Some(now.plus(RETRY).as_micros());
        store::save(&*tx, row).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let mut report = row.report();
    report.left.extend(unrevoked);
    tell(&row.name, &report);
    row.report = store::json(&report);
    enter(&mut row, Stage::Done, now);
    row.due_at = None;
    row.finished_at = Some(now.as_micros());
    store::save(&*tx, row).await?;
    addons::store::delete_addon(&*tx, addon).await?;
    let detail = format!("{} things could not be undone in orgs", report.left.len());
    tx.audit(Entry::new(&Actor::system(), "addon.deprovisioned", addon, addon.0).with_detail(detail));
    tx.commit().await?;
    Ok(true)
}

/// Grants that are still there, by the name of their connection or authorization.
async fn unrevoked(tx: &Tx, addon: AddonId) -> Result<Vec<LeftBehind>, StoreError> {
    let mut left = Vec::new();
    for kind in [Kind::Connection, Kind::Authorization] {
        for credential in credentials::store::list(&**tx, addon, kind).await? {
            if tokens::store::any_left(&**tx, RowId(credential.id)).await? {
                left.push(LeftBehind {
                    kind: kind.as_str().to_owned(),
                    org_id: credential.org().map(|org| org.org_id.clone()),
                    name: credential.name,
                    reason: "the org could not be reached to revoke its grant".to_owned(),
                });
            }
        }
    }
    Ok(left)
}

fn tell(addon: &str, report: &Report) {
    for left in &report.left {
        tracing::warn!(
            addon,
            kind = left.kind,
            name = left.name,
            org = left.org_id.as_deref().unwrap_or_default(),
            reason = left.reason,
            "an add-on is erased, and this of it is left in an org"
        );
    }
}
