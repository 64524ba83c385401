//! Brings what the spool holds into the database.
//!
//! 1. Refresh answers first: a grant whose answer waits here must not be refreshed with its old token. An answer is
//!    committed when its grant still has the version it replaced, whoever claimed the grant meanwhile: what we hold is
//!    the successor of what that one holds.
//! 2. Then audit rows, in groups; how far it came is part of the same transaction.
//! 3. A file that is done is begun anew, or removed when its process is gone.

use super::file::{Cursor, SpoolFile};
use super::record::{AuditRow, Kept, Record};
use super::{RefreshAnswer, Spool, SpoolError, store};
use crate::app::App;
use crate::audit::recorder::MAX_GROUP;
use crate::db::StoreError;
use crate::reconcilers::{Status, StepError};
use crate::tokens::lease::{Event, step};
use crate::tokens::store::{LIVE, Model, RenewedTokens};
use crate::tokens::{TokenError, renew};
use crate::vault::VaultError;

/// A replay ended early; what is left is still in the spool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The database failed.
    #[error("the database takes nothing")]
    Store(#[source] StoreError),
    /// The vault failed.
    #[error("the vault failed")]
    Vault(#[source] VaultError),
    /// The spool can't be read.
    #[error("the spool can't be read")]
    Spool(#[source] SpoolError),
}

impl From<StoreError> for ReplayError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<VaultError> for ReplayError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => Self::Store(error),
            error => Self::Vault(error),
        }
    }
}

impl From<SpoolError> for ReplayError {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl From<ReplayError> for StepError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            ReplayError::Vault(error) => Self::Vault(error),
            ReplayError::Spool(error) => Self::Spool(error),
        }
    }
}

impl From<ReplayError> for TokenError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            ReplayError::Vault(error) => Self::Vault(error),
            ReplayError::Spool(_) => Self::RetryAfter(std::time::Duration::from_secs(5)),
        }
    }
}

/// Called before any refresh: none starts while the database is away or an answer waits in the spool.
///
/// # Errors
/// [`TokenError`]: then nothing may be sent.
pub async fn before_refresh(app: &App) -> Result<(), TokenError> {
    if app.spool.is_empty() && !app.spool.outage().is_on() {
        return Ok(());
    }
    replay(app).await?;
    Ok(())
}

/// Replays everything, and ends the outage when that works.
///
/// # Errors
/// [`ReplayError`].
pub async fn replay(app: &App) -> Result<Status, ReplayError> {
    let spool = &app.spool;
    let _one_at_a_time = spool.0.replaying.lock().await;
    if spool.is_empty() {
        if spool.outage().is_on() {
            probe(app).await?;
            spool.outage().ended();
        }
        return Ok(Status::default());
    }
    let mut done = adopt_in_memory(app).await?;
    while let Some(file) = next_file(spool) {
        done += replay_file(app, &file).await?;
    }
    spool.outage().ended();
    tracing::info!(records = done, "the spool is replayed");
    Ok(Status { done })
}

async fn probe(app: &App) -> Result<(), StoreError> {
    let tx = app.store.begin().await?;
    store::probe(&*tx).await?;
    tx.commit().await
}

async fn adopt_in_memory(app: &App) -> Result<u64, ReplayError> {
    let mut done = 0;
    loop {
        let Some(answer) = app.spool.in_memory().first().cloned() else { return Ok(done) };
        adopt(app, &answer).await?;
        app.spool.in_memory().retain(|other| other.grant != answer.grant || other.at != answer.at);
        done += 1;
    }
}

/// Which file: that of a process that is gone, or our own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Left,
    Own,
}

fn next_file(spool: &Spool) -> Option<Which> {
    let files = spool.files();
    if !files.left.is_empty() {
        return Some(Which::Left);
    }
    files.own.as_ref().is_some_and(|own| own.records() > 0).then_some(Which::Own)
}

/// Looks at a file for a moment; meanwhile nothing is appended.
fn with_file<R>(
    spool: &Spool,
    which: Which,
    look: impl FnOnce(&SpoolFile) -> Result<R, SpoolError>,
) -> Result<Option<R>, SpoolError> {
    let files = spool.files();
    let file = match which {
        Which::Left => files.left.first(),
        Which::Own => files.own.as_ref(),
    };
    file.map(look).transpose()
}

