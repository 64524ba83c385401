//! Publications that somebody deleted in the org (Setup, External Services, Delete): noticed, and shown as removed.
//!
//! What is live is looked for every [`EVERY`], and soon after a deploy. Only an org that answers, and has no
//! registration of the name, counts: an org that can't be asked, or does not let its user see registrations, says
//! nothing about them. The row stays, so that publishing again or unpublishing finds it.

use std::time::Duration;

use super::org::{self, PublishingOrg, Registration};
use super::{Publication, change, metadata, store};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials;
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};

/// How often the org is asked about each publication.
pub const EVERY: Duration = Duration::from_secs(15 * 60);
/// Longer than one org may take to answer.
const LEASE: Duration = Duration::from_secs(90);
/// How long one org may take to answer.
const STEP: Duration = Duration::from_secs(40);
/// Asked in one run, one after the other.
const AT_ONCE: u32 = 20;

/// Looks for every publication whose time has come.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn check_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: AT_ONCE };
    let mut status = Status::default();
    for (publication, fence) in store::claim_for_check(app.store.database(), claim).await? {
        let is_gone = look(app, &publication).await?;
        record(app, &publication, fence, is_gone).await?;
        status.done += 1;
    }
    Ok(status)
}

/// Whether the org certainly has nothing under the name.
async fn look(app: &App, publication: &Publication) -> Result<bool, StoreError> {
    let reader = app.store.reader();
    if store::unfinished(reader, publication.addon, publication.id).await?.is_some() {
        return Ok(false);
    }
    let connection =
        credentials::store::find_by_id(reader, publication.addon, publication.connection).await?;
    let Some(connection) = connection.filter(|connection| connection.live().is_some()) else {
        return Ok(false);
    };
    let Ok(client) = publication.client.parse() else { return Ok(false) };
    let asked = tokio::time::timeout(STEP, async {
        let org: PublishingOrg = org::connect(app, &connection).await.ok()?;
        if org.org_id() != publication.org_id {
            return None;
        }
        match org.visible_registration(&client).await {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::debug!(publication = %publication.id, error = %chain(&error), "a publication can't be looked for");
                None
            }
        }
    });
    Ok(match asked.await {
        Ok(Some(found)) => !found.is_some_and(|found| is_ours(publication, &found)),
        _ => false,
    })
}

/// By id, or by the marker our deploys leave. Somebody else's registration of the same name means that ours is gone.
fn is_ours(publication: &Publication, found: &Registration) -> bool {
    let known = publication.live.as_ref().map(|live| live.registration_id.as_str()).unwrap_or_default();
    let same_id = !known.is_empty() && known == found.id;
    same_id || found.description.contains(&metadata::marker(publication.id, ""))
}

async fn record(app: &App, publication: &Publication, fence: i64, is_gone: bool) -> Result<(), StepError> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !store::save_check(&*tx, publication, fence, now, is_gone).await? {
        return Ok(());
    }
    if is_gone {
        tracing::warn!(publication = %publication.id, client = publication.client, "a publication was deleted in its org");
        let entry =
            Entry::new(&Actor::system(), "publication.deleted_in_org", publication.addon, publication.id.0);
        tx.audit(entry.with_detail(format!("{} in {}", publication.client, publication.org_id)));
        let seen = Publication { removed_at: Some(now), ..publication.clone() };
        change::tell_deleted_in_org(&tx, seen).await?;
    }
    tx.commit().await?;
    Ok(())
}
