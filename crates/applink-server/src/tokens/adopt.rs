//! Tokens an org gave, and how they get into their grant's row: at once under the lease ([`super::renew`]), or late,
//! because the holder stalled, or because they were in a spool while the database took nothing.
//!
//! Late tokens are the grant's as long as its row has those they replaced, whoever claimed it meanwhile: what that one
//! holds is used up, and this is its successor. Where the database is there and refuses them, the row says at least that
//! nobody else may send what they replaced ([`hold`]).

use std::time::Duration;

use tokio::time::Instant;

use super::TokenError;
use super::lease::{Event, LeaseState, step};
use super::points::Point;
use super::store::{self, LIVE, Model, RenewedTokens};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, State};
use crate::db::{self, StoreError, Tx};
use crate::spool::{Kept, RefreshAnswer};
use crate::vault::VaultError;

/// How often a row that somebody else changed between reading and writing is read again.
const TRIES: u32 = 4;

/// So long nobody else sends the token that refused ones replaced: longer than the longest pause between two tries, at
/// each of which this begins anew.
const HELD: Duration = Duration::from_secs(600);

/// What became of late tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adopted {
    /// They are committed.
    Committed,
    /// The row has newer tokens, or these already. (Revoking a former token could end the grant.)
    Superseded,
    /// Their grant is being revoked, and has them now: what they replaced ends nothing any more.
    ToRevoke,
    /// Their grant is gone: they are nobody's.
    Gone,
}

/// Commits late tokens. Safe to do twice.
///
/// # Errors
/// [`TokenError`]: they must be kept, and this tried again.
pub(crate) async fn adopt(app: &App, answer: &RefreshAnswer) -> Result<Adopted, TokenError> {
    for _ in 0..TRIES {
        let found = store::find(app.store.reader(), answer.addon, answer.grant);
        let Some(grant) = in_time(found).await? else { return Ok(Adopted::Gone) };
        if grant.token_version != answer.replaced {
            return Ok(Adopted::Superseded);
        }
        if grant.state != LIVE {
            match to_revoke(app, &grant, answer).await? {
                Some(adopted) => return Ok(adopted),
                None => continue,
            }
        }
        let lease = grant.lease()?;
        let event = Event::Renewed {
            fence: lease.fence,
            now: answer.at,
            lifetime: answer.expires_at.since(answer.at),
            rotated: answer.refresh_token.is_some(),
            forced: false,
        };
        let (state, _) = step(&lease, event);
        let renewed = sealed(app, &grant, answer).await?;
        if commit(app, &grant, &state, renewed).await? {
            return Ok(Adopted::Committed);
        }
    }
    // Somebody claims it again and again.
    Err(StoreError::Busy.into())
}

/// A grant that is being revoked gets the tokens that came of its last refresh, so that they are what is revoked, until the
/// org confirms it. None when somebody else was quicker.
async fn to_revoke(app: &App, grant: &Model, answer: &RefreshAnswer) -> Result<Option<Adopted>, TokenError> {
    if answer.refresh_token.is_none() {
        // A refresh token that was not replaced is in the row still; without one there is but a session, which may be
        // another grant's, too.
        return Ok(Some(if grant.refresh_token.is_some() { Adopted::ToRevoke } else { Adopted::Gone }));
    }
    let tokens = sealed(app, grant, answer).await?;
    let written = in_time(async {
        let tx = app.store.begin().await?;
        let written = store::save_to_revoke(&*tx, grant, tokens).await?;
        tx.commit().await?;
        Ok(written)
    });
    let written = written.await?;
    app.nudges.nudge();
    Ok(written.then_some(Adopted::ToRevoke))
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    db::in_time(Instant::now() + db::PATIENCE, work).await
}

/// Tells other processes that this one holds tokens that the database refuses. Best effort: what stands in their way may
/// stand in this one's, too.
pub(crate) async fn hold(app: &App, answer: &RefreshAnswer) {
    let not_before = app.clock.now().plus(HELD);
    let write = async {
        let tx = app.store.begin().await?;
        store::hold(&*tx, (answer.addon, answer.grant), answer.replaced, not_before).await?;
        tx.commit().await
    };
    if let Err(error) = in_time(write).await {
        tracing::error!(grant = %answer.grant, error = %crate::error::chain(&error), "nor can other processes be told to leave the grant alone");
    }
}

/// The tokens of an answer as the row has them.
pub(super) async fn sealed(
    app: &App,
    grant: &Model,
    answer: &RefreshAnswer,
) -> Result<RenewedTokens, VaultError> {
    let refresh_token = match &answer.refresh_token {
        Some(Kept(token)) => Some(app.vault.seal(grant.place("refresh_token"), token).await?),
        None => None,
    };
    Ok(RenewedTokens {
        access_token: app.vault.seal(grant.place("access_token"), &answer.access_token).await?,
        refresh_token,
        instance_url: answer.instance_url.clone(),
    })
}

/// Writes tokens when the grant still has this fence and version; whether it had. When that takes too long, they may be
/// written all the same.
pub(super) async fn commit(
    app: &App,
    grant: &Model,
    state: &LeaseState,
    renewed: RenewedTokens,
) -> Result<bool, StoreError> {
    in_time(write(app, grant, state, renewed)).await
}

async fn write(
    app: &App,
    grant: &Model,
    state: &LeaseState,
    renewed: RenewedTokens,
) -> Result<bool, StoreError> {
    let moved = renewed.instance_url != grant.instance_url;
    let mut tx = app.store.begin().await?;
    if moved {
        follow(&tx, grant, &renewed.instance_url).await?;
    }
    if !store::save_tokens(&*tx, grant, state, renewed).await? {
        return Ok(false);
    }
    credentials::write::tell_renewed(&tx, grant.addon(), grant.credential_id.0).await?;
    tx.audit(Entry::new(&Actor::system(), "grant.refreshed", grant.addon(), grant.credential_id.0));
    app.config.points.reached(Point::Committing, grant.id.0).await;
    tx.commit().await?;
    Ok(true)
}

async fn follow(tx: &Tx, grant: &Model, instance_url: &str) -> Result<(), StoreError> {
    addons::store::lock(&**tx, grant.addon()).await?;
    let found = credentials::store::find_by_id(&**tx, grant.addon(), grant.credential_id.0).await?;
    if let Some(mut credential) = found
        && let State::Live(org) = &mut credential.state
    {
        instance_url.clone_into(&mut org.instance_url);
        credentials::write::save(tx, &credential).await?;
    }
    Ok(())
}

/// A refresh token nobody will use is revoked, best effort. An access token alone is left to its age: the org may have
/// given the same session to another grant.
pub(crate) async fn revoke(app: &App, answer: &RefreshAnswer) {
    let (Ok(instance), Some(Kept(token))) = (app.hosts.instance(&answer.instance_url), &answer.refresh_token)
    else {
        return;
    };
    if let Err(failure) = app.oauth.revoke(&instance, token).await {
        tracing::warn!(error = %crate::error::chain(&failure), "unused tokens could not be revoked");
    }
}