async fn replay_file(app: &App, which: &Which) -> Result<u64, ReplayError> {
    let spool = &app.spool;
    let Some((id, start)) = with_file(spool, *which, |file| Ok((file.id(), file.start())))? else {
        return Ok(0);
    };
    let replayed = store::replayed(app.store.reader(), id).await?;
    let mut cursor = start;
    while let Some(record) = read(spool, *which, &mut cursor)? {
        if cursor.index > replayed
            && let Record::Refresh(answer) = record
        {
            adopt(app, &answer).await?;
        }
    }
    let mut cursor = start;
    let mut done = 0;
    loop {
        let (rows, read) = gather(spool, *which, &mut cursor, replayed)?;
        done += read;
        if read > 0 {
            write(app, id, rows, cursor.index).await?;
        } else if finish(app, *which, id, cursor.index).await? {
            return Ok(done);
        }
    }
}

fn read(spool: &Spool, which: Which, cursor: &mut Cursor) -> Result<Option<Record>, SpoolError> {
    let bytes = with_file(spool, which, |file| file.next(cursor))?.flatten();
    bytes.map(|bytes| Record::of_bytes(&bytes)).transpose()
}

/// The next group of audit rows, and how many records they and the answers between them are.
fn gather(
    spool: &Spool,
    which: Which,
    cursor: &mut Cursor,
    replayed: u64,
) -> Result<(Vec<AuditRow>, u64), SpoolError> {
    let (mut rows, mut count) = (Vec::new(), 0);
    while rows.len() < MAX_GROUP {
        let Some(record) = read(spool, which, cursor)? else { break };
        if cursor.index <= replayed {
            continue;
        }
        count += 1;
        if let Record::Audit(row) = record {
            rows.push(row);
        }
    }
    Ok((rows, count))
}

async fn write(app: &App, file: uuid::Uuid, rows: Vec<AuditRow>, records: u64) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    store::remember(&*tx, file, records).await?;
    for row in rows {
        tx.audit(row.into_entry());
    }
    tx.commit().await
}

/// Step 3, unless something was appended meanwhile.
async fn finish(app: &App, which: Which, id: uuid::Uuid, replayed: u64) -> Result<bool, ReplayError> {
    {
        let mut files = app.spool.files();
        match which {
            Which::Left => {
                let done = (!files.left.is_empty()).then(|| files.left.remove(0));
                done.map(SpoolFile::remove).transpose()?;
            }
            Which::Own => {
                let Some(own) = files.own.as_mut() else { return Ok(true) };
                if own.records() > replayed {
                    return Ok(false);
                }
                own.clear(&app.spool.0.entropy)?;
            }
        }
    }
    let tx = app.store.begin().await?;
    store::forget(&*tx, id).await?;
    tx.commit().await?;
    Ok(true)
}

/// Step 1. Safe to do twice.
async fn adopt(app: &App, answer: &RefreshAnswer) -> Result<(), ReplayError> {
    let grant = crate::tokens::store::find(app.store.reader(), answer.addon, answer.grant).await?;
    let Some(grant) = grant.filter(|grant| grant.state == LIVE) else {
        tracing::warn!(grant = %answer.grant, "tokens from the spool belong to a grant that is gone; they are revoked");
        revoke(app, answer).await;
        return Ok(());
    };
    if grant.token_version != answer.replaced {
        // Committed before, or replaced since. (Revoking a former token could end the grant.)
        return Ok(());
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
    if renew::commit(app, &grant, &state, renewed).await? {
        tracing::info!(grant = %answer.grant, "tokens from the spool are committed");
        return Ok(());
    }
    // Somebody claimed it between reading and writing: the record stays, and is read again.
    Err(StoreError::Busy.into())
}

async fn sealed(app: &App, grant: &Model, answer: &RefreshAnswer) -> Result<RenewedTokens, VaultError> {
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

async fn revoke(app: &App, answer: &RefreshAnswer) {
    let Ok(instance) = app.hosts.instance(&answer.instance_url) else { return };
    let token = answer.refresh_token.as_ref().map_or(&answer.access_token, |Kept(token)| token);
    if let Err(failure) = app.oauth.revoke(&instance, token).await {
        tracing::warn!(error = %crate::error::chain(&failure), "unused tokens could not be revoked");
    }
}
