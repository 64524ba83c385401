//! Grants whose credential was disconnected or replaced: revoked at the org, then erased.

use std::time::Duration;

use applink_api::operator::LeftBehind;
use applink_salesforce::oauth::TokenFailure;
use futures_util::future::join_all;

use super::store::{self, Model};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, Credential, flow};
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::removals;

/// How long a batch may take: its revocations run side by side, each within a token call's deadline.
const LEASE: Duration = Duration::from_secs(60);
/// Grants taken at a time.
const BATCH: u32 = 16;
/// Tries before the grant is erased without the org's confirmation: 2, 4, 8, … 128 s, about four minutes in all.
const TRIES: i64 = 7;

/// What the ledger says of a grant that may still live in its org.
const UNCONFIRMED: &str = "the org did not confirm the revocation";

/// What the ledger says of a grant whose session may be another one's too.
const SHARED: &str = "left to end by itself: another grant may use the same session";

/// Revokes what is due.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn revoke_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let grants = app.store.database().claim_due::<Model>(store::TO_REVOKE, claim).await?;
    let revocations = join_all(grants.iter().map(|grant| revoke_one(app, grant))).await;
    let done = u64::try_from(revocations.len()).unwrap_or_default();
    revocations.into_iter().collect::<Result<Vec<()>, StepError>>()?;
    Ok(Status { done })
}

async fn revoke_one(app: &App, grant: &Model) -> Result<(), StepError> {
    if is_shared(app, grant).await? {
        return Ok(erase(app, grant, SHARED).await?);
    }
    let detail = match revoke(app, grant).await {
        // What is revoked may be a token that its last refresh used up, which ends nothing.
        Ok(()) if may_have_successor(grant) => UNCONFIRMED,
        Ok(()) => "revoked at the org",
        Err(reason) if grant.failures + 1 < TRIES => {
            tracing::warn!(grant = %grant.id, %reason, "a grant could not be revoked; trying again");
            let pause =
                Duration::from_secs(2_u64.saturating_pow(u32::try_from(grant.failures + 1).unwrap_or(8)));
            let tx = app.store.begin().await?;
            store::retry_revoking(&*tx, grant, app.clock.now().plus(pause)).await?;
            return Ok(tx.commit().await?);
        }
        Err(reason) => {
            tracing::error!(grant = %grant.id, %reason, "a grant is erased though the org did not confirm its revocation");
            UNCONFIRMED
        }
    };
    Ok(erase(app, grant, detail).await?)
}

/// Whether a refresh whose answer nobody has may have replaced its refresh token.
fn may_have_successor(grant: &Model) -> bool {
    grant.refresh_token.is_some()
        && grant.rotation != "off"
        && (grant.intent_at.is_some() || grant.uncertain_at.is_some())
}

/// An org may answer all assertions of a user through a client with one session, which the last of their grants ends.
async fn is_shared(app: &App, grant: &Model) -> Result<bool, StoreError> {
    if grant.refresh_token.is_some() {
        return Ok(false);
    }
    let user = (grant.org_id.as_str(), grant.user_id.as_str());
    store::is_asserted(app.store.reader(), &grant.client_id, user, Some(grant.credential_id)).await
}

/// A refresh token ends its access tokens too; a JWT credential has only an access token.
async fn revoke(app: &App, grant: &Model) -> Result<(), String> {
    let column = if grant.refresh_token.is_some() { "refresh_token" } else { "access_token" };
    let sealed = grant.refresh_token.as_ref().or(grant.access_token.as_ref());
    let Some(sealed) = sealed else { return Ok(()) };
    let token = app.vault.open_sealed(grant.place(column), sealed).await.map_err(|error| chain(&error))?;
    let instance = app.hosts.instance(&grant.instance_url).map_err(|error| chain(&error))?;
    app.oauth.revoke(&instance, &token).await.map_err(|error: TokenFailure| chain(&error))
}

/// The ciphertext goes, unless somebody else took over meanwhile; when it was the last grant of a credential that is being disconnected, that is done too.
async fn erase(app: &App, grant: &Model, detail: &str) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, grant.addon()).await?;
    if !store::erase(&*tx, grant).await? {
        return Ok(());
    }
    let found = credentials::store::find_by_id(&*tx, grant.addon(), grant.credential_id.0).await?;
    if let (UNCONFIRMED, Some(credential)) = (detail, &found) {
        removals::store::add_left_behind(&*tx, grant.addon(), left_behind(grant, credential)).await?;
    }
    if let Some(mut credential) = found
        && !store::any_left(&*tx, grant.credential_id).await?
    {
        flow::disconnected(&mut credential, app.clock.now());
        credentials::write::save(&tx, &credential).await?;
    }
    tx.audit(
        Entry::new(&Actor::system(), "grant.erased", grant.addon(), grant.credential_id.0)
            .with_detail(detail),
    );
    tx.commit().await
}

fn left_behind(grant: &Model, credential: &Credential) -> LeftBehind {
    LeftBehind {
        kind: credential.kind.as_str().to_owned(),
        name: credential.name.clone(),
        org_id: Some(grant.org_id.clone()),
        reason: UNCONFIRMED.to_owned(),
    }
}
